package broker

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"sync"
	"testing"

	"github.com/segmentio/kafka-go"
	"go.uber.org/goleak"
)

const (
	loadEnv = "BROKER_TEST_LOAD_DIR"
	topic   = "access-events.v1"
)

// TestMain lets the test binary play a process under load that is killed.
func TestMain(m *testing.M) {
	if dir := os.Getenv(loadEnv); dir != "" {
		load(dir, SyncMode(os.Getenv("BROKER_TEST_SYNC")))
		return
	}
	goleak.VerifyTestMain(m)
}

func options(dir string) Options {
	return Options{DataDir: dir, Groups: map[string][]string{topic: {"ingest", "detect"}}, Logger: slog.New(slog.DiscardHandler)}
}

func start(t *testing.T, opt Options) *Broker {
	t.Helper()
	b, err := Start(t.Context(), opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(t, b) })
	return b
}

func stop(t *testing.T, b *Broker) {
	t.Helper()
	if err := b.Stop(context.Background()); err != nil {
		t.Error(err)
	}
}

// client is a kafka-go client that reaches b by its dialer.
func client(t *testing.T, b *Broker) *kafka.Client {
	tr := &kafka.Transport{Dial: b.Dial}
	if t != nil {
		t.Cleanup(tr.CloseIdleConnections)
	}
	return &kafka.Client{Addr: kafka.TCP(b.Addrs()...), Transport: tr}
}

// produce sends values as one batch and returns the offset of the first.
func produce(ctx context.Context, c *kafka.Client, partition int, values ...string) (int64, error) {
	recs := make([]kafka.Record, len(values))
	for i, v := range values {
		recs[i] = kafka.Record{Key: kafka.NewBytes([]byte("k")), Value: kafka.NewBytes([]byte(v))}
	}
	resp, err := c.Produce(ctx, &kafka.ProduceRequest{
		Topic: topic, Partition: partition, RequiredAcks: kafka.RequireAll, Compression: kafka.Lz4,
		Records: kafka.NewRecordReader(recs...),
	})
	if err != nil {
		return 0, err
	}
	return resp.BaseOffset, resp.Error
}

func mustProduce(t *testing.T, c *kafka.Client, partition int, values ...string) int64 {
	t.Helper()
	off, err := produce(t.Context(), c, partition, values...)
	if err != nil {
		t.Fatal(err)
	}
	return off
}

// readAll returns the values of a partition by offset, from log start to end.
func readAll(t *testing.T, b *Broker, partition int) (first, end int64, values map[int64]string) {
	t.Helper()
	d := &kafka.Dialer{DialFunc: b.Dial}
	conn, err := d.DialLeader(t.Context(), "tcp", b.Addrs()[0], topic, partition)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if first, end, err = conn.ReadOffsets(); err != nil {
		t.Fatal(err)
	}
	values = make(map[int64]string)
	for next := first; next < end; {
		if _, err := conn.Seek(next, kafka.SeekAbsolute); err != nil {
			t.Fatal(err)
		}
		batch := conn.ReadBatchWith(kafka.ReadBatchConfig{MinBytes: 1, MaxBytes: 10 << 20})
		for {
			msg, err := batch.ReadMessage()
			if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, kafka.ErrGenerationEnded) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			values[msg.Offset] = string(msg.Value)
			next = msg.Offset + 1
		}
		if err := batch.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return first, end, values
}

func commit(t *testing.T, c *kafka.Client, group string, partition int, offset int64, metadata string) {
	t.Helper()
	resp, err := c.OffsetCommit(t.Context(), &kafka.OffsetCommitRequest{
		GroupID: group, GenerationID: -1,
		Topics: map[string][]kafka.OffsetCommit{topic: {{Partition: partition, Offset: offset, Metadata: metadata}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := resp.Topics[topic][0].Error; err != nil {
		t.Fatal(err)
	}
}

func committed(t *testing.T, c *kafka.Client, group string, partition int) (int64, string) {
	t.Helper()
	resp, err := c.OffsetFetch(t.Context(), &kafka.OffsetFetchRequest{GroupID: group, Topics: map[string][]int{topic: {partition}}})
	if err != nil {
		t.Fatal(err)
	}
	p := resp.Topics[topic][0]
	if p.Error != nil {
		t.Fatal(p.Error)
	}
	return p.CommittedOffset, p.Metadata
}

// load produces on four partitions as fast as it is acknowledged, and prints a
// line for every acknowledgement, until it is killed.
func load(dir string, mode SyncMode) {
	opt := options(dir)
	opt.Sync = mode
	opt.SegmentBytes = 64 << 10 // many rolls
	b, err := Start(context.Background(), opt)
	if err == nil {
		err = b.CreateTopic(context.Background(), topic, 4)
	}
	if err != nil {
		fmt.Println("error", err)
		os.Exit(1)
	}
	var mu sync.Mutex
	out := bufio.NewWriter(os.Stdout)
	var wg sync.WaitGroup
	for p := range 4 {
		wg.Go(func() {
			c := client(nil, b)
			for i := 0; ; i++ {
				vs := make([]string, 20)
				for j := range vs {
					vs[j] = fmt.Sprintf("%d:%d:%d:%0100d", os.Getpid(), p, i*len(vs)+j, i)
				}
				off, err := produce(context.Background(), c, p, vs...)
				if err != nil {
					fmt.Println("error", err)
					os.Exit(1)
				}
				mu.Lock()
				for j, v := range vs {
					fmt.Fprintln(out, "ack", p, off+int64(j), v)
				}
				_ = out.Flush()
				mu.Unlock()
			}
		})
	}
	wg.Wait()
}

// rawConn is a connection to the broker without any client.
func rawConn(t *testing.T, b *Broker) net.Conn {
	t.Helper()
	c, err := b.Dial(t.Context(), "tcp", b.Addrs()[0])
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}
