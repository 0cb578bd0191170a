package config

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"net"
	"os"
	"reflect"
	"sort"
	"strings"
	"time"

	"github.com/knadh/koanf/parsers/yaml"
	"github.com/knadh/koanf/providers/confmap"
	"github.com/knadh/koanf/providers/file"
	"github.com/knadh/koanf/v2"
	"github.com/spf13/pflag"
	yamlv3 "go.yaml.in/yaml/v3"

	"github.com/tenantwatch/tenantwatch/collector/source"
	"github.com/tenantwatch/tenantwatch/collector/sources"
	"github.com/tenantwatch/tenantwatch/core/tenant"
)

const envPrefix = "TENANTWATCH_"

// Environment variables of the build and tests that are no settings.
var notSettings = map[string]bool{"TENANTWATCH_TOKEN": true, "TENANTWATCH_URL": true, "TENANTWATCH_CONFIG": true}

// Keys lists every setting in the order of the struct.
func Keys() []Key {
	var out []Key
	d := Default()
	walk(reflect.ValueOf(d), "", func(name string, f reflect.StructField, v reflect.Value) {
		out = append(out, Key{
			Name: name, Flag: strings.NewReplacer(".", "-", "_", "-").Replace(name),
			Env: envPrefix + strings.ToUpper(strings.ReplaceAll(name, ".", "_")),
			Doc: f.Tag.Get("doc"), Default: v.Interface(), Secret: f.Type == reflect.TypeFor[Secret](),
		})
	})
	return out
}

func walk(v reflect.Value, prefix string, fn func(string, reflect.StructField, reflect.Value)) {
	for i := range v.NumField() {
		f := v.Type().Field(i)
		if f.Tag.Get("koanf") == "-" {
			continue
		}
		name := prefix + f.Tag.Get("koanf")
		if f.Type.Kind() == reflect.Struct {
			walk(v.Field(i), name+".", fn)
			continue
		}
		fn(name, f, v.Field(i))
	}
}

// Flags adds a flag for every setting to fs.
func Flags(fs *pflag.FlagSet) {
	for _, k := range Keys() {
		doc := k.Doc + " (" + k.Env + ")"
		switch d := k.Default.(type) {
		case string:
			fs.String(k.Flag, d, doc)
		case Secret:
			// A secret on the command line is seen by every user of the machine.
			continue
		case bool:
			fs.Bool(k.Flag, d, doc)
		case int:
			fs.Int(k.Flag, d, doc)
		case int32:
			fs.Int32(k.Flag, d, doc)
		case int64:
			fs.Int64(k.Flag, d, doc)
		case float64:
			fs.Float64(k.Flag, d, doc)
		case time.Duration:
			fs.Duration(k.Flag, d, doc)
		}
	}
}

// Load reads the configuration. path may be empty; environ is os.Environ().
// The map says where each key's value came from.
func Load(path string, environ []string, fs *pflag.FlagSet) (Config, map[string]Origin, error) {
	k := koanf.New(".")
	origins := map[string]Origin{}
	known := map[string]Key{}
	byEnv := map[string]Key{}
	for _, key := range Keys() {
		known[key.Name], byEnv[key.Env], origins[key.Name] = key, key, FromDefault
	}
	var problems []error
	set := func(name string, value any, from Origin) {
		if err := k.Load(confmap.Provider(map[string]any{name: value}, "."), nil); err != nil {
			problems = append(problems, problem(name, "%v", err))
			return
		}
		origins[name] = from
	}
	var entries []source.Config
	if path != "" {
		problems = append(problems, loadFile(path, known, set, &entries)...)
	}
	problems = append(problems, loadEnv(environ, byEnv, set)...)
	if fs != nil {
		for _, key := range Keys() {
			if f := fs.Lookup(key.Flag); f != nil && f.Changed {
				set(key.Name, f.Value.String(), FromFlag)
			}
		}
	}
	cfg := Default()
	if err := k.UnmarshalWithConf("", &cfg, koanf.UnmarshalConf{Tag: "koanf"}); err != nil {
		problems = append(problems, err)
	}
	cfg.Sources = entries
	problems = append(problems, cfg.Validate())
	return cfg, origins, errors.Join(problems...)
}

func loadFile(path string, known map[string]Key, set func(string, any, Origin), entries *[]source.Config) (problems []error) {
	y := koanf.New(".")
	if err := y.Load(file.Provider(path), yaml.Parser()); err != nil {
		return []error{fmt.Errorf("configuration file %s: %w", path, err)}
	}
	keys := y.Keys()
	sort.Strings(keys)
	for _, name := range keys {
		if base, ok := strings.CutSuffix(name, "_file"); ok && known[base].Secret {
			b, err := os.ReadFile(y.String(name))
			if err != nil {
				problems = append(problems, problem(name, "%v", err))
				continue
			}
			set(base, strings.TrimSpace(string(b)), FromFile)
			continue
		}
		if name == "sources" {
			if err := readSources(y.Get(name), entries); err != nil {
				problems = append(problems, problem(name, "%v", err))
			}
			continue
		}
		if _, ok := known[name]; !ok {
			problems = append(problems, problem(name, "unknown key in %s%s", path, suggest(name, known)))
			continue
		}
		set(name, y.Get(name), FromFile)
	}
	return problems
}

// readSources reads the list of sources strictly.
func readSources(v any, into *[]source.Config) error {
	b, err := yamlv3.Marshal(v)
	if err != nil {
		return err
	}
	d := yamlv3.NewDecoder(bytes.NewReader(b))
	d.KnownFields(true)
	return d.Decode(into)
}

func loadEnv(environ []string, byEnv map[string]Key, set func(string, any, Origin)) (problems []error) {
	for _, kv := range environ {
		name, value, _ := strings.Cut(kv, "=")
		if !strings.HasPrefix(name, envPrefix) || notSettings[name] || strings.HasPrefix(name, envPrefix+"TEST_") || strings.HasPrefix(name, envPrefix+"KILL") {
			continue
		}
		if key, ok := byEnv[name]; ok {
			set(key.Name, value, FromEnv)
			continue
		}
		if base, ok := strings.CutSuffix(name, "_FILE"); ok && byEnv[base].Secret {
			b, err := os.ReadFile(value)
			if err != nil {
				problems = append(problems, problem(name, "%v", err))
				continue
			}
			set(byEnv[base].Name, strings.TrimSpace(string(b)), FromEnv)
			continue
		}
		problems = append(problems, problem(name, "unknown setting in the environment: see `tenantwatch config print`"))
	}
	return problems
}

// suggest names the known key that shares the most with name.
func suggest(name string, known map[string]Key) string {
	best, score := "", 0
	for k := range known {
		n := 0
		for _, part := range strings.FieldsFunc(name, func(r rune) bool { return r == '.' || r == '_' }) {
			if strings.Contains(k, part) {
				n += len(part)
			}
		}
		if n > score || n == score && n > 0 && k < best {
			best, score = k, n
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf("; did you mean %s?", best)
}

// Validate joins every problem, each with its key.
func (c *Config) Validate() error {
	var p []error
	if c.DataDir == "" {
		p = append(p, problem("data_dir", "is empty"))
	}
	for _, l := range []struct{ key, addr string }{{"listen.api", c.Listen.API}, {"listen.collector", c.Listen.Collector}, {"listen.ops", c.Listen.Ops}} {
		if _, _, err := net.SplitHostPort(l.addr); err != nil {
			p = append(p, problem(l.key, "%q is no address: want host:port, such as 127.0.0.1:8080", l.addr))
		}
	}
	if (c.Web.TLSCert == "") != (c.Web.TLSKey == "") {
		p = append(p, problem("web.tls_cert", "and web.tls_key belong together: give both, or none"))
	}
	if l := c.Listen.OTLP; l != "" {
		if _, _, err := net.SplitHostPort(l); err != nil {
			p = append(p, problem("listen.otlp", "%q is no address: want host:port, such as 127.0.0.1:4317", l))
		}
	}
	if (c.Collector.TLSCert == "") != (c.Collector.TLSKey == "") {
		p = append(p, problem("collector.tls_cert", "certificate and key go together: give collector.tls_key too, or neither"))
	}
	oneOf := func(key, v string, allowed ...string) {
		for _, a := range allowed {
			if v == a {
				return
			}
		}
		p = append(p, problem(key, "%q: want one of %s", v, strings.Join(allowed, ", ")))
	}
	oneOf("log.level", c.Log.Level, "debug", "info", "warn", "error")
	oneOf("log.format", c.Log.Format, "text", "json")
	oneOf("clickhouse.protocol", c.ClickHouse.Protocol, "native", "http")
	atLeast := func(key string, v, least float64) {
		if v < least || math.IsNaN(v) {
			p = append(p, problem(key, "%v is too small: at least %v", v, least))
		}
	}
	oneOf("broker.sync", c.Broker.Sync, "acks", "interval")
	atLeast("engine.memory", float64(c.Engine.Memory), 512<<20)
	atLeast("postgres.max_conns", float64(c.Postgres.MaxConns), 2)
	atLeast("kafka.partitions", float64(c.Kafka.Partitions), 1)
	atLeast("collector.max_body", float64(c.Collector.MaxBody), 1<<10)
	atLeast("collector.events_per_second", c.Collector.EventsPerSecond, 0)
	if c.Collector.BufferBytes != 0 {
		atLeast("collector.buffer_bytes", float64(c.Collector.BufferBytes), 16<<20)
	}
	atLeast("collector.buffer_age", c.Collector.BufferAge.Seconds(), 60)
	atLeast("collector.max_in_flight", float64(c.Collector.MaxInFlight), 1)
	atLeast("pipeline.flush_rows", float64(c.Pipeline.FlushRows), 1)
	atLeast("pipeline.flush_every", c.Pipeline.FlushEvery.Seconds(), 0.001)
	atLeast("detectors.budget", c.Detectors.Budget, 0.01)
	atLeast("detectors.queue_budget", c.Detectors.QueueBudget, 0)
	atLeast("detectors.checkpoint_every", c.Detectors.CheckpointEvery.Seconds(), 0.1)
	atLeast("quotas.events_per_second", float64(c.Quotas.EventsPerSecond), 0)
	atLeast("quotas.events_per_day", float64(c.Quotas.EventsPerDay), 0)
	atLeast("quotas.bytes_per_day", float64(c.Quotas.BytesPerDay), 0)
	atLeast("quotas.requests_per_second", float64(c.Quotas.RequestsPerSecond), 0)
	atLeast("auth.session_idle", c.Auth.SessionIdle.Seconds(), 60)
	atLeast("auth.session_life", c.Auth.SessionLife.Seconds(), c.Auth.SessionIdle.Seconds())
	if own := c.Trail.OperatorTenant; own != "" {
		if _, err := tenant.Parse(own); err != nil {
			p = append(p, problem("trail.operator_tenant", "%v", err))
		}
	}
	if err := sources.Check(c.Sources); err != nil {
		p = append(p, err)
	}
	return errors.Join(p...)
}

// Value is one setting as it is.
type Value struct {
	Name, Env string
	Value     any
}

// Values lists cfg key by key; secrets print as [redacted].
func Values(cfg *Config) []Value {
	var out []Value
	walk(reflect.ValueOf(*cfg), "", func(name string, _ reflect.StructField, v reflect.Value) {
		out = append(out, Value{name, envPrefix + strings.ToUpper(strings.ReplaceAll(name, ".", "_")), v.Interface()})
	})
	return out
}
