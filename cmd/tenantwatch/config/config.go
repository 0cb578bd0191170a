// Package config is the one place where settings come from: a flag wins over
// TENANTWATCH_* in the environment, that over the YAML file, that over the
// default. Unknown keys are errors, and Validate reports all problems at once,
// before any port opens. Nothing but cmd may import it.
package config

import (
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/tenantwatch/tenantwatch/collector/source"
)

// Secret is a string that never prints itself.
type Secret string

// String hides the secret from logs and `config print`.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return "[redacted]"
}

// MarshalText hides it from encoders.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Config is every setting. The `doc` tag is what `--help` shows.
type Config struct {
	DataDir    string     `koanf:"data_dir" doc:"directory of everything the embedded parts store"`
	Listen     Listen     `koanf:"listen"`
	Log        Log        `koanf:"log"`
	Engine     Engine     `koanf:"engine"`
	Postgres   Postgres   `koanf:"postgres"`
	ClickHouse ClickHouse `koanf:"clickhouse"`
	Broker     Broker     `koanf:"broker"`
	Kafka      Kafka      `koanf:"kafka"`
	Collector  Collector  `koanf:"collector"`
	Enrich     Enrich     `koanf:"enrich"`
	Pipeline   Pipeline   `koanf:"pipeline"`
	Detectors  Detectors  `koanf:"detectors"`
	Webhooks   Webhooks   `koanf:"webhooks"`
	Web        Web        `koanf:"web"`
	Trail      Trail      `koanf:"trail"`
	Auth       Auth       `koanf:"auth"`
	Quotas     Quotas     `koanf:"quotas"`

	// Sources are what the collector fetches or listens for besides its own
	// listeners. They stand in the file only.
	Sources []source.Config `koanf:"-"`
}

// Quotas bound what each tenant may use, over all its keys and people; 0 is no
// bound.
type Quotas struct {
	EventsPerSecond   int64 `koanf:"events_per_second" doc:"events a second that a tenant may push; 0: no bound"`
	EventsPerDay      int64 `koanf:"events_per_day" doc:"events that a tenant may push in a UTC day; 0: no bound"`
	BytesPerDay       int64 `koanf:"bytes_per_day" doc:"bytes (decompressed) that a tenant may push in a UTC day; 0: no bound"`
	RequestsPerSecond int64 `koanf:"requests_per_second" doc:"requests a second to the API that touch a tenant's data; 0: no bound"`
}

// Auth is how people and machines are known.
type Auth struct {
	File        string        `koanf:"file" doc:"YAML file that names OpenID Connect providers and issuers of machines' tokens (docs/identity.md)"`
	SessionIdle time.Duration `koanf:"session_idle" doc:"a session ends after so long without a request"`
	SessionLife time.Duration `koanf:"session_life" doc:"a session ends after so long in any case"`
}

// Trail is the platform's own audit trail.
type Trail struct {
	OperatorTenant string `koanf:"operator_tenant" doc:"existing tenant that gets the operator's own trail (operators' sign-ins, platform settings) as events; default: it stays in PostgreSQL"`
}

// Listen holds the addresses of the three listeners.
type Listen struct {
	API       string `koanf:"api" doc:"address of the API and the dashboard"`
	Collector string `koanf:"collector" doc:"address that takes events"`
	OTLP      string `koanf:"otlp" doc:"address that takes OpenTelemetry logs by gRPC, such as 127.0.0.1:4317; default: none (OTLP/HTTP is at listen.collector)"`
	Ops       string `koanf:"ops" doc:"address of /metrics, /livez and /readyz"`
}

// Log says how to log; logs go to stderr.
type Log struct {
	Level  string `koanf:"level" doc:"debug, info, warn or error"`
	Format string `koanf:"format" doc:"text or json"`
}

// Engine is the embedded ClickHouse engine of up.
type Engine struct {
	Lib    string `koanf:"lib" doc:"path of libchdb.so; default: beside the binary, then build/engine"`
	Memory int64  `koanf:"memory" doc:"most memory the engine may use, in bytes"`
}

// Postgres is where the core service keeps its tables. Under up the embedded
// server is used and DSN stays empty.
type Postgres struct {
	BinDir    string `koanf:"bin_dir" doc:"directory of the PostgreSQL binaries that up starts; default: search the machine"`
	Addr      string `koanf:"addr" doc:"loopback address on which the PostgreSQL of up listens besides its socket; default: none"`
	DSN       Secret `koanf:"dsn" doc:"connection string of the service's login role (serve)"`
	OwnerDSN  Secret `koanf:"owner_dsn" doc:"connection string of the owner, for migrate only"`
	AllowOld  bool   `koanf:"allow_old" doc:"start although the server misses security fixes"`
	MaxConns  int32  `koanf:"max_conns" doc:"connections in the pool"`
	PgBouncer bool   `koanf:"pgbouncer" doc:"the DSN leads through PgBouncer in transaction mode"`
}

// ClickHouse is an outside ClickHouse for serve.
type ClickHouse struct {
	Addr     string `koanf:"addr" doc:"host:port of ClickHouse (serve)"`
	Database string `koanf:"database" doc:"database name"`
	Username string `koanf:"username" doc:"user name"`
	Password Secret `koanf:"password" doc:"password"`
	Protocol string `koanf:"protocol" doc:"native or http"`
	TLS      bool   `koanf:"tls" doc:"use TLS"`
}

// Broker is the embedded Kafka broker of up.
type Broker struct {
	Addr string `koanf:"addr" doc:"loopback address on which other Kafka clients may reach the broker of up; default: none"`
	Sync string `koanf:"sync" doc:"what an acknowledgement means: acks (on disk) or interval (within 100 ms)"`
}

// Kafka is an outside Kafka for serve.
type Kafka struct {
	Brokers    string `koanf:"brokers" doc:"comma-separated host:port list (serve)"`
	TLS        bool   `koanf:"tls" doc:"use TLS"`
	Username   string `koanf:"username" doc:"SASL/SCRAM-SHA-512 user name"`
	Password   Secret `koanf:"password" doc:"SASL/SCRAM-SHA-512 password"`
	Partitions int    `koanf:"partitions" doc:"partitions of access-events.v1 when it is created"`
}

// Collector bounds what the listener takes.
type Collector struct {
	MaxBody         int64         `koanf:"max_body" doc:"largest decompressed request body in bytes"`
	EventsPerSecond float64       `koanf:"events_per_second" doc:"events a second an ingest key may send; 0: no limit"`
	MaxInFlight     int           `koanf:"max_in_flight" doc:"requests worked on at the same time"`
	BufferBytes     int64         `koanf:"buffer_bytes" doc:"most bytes that wait on disk while Kafka is away; when they are reached senders get 503; 0: no buffer"`
	BufferAge       time.Duration `koanf:"buffer_age" doc:"how long the oldest of them may have waited before senders get 503; nothing is dropped for its age"`
	TLSCert         string        `koanf:"tls_cert" doc:"certificate file (PEM) of the listeners for events and OpenTelemetry logs; read again when it changes"`
	TLSKey          string        `koanf:"tls_key" doc:"its private key file (PEM)"`
	Mappings        string        `koanf:"mappings" doc:"directory of described formats (*.yaml, those of one tenant in a subdirectory of its name), read again when they change"`
}

// Enrich names what events are enriched with.
type Enrich struct {
	CityDB string `koanf:"city_db" doc:"MaxMind-format database of places by address (GeoLite2-City and alike), read again when it is replaced; default: events get no place"`
	ASNDB  string `koanf:"asn_db" doc:"MaxMind-format database of networks by address (GeoLite2-ASN and alike), read again when it is replaced; default: events get no ASN"`
}

// Pipeline tunes the way from Kafka to ClickHouse.
type Pipeline struct {
	FlushEvery time.Duration `koanf:"flush_every" doc:"longest wait before read events are written"`
	FlushRows  int           `koanf:"flush_rows" doc:"rows that are written at once at the latest"`
}

// Detectors tunes scoring.
type Detectors struct {
	Budget          float64       `koanf:"budget" doc:"alerts a tenant may expect a day on attack-free traffic"`
	QueueBudget     float64       `koanf:"queue_budget" doc:"alerts an analyst who watches all tenants may expect a day: when the tenants together ask for more, each gets its part; 0: no ceiling"`
	CheckpointEvery time.Duration `koanf:"checkpoint_every" doc:"how often the state is saved"`
}

// Webhooks guards where alerts may be sent.
type Webhooks struct {
	AllowPrivate bool `koanf:"allow_private" doc:"allow endpoints on private and loopback addresses"`
}

// Web is how browsers reach the dashboard.
type Web struct {
	PublicURL string `koanf:"public_url" doc:"address under which people open the dashboard; default http://LISTEN_API"`
	TLSCert   string `koanf:"tls_cert" doc:"file with the certificate chain (PEM): the API speaks TLS and HTTP/2; read again when it changes"`
	TLSKey    string `koanf:"tls_key" doc:"file with its private key (PEM)"`
	Origins   string `koanf:"origins" doc:"origins of other sites whose scripts may call the API with a token, separated by commas; none by default"`
	GraphQL   bool   `koanf:"graphql_introspection" doc:"let clients read the GraphQL schema from /graphql"`
}

// Default is a configuration that runs on one machine.
func Default() Config {
	return Config{
		DataDir:    defaultDataDir(),
		Listen:     Listen{API: "127.0.0.1:8080", Collector: "127.0.0.1:8081", Ops: "127.0.0.1:9464"},
		Log:        Log{Level: "info", Format: "text"},
		Engine:     Engine{Memory: 1 << 30},
		Postgres:   Postgres{MaxConns: 10},
		ClickHouse: ClickHouse{Database: "tenantwatch", Username: "default", Protocol: "native"},
		Broker:     Broker{Sync: "acks"},
		Kafka:      Kafka{Partitions: 4},
		Collector:  Collector{BufferBytes: 1 << 30, BufferAge: 24 * time.Hour, MaxBody: 64 << 20, MaxInFlight: 64},
		Pipeline:   Pipeline{FlushEvery: 250 * time.Millisecond, FlushRows: 50_000},
		Detectors:  Detectors{Budget: 5, CheckpointEvery: 10 * time.Second},
		Auth:       Auth{SessionIdle: 2 * time.Hour, SessionLife: 12 * time.Hour},
	}
}

func defaultDataDir() string {
	if os.Geteuid() == 0 {
		// PostgreSQL refuses root and runs as another user, who cannot enter /root.
		return "/var/lib/tenantwatch"
	}
	if d := os.Getenv("XDG_DATA_HOME"); d != "" {
		return filepath.Join(d, "tenantwatch")
	}
	if h, err := os.UserHomeDir(); err == nil {
		return filepath.Join(h, ".local", "share", "tenantwatch")
	}
	return "tenantwatch-data"
}

// Key describes one setting for --help, `config print` and the docs.
type Key struct {
	Name    string // dotted, e.g. listen.api
	Flag    string // listen-api
	Env     string // TENANTWATCH_LISTEN_API
	Doc     string
	Default any
	Secret  bool
}

// Origin says where the value of a key came from.
type Origin string

// The origins, strongest first.
const (
	FromFlag    Origin = "flag"
	FromEnv     Origin = "environment"
	FromFile    Origin = "file"
	FromDefault Origin = "default"
)

func problem(key, format string, args ...any) error {
	return fmt.Errorf("%s: %s", key, fmt.Sprintf(format, args...))
}
