// Package mapping reads formats that a customer describes in YAML instead of
// code: which path of a JSON record, or which part of a line of text, becomes
// which field.
//
//	name: billing
//	match: [{path: kind, equals: audit}]
//	fields:
//	  time: {from: ts, format: unix_ms}
//	  actor: user.email
//	  action: {template: "{object}.{verb}", lower: true}
//	  outcome: {from: ok, table: {"true": success, "false": failure}}
//	  src_ip: [client.ip, forwarded_for]
//	  cohort: {const: staff}
//	labels: rest
//
// For lines of text "pattern" names the parts, with the named patterns of
// patterns.go: '%{IP:client} %{WORD:verb} took %{NUMBER:ms}ms'.
//
// Invariant: a Mapping that was loaded cannot fail to run: patterns compile to
// Go's regexp, whose time is linear in the line, and are tried on at most
// MaxLine bytes; everything has a bound. Errors of a file name its line. A
// Mapping is immutable; each stream has a Reader of its own.
package mapping

import (
	"errors"
	"fmt"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Bounds of a mapping and of what it is run on.
const (
	MaxFile     = 256 << 10 // bytes of YAML
	MaxLine     = 64 << 10  // bytes of a line that patterns see
	maxPatterns = 32
	maxPattern  = 4 << 10 // bytes of one pattern, expanded 16 times as many
	maxFrom     = 32
	maxTable    = 4096
	maxFields   = 64
	maxLabels   = 64
	maxMatch    = 16
)

// Prefix is what stands in front of a mapping's name where a format is named.
const Prefix = "mapping:"

// Mapping is one described format.
type Mapping struct {
	Name  string
	Title string

	sources  []string // globs of log sources; none: all
	text     bool     // lines of text, else JSON
	match    []condition
	patterns []*regexp.Regexp
	fields   []field
	labels   []label
	rest     bool // what no field took becomes labels
	generic  bool // the generic mapper fills what is left
}

// Format is the name of its events' format.
func (m *Mapping) Format() string { return Prefix + m.Name }

// Auto says whether records may be recognised as the mapping's: it has
// conditions or sources, or patterns that a line fits or not.
func (m *Mapping) Auto() bool { return m.text || len(m.match) > 0 || len(m.sources) > 0 }

// For says whether the mapping is meant for a log source.
func (m *Mapping) For(source string) bool {
	for _, g := range m.sources {
		if ok, _ := path.Match(g, source); ok {
			return true
		}
	}
	return len(m.sources) == 0
}

// Text says whether the mapping reads lines of text, else JSON.
func (m *Mapping) Text() bool { return m.text }

type condition struct {
	path    string // lower case; "" for the line of a text mapping
	equals  string
	exists  bool
	pattern *regexp.Regexp
}

// field says how one field is made.
type field struct {
	name     string
	from     []string // lower-case paths, or names of parts
	constant string
	template []part
	pattern  *regexp.Regexp // its first group is taken
	table    map[string]string
	fallback string // for values the table lacks, and for none
	given    bool   // fallback is given
	lower    bool
	formats  []string // of time
	zone     *time.Location
	scale    float64
	required bool
}

type label struct {
	name string
	from []string
}

// part is a piece of a template: text, or a path.
type part struct{ text, path string }

// Load reads a mapping from a file. Errors name file and line.
func Load(path string) (*Mapping, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read mapping: %w", err)
	}
	defer f.Close() //nolint:errcheck // read only
	buf := make([]byte, MaxFile+1)
	n := 0
	for n < len(buf) {
		m, err := f.Read(buf[n:])
		n += m
		if err != nil {
			break
		}
	}
	if n > MaxFile {
		return nil, fmt.Errorf("%s: longer than %d bytes", path, MaxFile)
	}
	m, err := Parse(buf[:n])
	if err != nil {
		var e *Error
		if errors.As(err, &e) {
			e.File = path
		}
		return nil, err
	}
	return m, nil
}

// Error is what is wrong with a mapping.
type Error struct {
	File string // "" when it came from elsewhere
	Line int    // 1-based; 0: the whole
	What string
}

// Error is "FILE:LINE: what".
func (e *Error) Error() string {
	where := e.File
	if where == "" {
		where = "mapping"
	}
	if e.Line > 0 {
		return fmt.Sprintf("%s:%d: %s", where, e.Line, e.What)
	}
	return where + ": " + e.What
}

// fieldNames are the fields of an event that a mapping may fill.
var fieldNames = []string{
	"time", "id", "actor", "actor_type", "action", "outcome", "severity", "class_uid", "activity", "cohort", "session", "src_ip", "country", "city",
	"latitude", "longitude", "asn", "user_agent", "device", "resource", "resource_type", "http_method", "status", "bytes_in", "bytes_out", "duration",
	"count", "source",
}

// Fields lists the fields a mapping may fill, for documents. The slice is the
// caller's.
func Fields() []string { return slices.Clone(fieldNames) }

// template takes "{a.b}.{c}" apart.
func template(s string) ([]part, error) {
	var out []part
	for s != "" {
		i := strings.IndexByte(s, '{')
		if i < 0 {
			return append(out, part{text: s}), nil
		}
		j := strings.IndexByte(s[i:], '}')
		if j < 2 {
			return nil, errors.New(`"{" without a path and "}" behind it`)
		}
		if i > 0 {
			out = append(out, part{text: s[:i]})
		}
		out = append(out, part{path: strings.ToLower(s[i+1 : i+j])})
		if s = s[i+j+1:]; len(out) > 32 {
			return nil, errors.New("more than 32 parts")
		}
	}
	return out, nil
}
