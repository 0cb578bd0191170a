package eventlog

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"
)

// maxMessageBytes is the topics' limit for one batch, so that a single large
// line fits; producer batches stay far below.
const maxMessageBytes = 4 << 20

// EnsureTopics creates the two topics where they are missing and waits until
// the broker serves them. Existing ones are left as they are.
func EnsureTopics(ctx context.Context, cfg Config) error {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return err
	}
	cl, stop := cfg.client()
	defer stop()
	for _, t := range []struct {
		name string
		n    int
	}{{cfg.EventsTopic, cfg.Partitions}, {cfg.QuarantineTopic, cfg.QuarantinePartitions}} {
		if err := ensureTopic(ctx, cl, cfg, t.name, t.n); err != nil {
			return fmt.Errorf("create topic %s: %w", t.name, err)
		}
	}
	return nil
}

func ensureTopic(ctx context.Context, cl *kafka.Client, cfg Config, name string, partitions int) error {
	b := newBackoff(50*time.Millisecond, time.Second)
	created := false
	for {
		id, n, err := topicInfo(ctx, cl, name)
		if err == nil && n > 0 {
			cfg.Logger.Info("topic ready", "topic", name, "topic_id", id, "partitions", n)
			return nil
		}
		if errors.Is(err, kafka.UnknownTopicOrPartition) && !created {
			entries := []kafka.ConfigEntry{{ConfigName: "max.message.bytes", ConfigValue: strconv.Itoa(maxMessageBytes)}}
			if cfg.Retention != 0 {
				entries = append(entries, kafka.ConfigEntry{ConfigName: "retention.ms", ConfigValue: strconv.FormatInt(max(cfg.Retention.Milliseconds(), -1), 10)})
			}
			res, cerr := cl.CreateTopics(ctx, &kafka.CreateTopicsRequest{Topics: []kafka.TopicConfig{{
				Topic: name, NumPartitions: partitions, ReplicationFactor: max(cfg.Replication, -1), ConfigEntries: entries,
			}}})
			if cerr == nil {
				cerr = res.Errors[name]
			}
			switch {
			case cerr == nil || errors.Is(cerr, kafka.TopicAlreadyExists):
				created = true
				continue
			case !retryable(cerr):
				return cerr
			}
			err = cerr
		} else if err != nil && !retryable(err) && !errors.Is(err, kafka.UnknownTopicOrPartition) {
			return err
		}
		if werr := b.wait(ctx); werr != nil {
			return errors.Join(werr, err)
		}
	}
}

// topicInfo asks the broker for a topic's id and number of partitions.
func topicInfo(ctx context.Context, cl *kafka.Client, topic string) (id string, partitions int, err error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	res, err := cl.Transport.RoundTrip(ctx, cl.Addr, &topicRequest{topic: topic})
	if err != nil {
		return "", 0, fmt.Errorf("ask for topic %s: %w", topic, err)
	}
	r := res.(*topicResponse)
	if r.code != 0 {
		return "", 0, fmt.Errorf("ask for topic %s: %w", topic, kafka.Error(r.code))
	}
	return r.id, r.partitions, nil
}

// topicRequest is a Metadata request in version 10, the first that tells topic
// ids; the client library stops at 8. It travels through the library's own
// connections by its hook for raw exchanges.
type topicRequest struct{ topic string }

type topicResponse struct {
	code       int16
	id         string
	partitions int
}

func (*topicRequest) ApiKey() protocol.ApiKey  { return protocol.Metadata }
func (*topicResponse) ApiKey() protocol.ApiKey { return protocol.Metadata }

// Required says that the message is always exchanged raw.
func (*topicRequest) Required(map[protocol.ApiKey]int16) bool { return true }

// RawExchange writes the request and reads its answer.
// Protocol: https://kafka.apache.org/protocol.html, Metadata v10 (flexible).
func (r *topicRequest) RawExchange(rw io.ReadWriter) (protocol.Message, error) {
	const version, correlation = 10, 1
	b := binary.BigEndian.AppendUint32(nil, 0)
	b = binary.BigEndian.AppendUint16(b, uint16(protocol.Metadata))
	b = binary.BigEndian.AppendUint16(b, version)
	b = binary.BigEndian.AppendUint32(b, correlation)
	b = binary.BigEndian.AppendUint16(b, 0xffff) // no client id
	b = append(b, 0)                             // no tagged fields in the header
	b = append(b, 2)                             // one topic
	b = append(b, make([]byte, 16)...)           // by name, not by id
	b = binary.AppendUvarint(b, uint64(len(r.topic)+1))
	b = append(b, r.topic...)
	b = append(b, 0, 0, 0, 0, 0) // tags; no auto creation; no operations, twice; tags
	binary.BigEndian.PutUint32(b, uint32(len(b)-4))
	if _, err := rw.Write(b); err != nil {
		return nil, err
	}
	var size [4]byte
	if _, err := io.ReadFull(rw, size[:]); err != nil {
		return nil, err
	}
	n := binary.BigEndian.Uint32(size[:])
	if n > 16<<20 {
		return nil, fmt.Errorf("metadata answer of %d bytes", n)
	}
	body := make([]byte, n)
	if _, err := io.ReadFull(rw, body); err != nil {
		return nil, err
	}
	return parseTopic(body, r.topic)
}

func parseTopic(body []byte, want string) (*topicResponse, error) {
	d := wire{b: body}
	d.skip(4) // correlation id
	d.tags()
	d.skip(4) // throttle
	for range d.count() {
		d.skip(4)
		d.text()
		d.skip(4)
		d.text()
		d.tags()
	}
	d.text()
	d.skip(4)
	var out *topicResponse
	for range d.count() {
		t := topicResponse{code: int16(binary.BigEndian.Uint16(d.take(2)))}
		name := d.text()
		id := d.take(16)
		if !bytes.Equal(id, make([]byte, 16)) {
			t.id = hex.EncodeToString(id)
		}
		d.skip(1)
		for range d.count() {
			d.skip(2 + 4 + 4 + 4)
			for range 3 {
				d.skip(4 * d.count())
			}
			d.tags()
			t.partitions++
		}
		d.skip(4)
		d.tags()
		if name == want {
			out = &t
		}
	}
	if d.bad || out == nil {
		return nil, fmt.Errorf("topic %s: the broker's metadata answer cannot be read: want Kafka 2.8 or later", want)
	}
	return out, nil
}

// wire reads Kafka's flexible encoding; running out of bytes sticks.
type wire struct {
	b   []byte
	bad bool
}

func (w *wire) take(n int) []byte {
	if n < 0 || n > len(w.b) {
		w.bad, w.b = true, nil
		return make([]byte, max(min(n, 16), 0))
	}
	v := w.b[:n]
	w.b = w.b[n:]
	return v
}

func (w *wire) skip(n int) { w.take(n) }

func (w *wire) uvarint() uint64 {
	v, n := binary.Uvarint(w.b)
	if n <= 0 || v > 16<<20 {
		w.bad, w.b = true, nil
		return 0
	}
	w.b = w.b[n:]
	return v
}

// count reads the length of a compact array; null is empty.
func (w *wire) count() int { return max(int(w.uvarint())-1, 0) }

func (w *wire) text() string { return string(w.take(w.count())) }

func (w *wire) tags() {
	for range w.uvarint() {
		w.uvarint()
		w.skip(int(w.uvarint()))
		if w.bad {
			return
		}
	}
}
