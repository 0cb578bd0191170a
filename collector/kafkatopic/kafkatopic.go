// Package kafkatopic is the source that reads a Kafka topic of somebody
// else's, bound to one tenant. It does not know Kafka: the program hands in
// the reader of topics.
//
// Invariant: a partition's offset moves on after the sink acknowledged what
// stands before it. Ids of records that bring none are made of topic,
// partition and offset, so that what comes again is known.
package kafkatopic

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"sort"
	"strings"

	"github.com/tenantwatch/tenantwatch/collector/source"
)

// Options are the source's settings.
type Options struct {
	Brokers   []string `yaml:"brokers" doc:"host:port list"`
	Topic     string   `yaml:"topic" doc:"name of the topic; its messages are JSON or lines of text"`
	Group     string   `yaml:"group" doc:"consumer group; default tenantwatch-source-NAME"`
	TLS       bool     `yaml:"tls" doc:"use TLS"`
	Mechanism string   `yaml:"mechanism" doc:"SCRAM-SHA-512 (default), SCRAM-SHA-256 or PLAIN"`
	Username  string   `yaml:"username" doc:"SASL user name"`
	Password  string   `yaml:"password_file" doc:"file with the SASL password"`
}

// Kind is the line in the table of sources.
func Kind() source.Kind {
	return source.Define(source.Kind{
		Type: "kafka", Title: "A topic of another Kafka", Promise: source.Acknowledging,
		Example: "brokers: [kafka.example:9093]\ntopic: app-audit\ntls: true\n",
	}, check, New)
}

func check(o *Options) error {
	if len(o.Brokers) == 0 || o.Topic == "" {
		return errors.New("brokers and topic are required")
	}
	for _, b := range o.Brokers {
		if _, _, err := net.SplitHostPort(b); err != nil {
			return fmt.Errorf("brokers: %q: want host:port", b)
		}
	}
	switch strings.ToUpper(o.Mechanism) {
	case "", "SCRAM-SHA-512", "SCRAM-SHA-256", "PLAIN":
	default:
		return fmt.Errorf("mechanism %q: want SCRAM-SHA-512, SCRAM-SHA-256 or PLAIN", o.Mechanism)
	}
	if (o.Username == "") != (o.Password == "") {
		return errors.New("username and password_file go together")
	}
	return nil
}

// Source reads one topic.
type Source struct {
	env   source.Env
	topic source.Topic
}

// New makes the source; it connects when it runs.
func New(e source.Env, o Options) (source.Source, error) {
	if err := check(&o); err != nil {
		return nil, err
	}
	if e.Topics == nil {
		return nil, errors.New("this program cannot read topics")
	}
	t := source.Topic{Brokers: o.Brokers, Topic: o.Topic, Group: o.Group, TLS: o.TLS, Mechanism: o.Mechanism, Username: o.Username}
	if t.Group == "" {
		t.Group = "tenantwatch-source-" + e.Name
	}
	if o.Password != "" {
		var err error
		if t.Password, err = source.Secret("password_file", o.Password); err != nil {
			return nil, err
		}
	}
	return &Source{e, t}, nil
}

// Run reads until ctx is done.
func (s *Source) Run(ctx context.Context) error {
	return s.env.Topics(ctx, s.topic, s.handle)
}

// positionBits leave room for the bytes of one message.
const positionBits = 22

// handle hands the messages of one partition on.
func (s *Source) handle(ctx context.Context, place string, messages []source.Message) error {
	var buf []byte
	starts := make([]uint64, len(messages))
	for i, m := range messages {
		starts[i] = uint64(len(buf))
		v := bytes.TrimSpace(m.Value)
		if len(v) == 0 {
			continue
		}
		at := len(buf)
		buf = append(append(buf, v...), '\n')
		if v[0] == '{' || v[0] == '[' { // between JSON's parts the end of a line is space
			for j := at; j < len(buf)-1; j++ {
				if buf[j] == '\n' {
					buf[j] = ' '
				}
			}
		}
	}
	_, err := s.env.Process(ctx, source.Piece{Reader: bytes.NewReader(buf), Source: s.topic.Topic, Place: place, At: func(off uint64) uint64 {
		i := sort.Search(len(starts), func(i int) bool { return starts[i] > off }) - 1
		return uint64(messages[i].Offset)<<positionBits | (off - starts[i])
	}})
	return err
}
