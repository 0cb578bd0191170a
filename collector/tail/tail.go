// Package tail is the source that follows files: by pattern, through rotation
// by rename and by truncation and into compressed rotated files.
//
// Invariant: the offset of a file is stored after the sink acknowledged what
// stands before it, so that a crash reads some lines again and skips none;
// ids are made of the file's beginning and the line's offset, so that what is
// read again is known. Files are opened only while they are read, and memory
// depends on their number only by the few hundred bytes of their state.
//
// A record is one line. A line is read when its end is written, or when its
// file has been rotated away and rests.
package tail

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/tenantwatch/tenantwatch/collector"
	"github.com/tenantwatch/tenantwatch/collector/file"
	"github.com/tenantwatch/tenantwatch/collector/source"
)

// Options are the source's settings.
type Options struct {
	Paths []string      `yaml:"paths" doc:"files and patterns (*, ?, [a-z]), absolute"`
	Start string        `yaml:"start" doc:"where to begin in files that are there at the first start: beginning (default) or end"`
	Poll  time.Duration `yaml:"poll" doc:"how often to look; default 1s"`
}

// Kind is the line in the table of sources.
func Kind() source.Kind {
	return source.Define(source.Kind{
		Type: "file", Title: "Files that grow, with rotation (rename, truncation, gzip, zstd)", Promise: source.Acknowledging,
		Example: "paths: [/var/log/nginx/*.log]\n",
	}, check, New)
}

func check(o *Options) error {
	if len(o.Paths) == 0 {
		return errors.New("paths is missing: name files or patterns")
	}
	for _, p := range o.Paths {
		if !filepath.IsAbs(p) {
			return fmt.Errorf("paths: %q is not absolute", p)
		}
		if _, err := filepath.Match(p, "x"); err != nil {
			return fmt.Errorf("paths: %q: %w", p, err)
		}
	}
	if o.Start == "" {
		o.Start = "beginning"
	}
	if o.Start != "beginning" && o.Start != "end" {
		return fmt.Errorf("start %q: want beginning or end", o.Start)
	}
	if o.Poll == 0 {
		o.Poll = time.Second
	}
	if o.Poll < 0 {
		return errors.New("poll must not be negative")
	}
	return nil
}

const (
	chunk   = 4 << 20 // read at once at most, but for one longer line
	headLen = 1024    // a file is known by so much of its beginning
	// restPolls is how many looks a rotated file has to rest before its last
	// line counts as whole without an end.
	restPolls = 2
)

// state is what is kept of a file.
type state struct {
	Path    string `json:"path"`
	Dev     uint64 `json:"dev"`
	Ino     uint64 `json:"ino"`
	Offset  int64  `json:"offset"` // in the decompressed file
	Head    string `json:"head"`   // hash of the first HeadLen bytes
	HeadLen int    `json:"head_len"`
	Place   string `json:"place"` // for ids
	Gen     int    `json:"gen"`   // truncations so far
	Packed  bool   `json:"packed,omitempty"`
	Done    bool   `json:"done,omitempty"`    // a packed file that was read to its end
	Rotated bool   `json:"rotated,omitempty"` // no longer under a name of the patterns

	size  int64 // at the last look
	rests int   // looks without growth
}

type id struct{ dev, ino uint64 }

// Source follows files.
type Source struct {
	o     Options
	env   source.Env
	files map[id]*state
	dirty bool
	saved time.Time
	first bool // nothing is known yet: Start decides
}

// New makes the source; it reads nothing yet.
func New(e source.Env, o Options) (source.Source, error) {
	if err := check(&o); err != nil {
		return nil, err
	}
	return &Source{o: o, env: e, files: map[id]*state{}}, nil
}

const stateFile = "files.json"

// Run follows until ctx is done.
func (s *Source) Run(ctx context.Context) error {
	s.first = true
	err := s.env.Load(stateFile, func(b []byte) error {
		var all []*state
		if err := json.Unmarshal(b, &all); err != nil {
			return err
		}
		s.first = false
		for _, f := range all {
			s.files[id{f.Dev, f.Ino}] = f
		}
		return nil
	})
	if err != nil {
		return err
	}
	pause := s.o.Poll
	for {
		more, err := s.pass(ctx)
		if serr := s.save(ctx.Err() != nil); serr != nil {
			err = errors.Join(err, serr)
		}
		if ctx.Err() != nil {
			return s.save(true)
		}
		switch {
		case err != nil:
			s.env.Logger.Warn("files could not be read or handed on, trying again", "err", err, "in", pause)
			pause = min(2*pause, 30*time.Second)
		case more:
			continue
		default:
			pause = s.o.Poll
		}
		if !source.Sleep(ctx, pause) {
			return s.save(true)
		}
	}
}

// save stores the offsets, at most once a second unless it is the last time.
func (s *Source) save(now bool) error {
	if !s.dirty || !now && time.Since(s.saved) < time.Second {
		return nil
	}
	all := make([]*state, 0, len(s.files))
	for _, f := range s.files {
		all = append(all, f)
	}
	b, err := json.Marshal(all)
	if err != nil {
		return err
	}
	if err := s.env.Save(stateFile, b); err != nil {
		return err
	}
	s.dirty, s.saved = false, time.Now()
	return nil
}

// pass looks at all files once. more says that one of them held more than was
// read. An error of one file does not keep the others from being read.
func (s *Source) pass(ctx context.Context) (more bool, err error) {
	seen, err := s.look()
	var errs []error
	if err != nil {
		errs = append(errs, err)
	}
	for k, f := range s.files {
		if ctx.Err() != nil {
			return false, nil
		}
		if !seen[k] {
			gone, err := s.follow(ctx, k, f)
			if err != nil {
				errs = append(errs, fmt.Errorf("%s: %w", f.Path, err))
				continue
			}
			if gone {
				delete(s.files, k)
				s.dirty = true
				continue
			}
		}
		m, err := s.read(ctx, f)
		more = more || m
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			errs = append(errs, fmt.Errorf("%s: %w", f.Path, err))
			if errors.Is(err, collector.ErrUnavailable) {
				break // it would be the same with the others
			}
		}
	}
	s.first = false
	return more, errors.Join(errs...)
}

// look finds the files under the patterns and says which are there.
func (s *Source) look() (map[id]bool, error) {
	seen := map[id]bool{}
	for _, p := range s.o.Paths {
		names, err := filepath.Glob(p)
		if err != nil {
			return nil, err
		}
		for _, name := range names {
			st, err := os.Stat(name)
			if err != nil || !st.Mode().IsRegular() {
				continue
			}
			k := idOf(st)
			seen[k] = true
			if f := s.files[k]; f != nil {
				if f.Path != name {
					if old, err := os.Stat(f.Path); err != nil || idOf(old) != k { // else it has two names
						f.Path, f.Rotated, f.rests, s.dirty = name, true, 0, true
					}
				}
				continue
			}
			f := &state{Path: name, Dev: k.dev, Ino: k.ino, Packed: packed(name)}
			if s.first && s.o.Start == "end" {
				if f.Offset = st.Size(); f.Packed {
					f.Done = true
				}
			}
			s.files[k] = f
			s.dirty = true
		}
	}
	return seen, nil
}

func idOf(st os.FileInfo) id {
	if sys, ok := st.Sys().(*syscall.Stat_t); ok {
		return id{uint64(sys.Dev), sys.Ino} //nolint:unconvert // the type differs by platform
	}
	return id{}
}

func packed(name string) bool {
	return strings.HasSuffix(name, ".gz") || strings.HasSuffix(name, ".zst")
}

// follow looks for a file that is under no pattern any more: beside its old
// name under a new one, else compressed. gone says that nothing of it is left.
func (s *Source) follow(ctx context.Context, k id, f *state) (gone bool, err error) {
	if st, err := os.Stat(f.Path); err == nil && idOf(st) == k {
		return false, nil
	}
	dir := filepath.Dir(f.Path)
	names, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return false, err
	}
	for _, e := range names {
		st, err := e.Info()
		if err != nil || !st.Mode().IsRegular() || idOf(st) != k {
			continue
		}
		f.Path, f.Rotated, f.rests, s.dirty = filepath.Join(dir, e.Name()), true, 0, true
		return false, nil
	}
	if f.Packed {
		return true, nil
	}
	found, err := s.compressed(ctx, f)
	if err == nil && !found && f.size > f.Offset {
		s.env.Meter.Lost.Inc()
		s.env.Logger.Error("a file went away before it was read to its end", "path", f.Path, "bytes", f.size-f.Offset)
	}
	return err == nil, err
}

// compressed looks for the file that f was compressed into, beside its old
// name, and reads from it what was not read before.
func (s *Source) compressed(ctx context.Context, f *state) (found bool, err error) {
	if f.HeadLen == 0 {
		return false, nil
	}
	dir := filepath.Dir(f.Path)
	names, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return false, err
	}
	for _, e := range names {
		if name := filepath.Join(dir, e.Name()); packed(name) && strings.HasPrefix(e.Name(), stem(filepath.Base(f.Path))) {
			if ok, err := s.remainder(ctx, name, f); ok || err != nil {
				return ok, err
			}
		}
	}
	return false, nil
}

// stem is what the names of a file and of its rotated ones begin with.
func stem(base string) string {
	if i := strings.IndexByte(base, '.'); i > 0 {
		return base[:i]
	}
	return base
}

// head reads the beginning of a file; n bounds it.
func head(r io.Reader, n int) (sum string, got int, err error) {
	b := make([]byte, n)
	got, err = io.ReadFull(r, b)
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		err = nil
	}
	return digest(b[:got]), got, err
}

func digest(b []byte) string {
	d := sha256.Sum256(b)
	return hex.EncodeToString(d[:12])
}

// identify checks that the file is still the one it was, and learns its
// beginning while that is short. same is false after a truncation.
func (s *Source) identify(r io.ReaderAt, f *state, size int64) (same bool, err error) {
	if size < f.Offset {
		return false, nil
	}
	if f.HeadLen > 0 {
		sum, n, err := head(io.NewSectionReader(r, 0, size), f.HeadLen)
		if err != nil || n < f.HeadLen || sum != f.Head {
			return false, err
		}
	}
	if f.HeadLen < headLen && size > int64(f.HeadLen) {
		sum, n, err := head(io.NewSectionReader(r, 0, size), headLen)
		if err != nil {
			return false, err
		}
		f.Head, f.HeadLen, s.dirty = sum, n, true
	}
	return true, nil
}

// name gives a file its place for ids: by its first line, which a compressed
// copy shares, and by the name it was first seen under.
func (f *state) name(source string, first []byte) {
	if i := bytes.IndexByte(first, '\n'); i >= 0 {
		first = first[:i]
	}
	f.Place = digest(fmt.Appendf(nil, "%s\x00%s\x00%d\x00%s", source, f.Path, f.Gen, first))
}

// read reads what a file has grown by; more says that there is still more.
func (s *Source) read(ctx context.Context, f *state) (more bool, err error) {
	if f.Packed {
		if f.Done {
			return false, nil
		}
		return false, s.readPacked(ctx, f)
	}
	st, err := os.Stat(f.Path)
	if err != nil {
		return false, err
	}
	size := st.Size()
	if size == f.size {
		f.rests++
	} else {
		f.size, f.rests = size, 0
	}
	final := f.Rotated && f.rests >= restPolls
	if size == f.Offset {
		return false, nil
	}
	r, err := os.Open(f.Path)
	if err != nil {
		return false, err
	}
	defer r.Close() //nolint:errcheck // read only
	if st, err := r.Stat(); err != nil || idOf(st) != (id{f.Dev, f.Ino}) {
		return false, err // replaced just now: the next look sees it
	}
	same, err := s.identify(r, f, size)
	if err != nil {
		return false, err
	}
	if !same {
		// Truncated, or another file got the number of one that is gone: what
		// was not read of that may be in a compressed one.
		if _, err := s.compressed(ctx, f); err != nil {
			return false, err
		}
		f.Offset, f.HeadLen, f.Head, f.Place, s.dirty = 0, 0, "", "", true
		f.Gen++
		if _, err := s.identify(r, f, size); err != nil {
			return false, err
		}
	}
	end, err := lastLine(r, f.Offset, size, final)
	if err != nil || end <= f.Offset {
		return false, err
	}
	if f.Place == "" {
		first := make([]byte, min(headLen, end))
		if _, err := r.ReadAt(first, 0); err != nil {
			return false, err
		}
		f.name(s.env.Name, first)
	}
	if err := s.deliver(ctx, f, io.NewSectionReader(r, f.Offset, end-f.Offset), f.Offset); err != nil {
		return false, err
	}
	more = size-f.Offset > chunk
	f.Offset, s.dirty = end, true
	return more, nil
}

func (s *Source) deliver(ctx context.Context, f *state, r io.Reader, at int64) error {
	_, err := s.env.Process(ctx, source.Piece{Reader: r, Source: filepath.Base(f.Path), Place: f.Place, Offset: uint64(at)})
	return err
}

// lastLine is where the last whole line ends at most chunk behind from; of a
// line longer than that it is the line's end. final takes the rest too.
func lastLine(r io.ReaderAt, from, size int64, final bool) (int64, error) {
	limit := min(size, from+chunk)
	buf := make([]byte, 64<<10)
	for at := limit; at > from; {
		n := min(int64(len(buf)), at-from)
		if _, err := r.ReadAt(buf[:n], at-n); err != nil {
			return from, err
		}
		if i := bytes.LastIndexByte(buf[:n], '\n'); i >= 0 {
			if final && limit == size {
				return size, nil
			}
			return at - n + int64(i) + 1, nil
		}
		at -= n
	}
	for at := limit; at < size; {
		n := min(int64(len(buf)), size-at)
		if _, err := r.ReadAt(buf[:n], at); err != nil {
			return from, err
		}
		if i := bytes.IndexByte(buf[:n], '\n'); i >= 0 {
			return at + int64(i) + 1, nil
		}
		at += n
	}
	if final {
		return size, nil
	}
	return from, nil
}

// readPacked reads a compressed file once: the rest of the file it was made
// of, when that is known, else all of it.
func (s *Source) readPacked(ctx context.Context, f *state) error {
	for k, o := range s.files {
		if o == f || o.HeadLen == 0 || o.Packed {
			continue
		}
		if st, err := os.Stat(o.Path); err == nil && idOf(st) == k {
			// Being compressed just now: what is left is read from the file
			// itself, or from here once it is gone.
			if filepath.Dir(o.Path) == filepath.Dir(f.Path) && begins(f.Path, o) {
				return nil
			}
			continue
		}
		if ok, err := s.remainder(ctx, f.Path, o); ok || err != nil {
			if ok {
				delete(s.files, k)
				f.Done, s.dirty = true, true
			}
			return err
		}
	}
	r, err := file.Open(f.Path, nil)
	if err != nil {
		return err
	}
	defer r.Close() //nolint:errcheck // read only
	b := make([]byte, headLen)
	n, err := io.ReadFull(r, b)
	if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
		return err
	}
	f.name(s.env.Name, b[:n])
	if err := s.deliver(ctx, f, io.MultiReader(bytes.NewReader(b[:n]), r), 0); err != nil {
		return err
	}
	f.Done, s.dirty = true, true
	return nil
}

// begins says that a compressed file begins as a known one.
func begins(path string, of *state) bool {
	r, err := file.Open(path, nil)
	if err != nil {
		return false
	}
	defer r.Close() //nolint:errcheck // read only
	sum, n, err := head(r, of.HeadLen)
	return err == nil && n == of.HeadLen && sum == of.Head
}

// remainder reads from a compressed file what was not read of the file it was
// made of; false when it was made of another.
func (s *Source) remainder(ctx context.Context, path string, of *state) (bool, error) {
	r, err := file.Open(path, nil)
	if err != nil {
		if errors.Is(err, os.ErrNotExist) {
			return false, nil
		}
		return false, err
	}
	defer r.Close() //nolint:errcheck // read only
	b := make([]byte, of.HeadLen)
	n, err := io.ReadFull(r, b)
	if err != nil || digest(b) != of.Head {
		return false, nil //nolint:nilerr // shorter, or damaged: another file
	}
	if of.Offset < int64(n) {
		err = s.deliver(ctx, of, io.MultiReader(bytes.NewReader(b[of.Offset:]), r), of.Offset)
	} else {
		if _, err := io.CopyN(io.Discard, r, of.Offset-int64(n)); err != nil {
			return false, nil //nolint:nilerr // as above
		}
		err = s.deliver(ctx, of, r, of.Offset)
	}
	if err != nil {
		return false, err
	}
	// The compressed file has been read with this, also where it is under a
	// pattern itself.
	if st, err := os.Stat(path); err == nil {
		k := idOf(st)
		s.files[k] = &state{Path: path, Dev: k.dev, Ino: k.ino, Packed: true, Done: true}
	}
	s.dirty = true
	return true, nil
}
