package parse

import (
	"encoding/binary"
	"fmt"
	"hash/maphash"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/tenantwatch/tenantwatch/collector/parse/doc"
	"github.com/tenantwatch/tenantwatch/collector/parse/mapping"
	"github.com/tenantwatch/tenantwatch/collector/parse/record"
	"github.com/tenantwatch/tenantwatch/core/tenant"
	"github.com/tenantwatch/tenantwatch/pipeline/event"
)

// Options say how a stream is to be read.
type Options struct {
	// Tenant owns the events. With TenantKey the "tenant" or "tenant_id" of a
	// JSON record decides instead; only offline commands may set it.
	Tenant    tenant.ID
	TenantKey bool
	// Source names the log source whatever the lines say; DefaultSource is for
	// lines that name none.
	Source, DefaultSource string
	// Format is a name of Formats, or Auto, or "" for Auto.
	Format string
	// Now is the moment of reading. It must be set: the package has no clock.
	Now time.Time
	// Year is the year of the first line of formats that write none; 0 means
	// the latest that is not in the future. Zone is the zone of times that
	// state none; nil means UTC.
	Year int
	Zone *time.Location
	// Place, when set, makes generated ids from where a record stands instead of
	// from its ordinal: for streams read piece by piece, such as a file that
	// grows, where the same line may stand in two pieces. It names the file (or
	// the like) for ever; Offset is where in it this piece begins, in bytes.
	Place  string
	Offset uint64
	// At, when set, turns an offset within this piece into the one in the whole,
	// for pieces that are put together anew each time.
	At func(offset uint64) uint64
	// FirstOrdinal is how often the lines of the stream came before it, where
	// generated ids count: for a line taken out of its file.
	FirstOrdinal uint64
	// Mappings are formats described by the tenant or operator. Those that can
	// recognise their records come before the table's; Format may name one as
	// "mapping:NAME".
	Mappings []*mapping.Mapping
	// Trace, when set, is told before an event is handed out from which path or
	// part of its record a field was read, by the parsers that know.
	Trace func(field, path string)
}

// Handler takes what a stream holds. The pointers are valid during the call.
// An error stops the stream and is returned by Stream.
type Handler struct {
	Event       func(*event.Event) error
	Quarantined func(*event.Quarantined) error
}

// MaxErrors is how many bad lines a Summary describes; all are counted.
const MaxErrors = 100

// LineError says what is wrong with one line.
type LineError struct {
	Line   uint64 `json:"line"`   // 1-based
	Offset uint64 `json:"offset"` // bytes from the beginning
	Reason string `json:"reason"`
}

// Summary is what became of a stream.
type Summary struct {
	Accepted    uint64 // events handed out
	Quarantined uint64 // records set aside
	Repeats     uint64 // events whose own id came before in this stream; part of Accepted
	Folded      uint64 // events that stand for several occurrences ("message repeated")
	Occurrences uint64 // what the accepted events stand for, by their counts
	Bytes       uint64 // bytes read, after decompression

	Format     string            // the format of most events; "" when there were none
	Confidence float64           // the share of all records that were in it, 0 to 1
	Formats    map[string]uint64 // events by format

	FirstYear, LastYear int // the years given to times that had none; 0: none needed it

	Errors []LineError // the first MaxErrors quarantined lines
}

// stream is the state of one call of Stream.
type stream struct {
	o        Options
	h        Handler
	env      record.Env
	parsers  []record.Parser
	fixed    int // index of the format, -1: recognise
	last     int // the format of the last event, -1: none yet
	counts   []uint64
	ordinals counter
	bad      counter
	ids      counter
	seed     maphash.Seed
	sum      Summary

	doc    doc.Doc
	only   *mapped   // the mapping asked for
	auto   []*mapped // those that may recognise a record
	all    []*mapped
	within bool // an element of a wrapper is being read

	raw    string // the record as it arrived
	digest event.Digest
	hashed bool
	broken bool // raw was no valid UTF-8
	name   string
	err    error // of the handler
	inner  nested
	at     uint64 // offset of the record
	nth    uint64 // events of the record that got a generated id
}

// Stream reads r to its end and hands out what it holds, in order. The error
// is the reader's or the handler's; what a reader's error left unfinished is
// not handed out. The Summary counts what was handed out until then.
func Stream(r io.Reader, o Options, h Handler) (Summary, error) {
	if err := CheckFormat(o.Format, o.Mappings...); err != nil {
		return Summary{}, err
	}
	if o.Now.IsZero() {
		return Summary{}, fmt.Errorf("parse: Options.Now is not set")
	}
	s := &stream{
		o: o, h: h, fixed: -1, last: -1, seed: maphash.MakeSeed(),
		parsers: make([]record.Parser, len(formats)), counts: make([]uint64, len(formats)),
		env: record.Env{
			Tenant: o.Tenant, TenantKey: o.TenantKey, Source: o.Source, DefaultSource: o.DefaultSource,
			Now: o.Now, Year: o.Year, Zone: o.Zone, Trace: o.Trace,
		},
	}
	s.doc.Trace = o.Trace
	json, decide := false, true
	if name, ok := strings.CutPrefix(o.Format, mapping.Prefix); ok {
		for _, m := range o.Mappings {
			if m.Name == name {
				s.only = s.mapped(m)
				json, decide = !m.Text(), false
			}
		}
	} else if o.Format != "" && o.Format != Auto {
		s.fixed = lookup(o.Format)
		json, decide = formats[s.fixed].JSON, formats[s.fixed].Both
	}
	if s.only == nil && s.fixed < 0 {
		for _, m := range o.Mappings {
			if m.Auto() {
				s.auto = append(s.auto, s.mapped(m))
			}
		}
	}
	f := newFramer(r, json, decide)
	emit := s.emit // one method value for all records
	var err error
	for err == nil {
		var c chunk
		if c, err = f.next(); err != nil {
			break
		}
		if len(c.data) == 0 {
			continue
		}
		err = s.record(&c, emit)
	}
	s.sum.Bytes = f.offset
	s.finish()
	if err == io.EOF {
		err = nil
	}
	return s.sum, err
}

func (s *stream) finish() {
	total := s.sum.Quarantined
	best := -1
	for i, n := range s.counts {
		total += n
		if n > 0 && (best < 0 || n > s.counts[best]) {
			best = i
		}
		if n > 0 {
			if s.sum.Formats == nil {
				s.sum.Formats = make(map[string]uint64)
			}
			s.sum.Formats[formats[i].Name] = n
		}
	}
	for _, m := range s.all {
		total += m.count
	}
	most := uint64(0)
	if best >= 0 {
		most = s.counts[best]
		s.sum.Format = formats[best].Name
	}
	for _, m := range s.all {
		if m.count > 0 {
			if s.sum.Formats == nil {
				s.sum.Formats = make(map[string]uint64)
			}
			s.sum.Formats[m.Format()] = m.count
			if m.count > most {
				most, s.sum.Format = m.count, m.Format()
			}
		}
	}
	if most > 0 {
		s.sum.Confidence = float64(most) / float64(total)
	}
	s.sum.FirstYear, s.sum.LastYear = s.env.FirstYear, s.env.LastYear
}

func (s *stream) record(c *chunk, emit func(*event.Event)) error {
	if c.problem != "" {
		return s.setAside(c, c.problem)
	}
	s.raw, s.hashed, s.at, s.nth = string(c.data), false, c.offset, 0
	text := s.raw
	if s.broken = !utf8.ValidString(text); s.broken {
		text = strings.ToValidUTF8(text, "\ufffd")
	}
	err := s.parse(text, emit)
	if err != nil && s.err == nil && !s.within && !s.broken && text[0] == '{' {
		if list := s.wrapped(text); list != "" {
			return s.elements(c, text, list, emit)
		}
	}
	if s.err != nil {
		return s.err
	}
	if err != nil {
		return s.setAside(c, err.Error())
	}
	return nil
}

func (s *stream) try(i int, text string, emit func(*event.Event)) error {
	if s.parsers[i] == nil {
		s.parsers[i] = formats[i].New()
		if n, ok := s.parsers[i].(record.Nester); ok {
			n.Nest(s.inner.read)
		}
	}
	s.name = formats[i].Name
	before := s.sum.Accepted
	err := s.parsers[i].Parse(text, &s.env, emit)
	s.counts[i] += s.sum.Accepted - before
	return err
}

// place is what a record's whereabouts add to its digest.
func (s *stream) place(offset uint64) string {
	if s.o.Place == "" {
		return ""
	}
	if offset += s.o.Offset; s.o.At != nil {
		offset = s.o.At(offset - s.o.Offset)
	}
	return "\x00" + s.o.Place + "\x00" + strconv.FormatUint(offset, 10)
}

// emit completes an event with its id and hands it out.
func (s *stream) emit(e *event.Event) {
	if s.err != nil {
		return
	}
	if e.ID == "" {
		if !s.hashed {
			s.digest, s.hashed = event.LineDigest(e.Format+s.place(s.at), s.raw), true
		}
		ordinal := s.nth
		if s.nth++; s.o.Place == "" {
			ordinal, _ = s.ordinals.next(binary.LittleEndian.Uint64(s.digest[:]))
			ordinal += s.o.FirstOrdinal
		}
		e.ID = s.digest.ID(ordinal)
		e.Flags |= event.FlagGeneratedID
	} else if before, exact := s.ids.next(maphash.String(s.seed, e.ID)); exact && before > 0 {
		s.sum.Repeats++
	}
	if s.broken {
		// The bytes that are no text are kept, written as Go writes strings.
		quoted := strconv.Quote(s.raw)
		e.Flags |= event.FlagInvalidField
		e.AddLabel("invalid.raw", quoted[:min(len(quoted), record.MaxLabelBytes)])
	}
	if err := e.Validate(); err != nil {
		s.err = fmt.Errorf("parser %s made an invalid event: %w", e.Format, err)
		return
	}
	s.sum.Accepted++
	s.sum.Occurrences += uint64(e.Count)
	if e.Count > 1 {
		s.sum.Folded++
	}
	if s.h.Event != nil {
		s.err = s.h.Event(e)
	}
}

// setAside hands out a record that is none.
func (s *stream) setAside(c *chunk, reason string) error {
	source := s.o.Source
	if source == "" {
		source = s.o.DefaultSource
	}
	digest := quarantineDigest(source, reason, s.place(c.offset), c.data)
	ordinal, _ := s.bad.next(binary.LittleEndian.Uint64(digest[:]))
	q := event.Quarantined{
		Tenant: s.o.Tenant, ID: digest.ID(ordinal), Source: source, Reason: reason,
		Line: c.line, Offset: c.offset, ReceivedAt: s.o.Now.UnixNano(),
		Raw: append([]byte(nil), c.data...),
	}
	if c.problem == "" {
		q.Format = s.name
	} else if s.fixed >= 0 {
		q.Format = formats[s.fixed].Name
	} else if s.only != nil {
		q.Format = s.only.Format()
	}
	s.sum.Quarantined++
	if len(s.sum.Errors) < MaxErrors {
		s.sum.Errors = append(s.sum.Errors, LineError{c.line, c.offset, reason})
	}
	if s.h.Quarantined != nil {
		return s.h.Quarantined(&q)
	}
	return nil
}

// QuarantineDigest is what the ids of quarantined lines are made of that were
// told apart by their ordinal alone.
func QuarantineDigest(source, reason string, raw []byte) event.Digest {
	return quarantineDigest(source, reason, "", raw)
}

func quarantineDigest(source, reason, place string, raw []byte) event.Digest {
	return event.LineDigest("quarantine\x00"+source+"\x00"+reason+place, string(raw))
}
