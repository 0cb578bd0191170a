package eventlog

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/segmentio/kafka-go"
)

// Writer writes messages of any form to one topic, for those who send events
// on. It is not the producer of the program's own log.
type Writer struct {
	w    *kafka.Writer
	stop func()
}

// NewWriter checks the configuration; it connects at the first use. Close it.
func NewWriter(cfg Config, topic string) (*Writer, error) {
	if len(cfg.Brokers) == 0 || topic == "" {
		return nil, errors.New("kafka writer: brokers and topic are required")
	}
	cl, stop := cfg.client()
	return &Writer{stop: stop, w: &kafka.Writer{Addr: cl.Addr, Transport: cl.Transport, Topic: topic, Balancer: &kafka.Hash{}, RequiredAcks: kafka.RequireAll,
		BatchTimeout: 2 * time.Millisecond, BatchSize: 1000, Compression: kafka.Lz4, MaxAttempts: 3, AllowAutoTopicCreation: false}}, nil
}

// Write returns when all replicas in sync have the messages; an error may
// leave some of them written.
func (w *Writer) Write(ctx context.Context, keys, values [][]byte) error {
	msgs := make([]kafka.Message, len(values))
	for i := range values {
		msgs[i] = kafka.Message{Key: keys[i], Value: values[i]}
	}
	if err := w.w.WriteMessages(ctx, msgs...); err != nil {
		return fmt.Errorf("write to topic %s: %w", w.w.Topic, err)
	}
	return nil
}

// Close lets go of the connections.
func (w *Writer) Close() error {
	err := w.w.Close()
	w.stop()
	return err
}
