package broker

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/segmentio/kafka-go"

	"github.com/tenantwatch/tenantwatch/embedded/process"
)

func TestProduceConsumeCommitRestart(t *testing.T) {
	dir := t.TempDir()
	reg := prometheus.NewRegistry()
	opt := options(dir)
	opt.Metrics = reg
	b := start(t, opt)
	if err := b.Ready(); err != nil {
		t.Fatal(err)
	}
	c := client(t, b)
	// The settings of a real cluster are not those of this broker.
	created, err := c.CreateTopics(t.Context(), &kafka.CreateTopicsRequest{Topics: []kafka.TopicConfig{{
		Topic: topic, NumPartitions: 2, ReplicationFactor: 1,
		ConfigEntries: []kafka.ConfigEntry{{ConfigName: "retention.ms", ConfigValue: "1"}, {ConfigName: "compression.type", ConfigValue: "producer"}},
	}}})
	if err != nil || created.Errors[topic] != nil {
		t.Fatal(err, created)
	}
	info := b.cluster.TopicInfo(topic)
	if _, ok := info.Configs["retention.ms"]; ok || info.Configs["compression.type"] == nil {
		t.Fatalf("topic settings: %v", info.Configs)
	}
	if off := mustProduce(t, c, 1, "a", "b", "c"); off != 0 {
		t.Fatalf("first offset %d", off)
	}

	// A consumer group as kafka-go runs it, through the dialer.
	group, err := kafka.NewConsumerGroup(kafka.ConsumerGroupConfig{
		ID: "ingest", Brokers: b.Addrs(), Topics: []string{topic}, Dialer: &kafka.Dialer{DialFunc: b.Dial}, StartOffset: kafka.FirstOffset,
	})
	if err != nil {
		t.Fatal(err)
	}
	gen, err := group.Next(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if got := len(gen.Assignments[topic]); got != 2 {
		t.Fatalf("assigned %d partitions", got)
	}
	if err := gen.CommitOffsets(map[string]map[int]int64{topic: {1: 2}}); err != nil {
		t.Fatal(err)
	}
	if err := group.Close(); err != nil {
		t.Fatal(err)
	}
	commit(t, c, "detect", 1, 1, `{"intent":"x"}`)
	stop(t, b)
	<-b.Done()
	if err := b.Ready(); err == nil {
		t.Error("a stopped broker is ready")
	}
	if _, err := b.Dial(t.Context(), "tcp", b.Addrs()[0]); err == nil {
		t.Error("a stopped broker can be dialled")
	}

	b = start(t, options(dir))
	c = client(t, b)
	if again := b.cluster.TopicInfo(topic); again == nil || again.TopicID != info.TopicID {
		t.Fatalf("topic id was %x, is %+v", info.TopicID, again)
	}
	if off, _ := committed(t, c, "ingest", 1); off != 2 {
		t.Errorf("offset of ingest: %d", off)
	}
	if off, meta := committed(t, c, "detect", 1); off != 1 || meta != `{"intent":"x"}` {
		t.Errorf("offset of detect: %d %q", off, meta)
	}
	first, end, values := readAll(t, b, 1)
	if first != 0 || end != 3 || values[0]+values[1]+values[2] != "abc" {
		t.Fatalf("%d..%d: %v", first, end, values)
	}
	if off := mustProduce(t, c, 1, "d"); off != 3 {
		t.Errorf("the next offset is %d", off)
	}
	if mfs, err := reg.Gather(); err != nil || len(mfs) == 0 {
		t.Errorf("metrics: %v, %v", mfs, err)
	}
}

// kill -9 under load, again and again: every acknowledged record is there, at
// its offset.
func TestKillNineLosesNothing(t *testing.T) {
	for _, mode := range []SyncMode{SyncAcks, SyncInterval} {
		t.Run(string(mode), func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			acked := make([]map[int64]string, 4)
			for p := range acked {
				acked[p] = make(map[int64]string)
			}
			total := 0
			for round := range 5 {
				total += runLoad(t, dir, mode, acked, 400+300*round)
			}
			b := start(t, options(dir))
			for p := range acked {
				first, end, values := readAll(t, b, p)
				if first != 0 || int64(len(values)) != end {
					t.Errorf("partition %d: %d values in %d..%d", p, len(values), first, end)
				}
				for off, want := range acked[p] {
					if values[off] != want {
						t.Fatalf("partition %d offset %d: acknowledged %q, found %q", p, off, want, values[off])
					}
				}
			}
			t.Logf("%d acknowledged records over 5 kills, all found", total)
		})
	}
}

// runLoad runs the load until it has acknowledged n records, and kills it.
func runLoad(t *testing.T, dir string, mode SyncMode, acked []map[int64]string, n int) int {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), loadEnv+"="+dir, "BROKER_TEST_SYNC="+string(mode))
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	killed := false
	count := 0
	sc := bufio.NewScanner(out)
	for sc.Scan() {
		var p int
		var off int64
		var v string
		if _, err := fmt.Sscanf(sc.Text(), "ack %d %d %s", &p, &off, &v); err != nil || len(v) < 100 {
			if killed { // the last line may be cut
				break
			}
			t.Fatalf("load said %q", sc.Text())
		}
		if was, ok := acked[p][off]; ok {
			t.Fatalf("offset %d of partition %d was given twice: to %s and %s", off, p, was, v)
		}
		acked[p][off] = v
		if count++; count >= n && !killed {
			killed = true
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	_ = cmd.Wait()
	if !killed {
		t.Fatal("the load ended by itself")
	}
	return count
}

// Members that died with their process must not make new ones wait for their
// session to time out (30 s): neither after an ordered stop, at which kfake
// saves them, nor after a kill.
func TestGroupJoinsAtOnceAfterRestart(t *testing.T) {
	dir := t.TempDir()
	join := func(b *Broker) *kafka.ConsumerGroup {
		t.Helper()
		g, err := kafka.NewConsumerGroup(kafka.ConsumerGroupConfig{
			ID: "ingest", Brokers: b.Addrs(), Topics: []string{topic}, Dialer: &kafka.Dialer{DialFunc: b.Dial},
		})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		if _, err := g.Next(ctx); err != nil {
			t.Fatalf("join: %v", err)
		}
		return g
	}
	b := start(t, options(dir))
	if err := b.CreateTopic(t.Context(), topic, 2); err != nil {
		t.Fatal(err)
	}
	left := join(b) // still a member when the broker stops
	stop(t, b)
	_ = left.Close()
	if _, err := os.Stat(filepath.Join(dir, "log", "session_state.json")); err != nil {
		t.Fatalf("nothing to test: the member was not saved: %v", err)
	}
	b = start(t, options(dir))
	if err := join(b).Close(); err != nil {
		t.Fatal(err)
	}
}

func TestSecondStartIsRefused(t *testing.T) {
	dir := t.TempDir()
	start(t, options(dir))
	_, err := Start(t.Context(), options(dir))
	if !errors.Is(err, process.ErrLocked) || !strings.Contains(err.Error(), dir) || !strings.Contains(err.Error(), fmt.Sprint(os.Getpid())) {
		t.Fatalf("want a lock error that names directory and process: %v", err)
	}
}

func TestUnusableDirectory(t *testing.T) {
	base := t.TempDir()
	file := filepath.Join(base, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	// /proc stands for a file system that takes no files, also for root.
	for _, dir := range []string{filepath.Join(file, "x"), "/proc/self", "/dev/full/x"} {
		_, err := Start(t.Context(), options(dir))
		if err == nil || !strings.Contains(err.Error(), "--data-dir") {
			t.Errorf("%s: %v", dir, err)
		}
	}
	for name, change := range map[string]func(*Options){
		"DataDir": func(o *Options) { o.DataDir = "" },
		"Groups":  func(o *Options) { o.Groups = nil },
		"Sync":    func(o *Options) { o.Sync = "never" },
		"Listen":  func(o *Options) { o.Listen = "0.0.0.0:9092" },
		"Frame":   func(o *Options) { o.MaxFrameBytes = 1 << 30 },
	} {
		opt := options(base)
		change(&opt)
		if _, err := Start(t.Context(), opt); err == nil {
			t.Errorf("a bad %s was accepted", name)
		}
	}
}

func TestListener(t *testing.T) {
	opt := options(t.TempDir())
	opt.Listen = "127.0.0.1:0"
	b := start(t, opt)
	if err := b.CreateTopic(t.Context(), topic, 1); err != nil {
		t.Fatal(err)
	}
	// Over TCP, without our dialer, and in the process: the same log.
	tr := &kafka.Transport{}
	defer tr.CloseIdleConnections()
	over := &kafka.Client{Addr: kafka.TCP(b.Addrs()...), Transport: tr}
	mustProduce(t, over, 0, "tcp")
	mustProduce(t, client(t, b), 0, "pipe")
	if _, _, values := readAll(t, b, 0); values[0] != "tcp" || values[1] != "pipe" {
		t.Fatal(values)
	}
	busy := options(t.TempDir())
	busy.Listen = b.Addrs()[0]
	if _, err := Start(t.Context(), busy); err == nil || !strings.Contains(err.Error(), "--broker-addr") {
		t.Fatalf("busy port: %v", err)
	}
	if _, err := b.Dial(t.Context(), "tcp", "127.0.0.1:1"); err == nil {
		t.Fatal("dialled a foreign address")
	}
}

func TestCreateTopic(t *testing.T) {
	b := start(t, options(t.TempDir()))
	for range 2 {
		if err := b.CreateTopic(t.Context(), topic, 3); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.CreateTopic(t.Context(), topic, 4); err == nil {
		t.Error("a topic with too few partitions was accepted")
	}
	if err := b.CreateTopic(t.Context(), "../x", 1); err == nil {
		t.Error("a bad name was accepted")
	}
	stop(t, b)
	if err := b.CreateTopic(t.Context(), "late", 1); err == nil {
		t.Error("a topic was made after Stop")
	}
	if err := b.Trim(t.Context()); err == nil {
		t.Error("trimmed after Stop")
	}
}
