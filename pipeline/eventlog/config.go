package eventlog

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/sasl"
	"github.com/segmentio/kafka-go/sasl/plain"
	"github.com/segmentio/kafka-go/sasl/scram"
)

// The topics of the contract.
const (
	EventsTopic     = "access-events.v1"
	QuarantineTopic = "quarantine.v1"
)

// Config says how to reach the log. The zero value of every field but Brokers
// has a working default.
type Config struct {
	Brokers  []string // host:port, at least one
	ClientID string   // default "tenantwatch"
	// Dial opens connections instead of the network's own dialer; the embedded
	// broker hands in one that reaches its socket. It gets the broker's
	// advertised address.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	TLS  *tls.Config // nil: plain text
	SASL SASL        // zero: none

	EventsTopic          string        // default EventsTopic
	QuarantineTopic      string        // default QuarantineTopic
	Partitions           int           // of the events topic when it is created; default 4
	QuarantinePartitions int           // likewise; default 1
	Replication          int           // likewise; default 1, or the broker's default when negative
	Retention            time.Duration // likewise; 0: the broker's default, negative: unlimited
	Compression          string        // of produced batches: lz4 (default), zstd, snappy, gzip, none

	Logger  *slog.Logger          // default: discards
	Metrics prometheus.Registerer // nil: none
}

// SASL are the credentials of one principal.
type SASL struct {
	Mechanism string // SCRAM-SHA-512 (default), SCRAM-SHA-256 or PLAIN
	Username  string // empty: no authentication
	Password  string
}

const (
	defaultPartitions = 4
	dialTimeout       = 5 * time.Second
	// requestTimeout bounds one request. The client tells the broker half of
	// it as the time to wait for replicas; without it that is 500 ms.
	requestTimeout = 10 * time.Second
)

func (c Config) withDefaults() (Config, error) {
	if len(c.Brokers) == 0 {
		return c, errors.New("event log: no broker address given: want at least one host:port")
	}
	for _, b := range c.Brokers {
		if _, _, err := net.SplitHostPort(b); err != nil {
			return c, fmt.Errorf("event log: broker address %q: want host:port: %w", b, err)
		}
	}
	def := func(s *string, v string) {
		if *s == "" {
			*s = v
		}
	}
	def(&c.ClientID, "tenantwatch")
	def(&c.EventsTopic, EventsTopic)
	def(&c.QuarantineTopic, QuarantineTopic)
	def(&c.Compression, "lz4")
	if c.Partitions == 0 {
		c.Partitions = defaultPartitions
	}
	if c.QuarantinePartitions == 0 {
		c.QuarantinePartitions = 1
	}
	if c.Replication == 0 {
		c.Replication = 1
	}
	if c.Partitions < 0 || c.QuarantinePartitions < 0 {
		return c, errors.New("event log: partitions must be positive")
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if _, err := c.compression(); err != nil {
		return c, err
	}
	if _, err := c.mechanism(); err != nil {
		return c, err
	}
	return c, nil
}

func (c Config) compression() (kafka.Compression, error) {
	switch c.Compression {
	case "none":
		return 0, nil
	case "gzip":
		return kafka.Gzip, nil
	case "snappy":
		return kafka.Snappy, nil
	case "lz4":
		return kafka.Lz4, nil
	case "zstd":
		return kafka.Zstd, nil
	}
	return 0, fmt.Errorf("event log: compression %q: want lz4, zstd, snappy, gzip or none", c.Compression)
}

func (c Config) mechanism() (sasl.Mechanism, error) {
	if c.SASL.Username == "" {
		return nil, nil
	}
	var (
		m   sasl.Mechanism
		err error
	)
	switch strings.ToUpper(c.SASL.Mechanism) {
	case "", "SCRAM-SHA-512":
		m, err = scram.Mechanism(scram.SHA512, c.SASL.Username, c.SASL.Password)
	case "SCRAM-SHA-256":
		m, err = scram.Mechanism(scram.SHA256, c.SASL.Username, c.SASL.Password)
	case "PLAIN":
		m = plain.Mechanism{Username: c.SASL.Username, Password: c.SASL.Password}
	default:
		return nil, fmt.Errorf("event log: SASL mechanism %q: want SCRAM-SHA-512, SCRAM-SHA-256 or PLAIN", c.SASL.Mechanism)
	}
	if err != nil {
		return nil, fmt.Errorf("event log: SASL credentials: %w", err)
	}
	return m, nil
}

// transport makes the client's connection pool. stop ends its goroutines.
func (c Config) client() (cl *kafka.Client, stop func()) {
	mech, _ := c.mechanism() //nolint:errcheck // checked by withDefaults
	ctx, cancel := context.WithCancel(context.Background())
	tr := &kafka.Transport{
		Dial:        c.dial(),
		DialTimeout: dialTimeout,
		IdleTimeout: time.Minute,
		ClientID:    c.ClientID,
		TLS:         c.TLS,
		SASL:        mech,
		Context:     ctx,
	}
	cl = &kafka.Client{Addr: kafka.TCP(c.Brokers...), Timeout: requestTimeout, Transport: tr}
	return cl, func() {
		tr.CloseIdleConnections()
		cancel()
	}
}

func (c Config) dialer() *kafka.Dialer {
	mech, _ := c.mechanism() //nolint:errcheck // checked by withDefaults
	return &kafka.Dialer{ClientID: c.ClientID, DialFunc: c.dial(), Timeout: dialTimeout, TLS: c.TLS, SASLMechanism: mech}
}

func (c Config) dial() func(ctx context.Context, network, address string) (net.Conn, error) {
	if c.Dial != nil {
		return c.Dial
	}
	return (&net.Dialer{Timeout: dialTimeout, KeepAlive: 30 * time.Second}).DialContext
}
