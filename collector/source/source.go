// Package source is what the configured sources stand on: what a source is
// told, how its options are read, what it reports, and the promise it makes.
// Each kind of source is a package of its own and a line in the table of
// package sources.
//
// Invariant: the tenant is the configuration's (or a verified certificate's),
// never the data's. The package knows no kind of source.
package source

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/tenantwatch/tenantwatch/collector"
	"github.com/tenantwatch/tenantwatch/collector/parse/mapping"
	"github.com/tenantwatch/tenantwatch/core/tenant"
)

// Promise is what a kind of source guarantees.
type Promise string

// The promises. An acknowledging source moves on (answers, commits, stores its
// cursor) only after the sink has acknowledged. A best effort one cannot be
// asked again: it is held to back-pressure where the transport has any, to a
// drain at a clean shutdown, and to counting what it sees lost.
const (
	Acknowledging Promise = "acknowledging"
	BestEffort    Promise = "best effort"
)

// Source is one configured source.
type Source interface {
	// Run takes events in until ctx is done, hands on what it holds, and
	// returns nil. What may pass by itself is waited for and logged.
	Run(ctx context.Context) error
}

// Config is one entry of `sources:` in the configuration.
type Config struct {
	Name    string         `yaml:"name" koanf:"name"`
	Type    string         `yaml:"type" koanf:"type"`
	Tenant  string         `yaml:"tenant" koanf:"tenant"`
	Format  string         `yaml:"format" koanf:"format"`
	Zone    string         `yaml:"tz" koanf:"tz"`
	Options map[string]any `yaml:"options" koanf:"options"`
}

// String names the source without its options.
func (c Config) String() string { return fmt.Sprintf("%s (%s of %s)", c.Name, c.Type, c.Tenant) }

// Env is what the program hands to a source.
type Env struct {
	Name     string
	Tenant   tenant.ID // zero only where the kind takes it from a certificate
	Format   string    // "" is auto
	Zone     *time.Location
	Mappings func(tenant.ID, string) []*mapping.Mapping // nil: none
	Sink     collector.Sink
	StateDir string // the source's own directory; made when it is not there
	Logger   *slog.Logger
	Meter    *Meter
	Now      func() time.Time
	// Topics reads somebody else's Kafka topic; nil: not possible here.
	Topics TopicReader
}

// Topic says which topic of which cluster to read.
type Topic struct {
	Brokers                       []string
	Topic, Group                  string
	TLS                           bool
	Mechanism, Username, Password string
}

// Message is one record of a topic.
type Message struct {
	Offset int64
	Value  []byte
}

// TopicReader reads a topic as a member of a group until ctx is done. handle
// is called with the messages of one partition, in order and one call at a
// time for it; place names the partition for ever. The group's offset moves on
// when handle returned nil; messages may come again.
type TopicReader func(ctx context.Context, t Topic, handle func(ctx context.Context, place string, m []Message) error) error

// Piece is a part of what a source reads.
type Piece struct {
	Tenant tenant.ID // zero: the source's
	Reader io.Reader
	Source string // the log source where lines name none; "" is the source's name
	Format string // "" is the source's
	Place  string
	Offset uint64
	At     func(uint64) uint64
	Year   int
}

// Process parses a piece, delivers it, and counts it.
func (e *Env) Process(ctx context.Context, p Piece) (collector.Result, error) {
	proc, err := collector.NewProcessor(collector.ProcessorOptions{Sink: e.Sink})
	if err != nil {
		return collector.Result{}, err
	}
	s := collector.Stream{Tenant: p.Tenant, DefaultSource: p.Source, Format: p.Format, Now: e.Now(), Zone: e.Zone, Year: p.Year, Place: p.Place, Offset: p.Offset, At: p.At}
	if s.Tenant.IsZero() {
		s.Tenant = e.Tenant
	}
	if s.DefaultSource == "" {
		s.DefaultSource = e.Name
	}
	if s.Format == "" {
		s.Format = e.Format
	}
	if e.Mappings != nil {
		s.Mappings = e.Mappings(s.Tenant, s.DefaultSource)
	}
	res, err := proc.Process(ctx, p.Reader, s)
	e.Meter.took(&res, err, e.Now())
	return res, err
}

// Kind is one kind of source: a line in the table.
type Kind struct {
	Type    string // as in the configuration
	Title   string
	Promise Promise
	// TenantFromCertificate: the entry may leave the tenant out.
	TenantFromCertificate bool
	Example               string // its options, YAML
	Options               []Option
	// New checks the options and makes the source; it starts nothing and opens
	// nothing but what has to be there before (a certificate, a secret).
	New func(Env, map[string]any) (Source, error)
	// Check checks the options alone.
	Check func(map[string]any) error
}

// Option describes one option for documents.
type Option struct{ Name, Doc string }

// Define makes a Kind whose options are the fields of T: tags `yaml` (name)
// and `doc`. check may be nil; it also fills in defaults.
func Define[T any](k Kind, check func(*T) error, make func(Env, T) (Source, error)) Kind {
	t := reflect.TypeFor[T]()
	for i := range t.NumField() {
		f := t.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		k.Options = append(k.Options, Option{name, f.Tag.Get("doc")})
	}
	read := func(m map[string]any) (T, error) {
		var o T
		if err := decode(m, &o); err != nil {
			return o, err
		}
		if check != nil {
			return o, check(&o)
		}
		return o, nil
	}
	k.Check = func(m map[string]any) error { _, err := read(m); return err }
	k.New = func(e Env, m map[string]any) (Source, error) {
		o, err := read(m)
		if err != nil {
			return nil, err
		}
		return make(e, o)
	}
	return k
}

// decode reads options strictly: unknown keys are errors.
func decode(m map[string]any, into any) error {
	b, err := yaml.Marshal(m)
	if err != nil {
		return err
	}
	d := yaml.NewDecoder(bytes.NewReader(b))
	d.KnownFields(true)
	if err := d.Decode(into); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	return nil
}

// Secret reads a secret from a file.
func Secret(option, path string) (string, error) {
	if path == "" {
		return "", fmt.Errorf("%s is missing: the path of a file that holds the secret", option)
	}
	b, err := os.ReadFile(path) //nolint:gosec // named by the operator
	if err != nil {
		return "", fmt.Errorf("%s: %w", option, err)
	}
	s := strings.TrimSpace(string(b))
	if s == "" {
		return "", fmt.Errorf("%s: %s is empty", option, path)
	}
	return s, nil
}

// Load reads a source's state; none is no error.
func (e *Env) Load(name string, into func([]byte) error) error {
	b, err := os.ReadFile(filepath.Join(e.StateDir, name)) //nolint:gosec // our own directory
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("state of source %s: %w", e.Name, err)
	}
	if err := into(b); err != nil {
		return fmt.Errorf("state of source %s: %s: %w", e.Name, name, err)
	}
	return nil
}

// Save replaces a source's state; it is on disk when Save returns. Only what
// the sink has acknowledged belongs into it.
func (e *Env) Save(name string, b []byte) error {
	if err := os.MkdirAll(e.StateDir, 0o700); err != nil {
		return err
	}
	path := filepath.Join(e.StateDir, name)
	f, err := os.OpenFile(path+".new", os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("state of source %s: %w", e.Name, err)
	}
	_, err = f.Write(b)
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = os.Rename(path+".new", path)
	}
	if err != nil {
		return fmt.Errorf("state of source %s: %w", e.Name, err)
	}
	return nil
}

// Sleep waits; false when ctx ended first.
func Sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// Steady is a sink for sources that cannot be asked again: it tries until the
// next sink takes the delivery, which holds the source back, and gives up only
// when ctx ends or the sink refuses the delivery for good.
type Steady struct{ Next collector.Sink }

// Deliver delivers in the end.
func (s Steady) Deliver(ctx context.Context, d collector.Delivery) error {
	for pause := 50 * time.Millisecond; ; pause = min(2*pause, 2*time.Second) {
		err := s.Next.Deliver(ctx, d)
		if err == nil || ctx.Err() != nil || errors.Is(err, collector.ErrRefused) {
			return err
		}
		if !Sleep(ctx, pause) {
			return err
		}
	}
}
