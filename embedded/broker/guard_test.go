package broker

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/segmentio/kafka-go"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// frame encodes a request as a client would.
func frame(req kmsg.Request, version int16) []byte {
	req.SetVersion(version)
	f := binary.BigEndian.AppendUint16(make([]byte, 4), uint16(req.Key()))
	f = binary.BigEndian.AppendUint16(f, uint16(version))
	f = append(f, 0, 0, 0, 7, 0xff, 0xff)
	if req.IsFlexible() {
		f = append(f, 0)
	}
	f = req.AppendTo(f)
	binary.BigEndian.PutUint32(f, uint32(len(f)-4))
	return f
}

func produceRequest(acks int16, records []byte) *kmsg.ProduceRequest {
	req := kmsg.NewPtrProduceRequest()
	req.Acks = acks
	t := kmsg.NewProduceRequestTopic()
	t.Topic = topic
	p := kmsg.NewProduceRequestTopicPartition()
	p.Records = records
	t.Partitions = append(t.Partitions, p)
	req.Topics = append(req.Topics, t)
	return req
}

func TestMalformedFramesDoNotReachTheBroker(t *testing.T) {
	opt := options(t.TempDir())
	opt.Listen = "127.0.0.1:0"
	b := start(t, opt)
	if err := b.CreateTopic(t.Context(), topic, 1); err != nil {
		t.Fatal(err)
	}
	negative := make([]byte, batchHeader)
	binary.BigEndian.PutUint32(negative[57:], 0xfffffff0) // -16 records
	metadata := frame(kmsg.NewPtrMetadataRequest(), 1)
	create := kmsg.NewPtrCreateTopicsRequest()
	huge := kmsg.NewCreateTopicsRequestTopic()
	huge.Topic, huge.NumPartitions, huge.ReplicationFactor = "x", 1<<30, 1
	create.Topics = append(create.Topics, huge)
	deleteRecords := kmsg.NewPtrDeleteRecordsRequest()
	cases := map[string]struct {
		bytes  []byte
		reason string
	}{
		"http":                 {[]byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n"), "frame_size"},
		"length 2^31":          {[]byte{0x80, 0, 0, 0, 0, 0, 0, 0}, "frame_size"},
		"length -1":            {[]byte{0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0}, "frame_size"},
		"length 0":             {[]byte{0, 0, 0, 0, 0, 0, 0, 0}, "frame_size"},
		"large metadata":       {[]byte{0, 0x60, 0, 0, 0, 3, 0, 1}, "frame_size"},
		"unknown key":          {append([]byte{0, 0, 0, 12}, 0x7f, 0xff, 0, 0, 0, 0, 0, 1, 0xff, 0xff, 0, 0), "forbidden"},
		"negative key":         {append([]byte{0, 0, 0, 12}, 0xff, 0xff, 0, 0, 0, 0, 0, 1, 0xff, 0xff, 0, 0), "forbidden"},
		"negative version":     {append([]byte{0, 0, 0, 12}, 0, 3, 0xff, 0xff, 0, 0, 0, 1, 0xff, 0xff, 0, 0), "malformed"},
		"future version":       {append([]byte{0, 0, 0, 12}, 0, 3, 0x7f, 0xff, 0, 0, 0, 1, 0xff, 0xff, 0, 0), "malformed"},
		"client id too long":   {append([]byte{0, 0, 0, 12}, 0, 3, 0, 1, 0, 0, 0, 1, 0x7f, 0xff, 0, 0), "malformed"},
		"array of 2^31":        {append([]byte{0, 0, 0, 14}, 0, 3, 0, 1, 0, 0, 0, 1, 0xff, 0xff, 0x7f, 0xff, 0xff, 0xff), "malformed"},
		"batch of -16 records": {frame(produceRequest(-1, negative), 7), "malformed"},
		"produce without acks": {frame(produceRequest(0, nil), 7), "forbidden"},
		"a billion partitions": {frame(create, 4), "malformed"},
		"delete records":       {frame(deleteRecords, 1), "forbidden"},
	}
	for _, dial := range []func() net.Conn{
		func() net.Conn { return rawConn(t, b) },
		func() net.Conn {
			c, err := net.Dial("tcp", b.Addrs()[0])
			if err != nil {
				t.Fatal(err)
			}
			return c
		},
	} {
		for name, tc := range cases {
			before := testutil.ToFloat64(b.metrics.refused.WithLabelValues(tc.reason))
			conn := dial()
			_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
			_, _ = conn.Write(tc.bytes) // the broker may hang up half way
			if n, err := io.Copy(io.Discard, conn); n != 0 || errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("%s: got %d bytes back, %v; want the connection closed", name, n, err)
			}
			_ = conn.Close()
			b.awaitConnections(t, 0)
			if after := testutil.ToFloat64(b.metrics.refused.WithLabelValues(tc.reason)); after != before+1 {
				t.Errorf("%s: not counted as %s", name, tc.reason)
			}
		}
		// Random garbage, and a good frame with one byte flipped.
		rnd := rand.New(rand.NewPCG(1, 2))
		for range 200 {
			junk := append([]byte(nil), metadata...)
			if rnd.IntN(2) == 0 {
				junk = make([]byte, 4+rnd.IntN(200))
				for i := range junk {
					junk[i] = byte(rnd.Uint32())
				}
				binary.BigEndian.PutUint32(junk, uint32(len(junk)-4))
			} else {
				junk[4+rnd.IntN(len(junk)-4)] ^= byte(1 + rnd.IntN(255))
			}
			conn := dial()
			_ = conn.SetWriteDeadline(time.Now().Add(10 * time.Second))
			_, _ = conn.Write(junk)
			_ = conn.Close()
		}
	}
	// All the while the broker lives.
	mustProduce(t, client(t, b), 0, "alive")
	if _, end, values := readAll(t, b, 0); end != 1 || values[0] != "alive" {
		t.Fatalf("end %d: %v", end, values)
	}
}

// awaitConnections waits until the guard has n clients.
func (b *Broker) awaitConnections(t *testing.T, n int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for {
		b.guard.mu.Lock()
		have := b.guard.n
		b.guard.mu.Unlock()
		if have == n {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("%d connections, want %d", have, n)
		case <-tick.C:
		}
	}
}

// When a segment cannot be synced, nothing is acknowledged any more, and the
// broker says that it is not ready.
func TestNothingIsAcknowledgedAfterAFailedFsync(t *testing.T) {
	dir := t.TempDir()
	b := start(t, options(dir))
	if err := b.CreateTopic(t.Context(), topic, 1); err != nil {
		t.Fatal(err)
	}
	c := client(t, b)
	mustProduce(t, c, 0, "good")
	// A segment that cannot be opened stands for a disk that fails.
	loop := filepath.Join(dir, "log", "partitions", topic+"-0", "999.dat")
	if err := os.Symlink("999.dat", loop); err != nil {
		t.Fatal(err)
	}
	if _, err := produce(t.Context(), c, 0, "lost"); err == nil {
		t.Fatal("acknowledged without fsync")
	}
	<-b.failed
	if err := b.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "999.dat") {
		t.Fatalf("Run ended with %v", err)
	}
	if s := b.Status(); s.State != "failed" || s.LastError == "" || b.Ready() == nil {
		t.Fatalf("status %+v", s)
	}
	if err := os.Remove(loop); err != nil {
		t.Fatal(err)
	}
	// A later fsync that succeeds proves nothing.
	if _, err := produce(t.Context(), c, 0, "still lost"); err == nil {
		t.Fatal("acknowledged after a failed fsync")
	}
	if err := b.Stop(t.Context()); err == nil {
		t.Fatal("Stop hid the failure")
	}
	b.once.Do(func() {})
	b.stopE = nil // for the clean-up of the test
}

func TestFailedStateLogFailsTheRound(t *testing.T) {
	dir := t.TempDir()
	if err := os.Symlink("groups.log", filepath.Join(dir, "groups.log")); err != nil {
		t.Fatal(err)
	}
	m, err := newMetrics(nil)
	if err != nil {
		t.Fatal(err)
	}
	var said error
	s := newSyncer(dir, m, func(err error) { said = err })
	go s.run(time.Hour)
	if err := s.await(nil); err == nil {
		t.Fatal("the round succeeded")
	}
	if err := s.settle(nil); err == nil {
		t.Fatal("the error is forgotten")
	}
	if err := s.close(); err == nil || said == nil {
		t.Fatalf("closed with %v, said %v", err, said)
	}
}

// One round serves everybody who waits, and covers what was marked before.
func TestGroupCommit(t *testing.T) {
	b := start(t, options(t.TempDir()))
	if err := b.CreateTopic(t.Context(), topic, 4); err != nil {
		t.Fatal(err)
	}
	const workers, each = 16, 20
	errs := make(chan error, workers)
	for w := range workers {
		go func() {
			c := client(nil, b)
			defer c.Transport.(*kafka.Transport).CloseIdleConnections()
			for range each {
				if _, err := produce(context.Background(), c, w%4, "v"); err != nil {
					errs <- err
					return
				}
			}
			errs <- nil
		}()
	}
	for range workers {
		if err := <-errs; err != nil {
			t.Fatal(err)
		}
	}
	var total int64
	for p := range 4 {
		total += b.cluster.PartitionInfo(topic, int32(p)).HighWatermark
	}
	if total != workers*each {
		t.Fatalf("%d records, want %d", total, workers*each)
	}
	b.sync.mu.Lock()
	clean := b.sync.clean()
	b.sync.mu.Unlock()
	if !clean {
		t.Error("acknowledged records are not on disk")
	}
}

func FuzzParse(f *testing.F) {
	f.Add(frame(kmsg.NewPtrMetadataRequest(), 1)[4:])
	f.Add(frame(kmsg.NewPtrApiVersionsRequest(), 3)[4:])
	f.Add(frame(produceRequest(-1, make([]byte, 100)), 7)[4:])
	f.Add(frame(kmsg.NewPtrJoinGroupRequest(), 5)[4:])
	f.Add(frame(kmsg.NewPtrFetchRequest(), 11)[4:])
	f.Add(frame(kmsg.NewPtrOffsetCommitRequest(), 2)[4:])
	f.Fuzz(func(t *testing.T, body []byte) {
		rq, err := parse(body)
		if err == nil && !allowed(kmsg.Key(rq.key)) {
			t.Fatalf("key %d passed", rq.key)
		}
	})
}

func FuzzValidPrefix(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte{2, 0, 0, 0, 1, 2, 3, 4, 1, 0})
	f.Fuzz(func(t *testing.T, raw []byte) {
		if n := validPrefix(raw); n < 0 || n > len(raw) || validPrefix(raw[:n]) != n {
			t.Fatalf("prefix %d of %d", n, len(raw))
		}
	})
}
