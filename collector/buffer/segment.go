package buffer

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/tenantwatch/tenantwatch/collector"
	"github.com/tenantwatch/tenantwatch/pipeline/event"
)

// A segment is a file of frames behind a mark:
//
//	segment = "TWBUF1\n\x00" frame*
//	frame   = length uint32 | crc32c(payload) uint32 | payload   ; little endian
//	payload = version 0x01 | Unix nanoseconds int64 | kind 'E' or 'Q' | uvarint len(source) source | record
//
// record is the encoding of package event. A frame holds one tenant's events
// or quarantined lines, never both.
const (
	segmentMagic = "TWBUF1\n\x00"
	frameHead    = 8
	entryHead    = 10 // version, time, kind
	entryVersion = 1
	// maxEntry is beyond what encode makes; a longer length is damage.
	maxEntry = 2 * event.MaxRecordBytes
	// entryBytes is when an entry is closed; one event may go beyond.
	entryBytes = 1 << 20
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

type segment struct {
	seq  uint64
	f    *os.File
	size int64
}

func segmentName(dir string, seq uint64) string {
	return filepath.Join(dir, fmt.Sprintf("%020d.seg", seq))
}

func createSegment(dir string, seq uint64) (*segment, error) {
	f, err := os.OpenFile(segmentName(dir, seq), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	if _, err = f.WriteString(segmentMagic); err == nil {
		err = syncDir(dir) // the file's name has to survive as well
	}
	if err != nil {
		return nil, errors.Join(err, f.Close(), os.Remove(f.Name()))
	}
	return &segment{seq: seq, f: f, size: int64(len(segmentMagic))}, nil
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

func (s *segment) append(frame []byte) error {
	n, err := s.f.Write(frame)
	if err != nil && n > 0 {
		_ = s.f.Truncate(s.size) // else the next start finds the torn end
	}
	if err == nil {
		s.size += int64(len(frame))
	}
	return err
}

// encode makes the frames of a delivery.
func encode(d collector.Delivery, now int64) (frames [][]byte, err error) {
	head := func(kind byte) []byte {
		b := make([]byte, frameHead, 4<<10)
		b = append(b, entryVersion)
		b = binary.LittleEndian.AppendUint64(b, uint64(now))
		b = append(b, kind)
		b = binary.AppendUvarint(b, uint64(len(d.Source)))
		return append(b, d.Source...)
	}
	seal := func(kind byte, record []byte) {
		b := append(head(kind), record...)
		binary.LittleEndian.PutUint32(b, uint32(len(b)-frameHead))
		binary.LittleEndian.PutUint32(b[4:], crc32.Checksum(b[frameHead:], castagnoli))
		frames = append(frames, b)
	}
	enc := new(event.Encoder)
	enc.ResetEvents(d.Tenant)
	for i := range d.Events {
		if err := enc.AddEvent(&d.Events[i]); err != nil {
			return nil, err
		}
		if enc.Len() >= entryBytes || i == len(d.Events)-1 {
			seal('E', enc.Finish())
			enc.ResetEvents(d.Tenant)
		}
	}
	enc.ResetQuarantined(d.Tenant)
	for i := range d.Quarantined {
		if err := enc.AddQuarantined(&d.Quarantined[i]); err != nil {
			return nil, err
		}
		if enc.Len() >= entryBytes || i == len(d.Quarantined)-1 {
			seal('Q', enc.Finish())
			enc.ResetQuarantined(d.Tenant)
		}
	}
	return frames, nil
}

var errDamaged = errors.New("damaged entry")

// decode reads a frame's payload.
func decode(b []byte) (d collector.Delivery, at int64, err error) {
	if len(b) < entryHead || b[0] != entryVersion {
		return d, 0, fmt.Errorf("%w: unknown version", errDamaged)
	}
	at = int64(binary.LittleEndian.Uint64(b[1:]))
	kind, rest := b[9], b[entryHead:]
	n, used := binary.Uvarint(rest)
	if used <= 0 || n > uint64(len(rest)-used) {
		return d, at, fmt.Errorf("%w: source", errDamaged)
	}
	d.Source, rest = string(rest[used:used+int(n)]), rest[used+int(n):]
	switch kind {
	case 'E':
		d.Tenant, d.Events, err = event.DecodeEvents(rest)
	case 'Q':
		d.Tenant, d.Quarantined, err = event.DecodeQuarantined(rest)
	default:
		err = fmt.Errorf("kind %q", kind)
	}
	if err != nil {
		return d, at, fmt.Errorf("%w: %w", errDamaged, err)
	}
	return d, at, nil
}

// scan lists the whole frames of a segment. end is where they end; damaged
// counts frames that stand between whole ones and are not whole themselves.
func scan(f io.ReaderAt, seq uint64, size int64) (entries []entry, end int64, damaged int, err error) {
	var head [frameHead + entryHead]byte
	end = int64(len(segmentMagic))
	mark := make([]byte, len(segmentMagic))
	if _, err := f.ReadAt(mark, 0); err != nil || string(mark) != segmentMagic {
		if err == io.EOF || err == nil {
			return nil, 0, 0, nil
		}
		return nil, 0, 0, err
	}
	pending := 0 // frames not whole since the last whole one
	var buf []byte
	for at := end; at+frameHead+entryHead <= size; {
		if _, err := f.ReadAt(head[:], at); err != nil {
			return entries, end, damaged, err
		}
		n := int64(binary.LittleEndian.Uint32(head[:]))
		if n < entryHead || n > maxEntry || at+frameHead+n > size {
			break
		}
		if int64(cap(buf)) < n {
			buf = make([]byte, n)
		}
		buf = buf[:n]
		if _, err := f.ReadAt(buf, at+frameHead); err != nil {
			return entries, end, damaged, err
		}
		if crc32.Checksum(buf, castagnoli) == binary.LittleEndian.Uint32(head[4:]) {
			entries = append(entries, entry{seq, at, frameHead + n, int64(binary.LittleEndian.Uint64(head[frameHead+1:]))})
			damaged, pending = damaged+pending, 0
			end = at + frameHead + n
		} else {
			pending++
		}
		at += frameHead + n
	}
	return entries, end, damaged, nil
}

// segments lists the numbers of the segments in a directory, in order.
func segments(dir string) ([]uint64, error) {
	names, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var seqs []uint64
	for _, e := range names {
		if s, ok := strings.CutSuffix(e.Name(), ".seg"); ok {
			if n, err := strconv.ParseUint(s, 10, 64); err == nil {
				seqs = append(seqs, n)
			}
		}
	}
	slices.Sort(seqs)
	return seqs, nil
}

// recover reads the directory: it cuts the torn end that a crash left in the
// last segment (nothing there was acknowledged) and skips what was handed on.
func (b *Buffer) recover() error {
	seqs, err := segments(b.o.Dir)
	if err != nil {
		return err
	}
	doneSeq, doneAt := readPosition(b.o.Dir)
	b.nextSeq = doneSeq + 1 // a number is never used again: the position would hide what is new
	for i, seq := range seqs {
		b.nextSeq = max(b.nextSeq, seq+1)
		name := segmentName(b.o.Dir, seq)
		entries, err := b.recoverSegment(name, seq, i == len(seqs)-1)
		if err != nil {
			return err
		}
		kept := 0
		for _, e := range entries {
			if seq > doneSeq || seq == doneSeq && e.offset >= doneAt {
				b.queue = append(b.queue, e)
				b.bytes += e.size
				kept++
			}
		}
		if kept == 0 {
			if err := os.Remove(name); err != nil {
				return err
			}
		}
	}
	return nil
}

// recoverSegment reads one segment. Of one that holds bytes nobody can read a
// second name is kept, for a person to look at.
func (b *Buffer) recoverSegment(name string, seq uint64, last bool) ([]entry, error) {
	f, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // truncated or only read
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	entries, end, damaged, err := scan(f, seq, st.Size())
	if err != nil {
		return nil, err
	}
	rest := st.Size() - end
	if last && rest > 0 {
		b.log.Warn("the end of the buffer was torn by a crash and is cut off; it was not acknowledged", "file", name, "bytes", rest)
		if end > 0 {
			if err := errors.Join(f.Truncate(end), f.Sync()); err != nil {
				return nil, err
			}
		}
	}
	if damaged > 0 || !last && rest > 0 {
		b.m.damaged.Add(float64(max(damaged, 1)))
		b.log.Error("a file of the buffer is damaged: what cannot be read is not handed on, the file is kept", "file", name+".damaged", "entries", damaged, "bytes", rest)
		if err := os.Link(name, name+".damaged"); err != nil && !errors.Is(err, os.ErrExist) {
			return nil, err
		}
	}
	return entries, nil
}

// readEntry gets one delivery.
func readEntry(f *os.File, e entry) (collector.Delivery, error) {
	b := make([]byte, e.size)
	if _, err := f.ReadAt(b, e.offset); err != nil {
		return collector.Delivery{}, err
	}
	if crc32.Checksum(b[frameHead:], castagnoli) != binary.LittleEndian.Uint32(b[4:]) {
		return collector.Delivery{}, fmt.Errorf("%w: checksum", errDamaged)
	}
	d, _, err := decode(b[frameHead:])
	return d, err
}

func readPosition(dir string) (seq uint64, offset int64) {
	b, err := os.ReadFile(filepath.Join(dir, "position")) //nolint:gosec // our own directory
	if err != nil {
		return 0, 0
	}
	if _, err := fmt.Sscanf(string(b), "%d %d\n", &seq, &offset); err != nil {
		return 0, 0 // all is handed on again, which does no harm
	}
	return seq, offset
}

func writePosition(dir string, seq uint64, offset int64) error {
	tmp := filepath.Join(dir, "position.new")
	if err := os.WriteFile(tmp, fmt.Appendf(nil, "%d %d\n", seq, offset), 0o600); err != nil {
		return err
	}
	return os.Rename(tmp, filepath.Join(dir, "position"))
}

// Inspect tells the fill of a buffer's directory from outside: the bytes of
// its segments and how many there are. A missing directory is empty.
func Inspect(dir string) (bytes int64, files int, err error) {
	seqs, err := segments(dir)
	if errors.Is(err, os.ErrNotExist) {
		return 0, 0, nil
	}
	if err != nil {
		return 0, 0, err
	}
	for _, seq := range seqs {
		if st, err := os.Stat(segmentName(dir, seq)); err == nil {
			bytes += st.Size()
			files++
		}
	}
	return bytes, files, nil
}
