package broker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/tenantwatch/tenantwatch/embedded/process"
)

// inProcessAddr is what the broker calls itself to clients when it has no
// listener. It resolves nowhere: only Dial knows it.
const inProcessAddr = "embedded-broker.invalid:9092"

// Broker is a running broker.
type Broker struct {
	opt     Options
	log     *slog.Logger
	metrics *metrics
	lock    *process.DirLock
	backend *pipeListener
	cluster *kfake.Cluster
	sync    *syncer
	guard   *guard
	tcp     net.Listener // nil without Options.Listen

	open   sync.RWMutex // held for writing to close; kfake must not be asked after
	closed bool
	said   sync.Map

	cancel context.CancelFunc // of the trimmer
	wg     sync.WaitGroup
	failed chan struct{} // closed at the first fatal error
	done   chan struct{} // closed when Stop has finished
	once   sync.Once
	stopE  error

	mu     sync.Mutex
	status process.Status
	fatal  error
}

// Start opens the data directory and serves. On error nothing is left open. The
// broker then runs until Stop, whatever becomes of ctx.
func Start(ctx context.Context, opt Options) (*Broker, error) {
	opt, err := opt.withDefaults()
	if err != nil {
		return nil, fmt.Errorf("embedded broker: %w", err)
	}
	if opt.DataDir, err = filepath.Abs(opt.DataDir); err != nil {
		return nil, fmt.Errorf("embedded broker: %w", err)
	}
	b := &Broker{
		opt: opt, log: opt.Logger.With("part", "broker"),
		failed: make(chan struct{}), done: make(chan struct{}),
		status: process.Status{Part: "broker", State: process.Starting, Since: time.Now(), PID: os.Getpid()},
	}
	if b.metrics, err = newMetrics(opt.Metrics); err == nil {
		err = makeDataDir(opt.DataDir, b.log)
	}
	if err == nil {
		b.lock, err = process.Lock(opt.DataDir)
	}
	if err != nil {
		return nil, fmt.Errorf("embedded broker: %w", err)
	}
	if err := b.start(ctx); err != nil {
		if b.tcp != nil {
			_ = b.tcp.Close()
		}
		return nil, fmt.Errorf("embedded broker: %w", errors.Join(err, b.lock.Release()))
	}
	return b, nil
}

func (b *Broker) start(ctx context.Context) error {
	logDir := filepath.Join(b.opt.DataDir, "log")
	if err := os.MkdirAll(logDir, 0o700); err != nil {
		return err
	}
	if err := prepare(logDir, b.log); err != nil {
		return err
	}
	addr := inProcessAddr
	if b.opt.Listen != "" {
		ln, err := process.Listen(ctx, b.opt.Listen, "--broker-addr")
		if err != nil {
			return err
		}
		b.tcp, addr = ln, ln.Addr().String()
	}
	b.backend = newPipeListener(addr)
	begin := time.Now()
	var err error
	b.cluster, err = kfake.NewCluster(
		kfake.NumBrokers(1),
		kfake.DataDir(logDir),
		kfake.ClusterID("tenantwatch-embedded"),
		kfake.ListenFn(func(string, string) (net.Listener, error) { return b.backend, nil }),
		kfake.WithLogger(logAdapter{b}),
		kfake.BrokerConfigs(map[string]string{
			// Nothing goes but what the trimmer takes: no retention by age or
			// size, and no group offsets that expire while the machine is off.
			"log.retention.ms":           "-1",
			"log.retention.bytes":        "-1",
			"offset.retention.ms":        strconv.FormatInt(int64(100*365*24*time.Hour/time.Millisecond), 10),
			"log.segment.bytes":          strconv.Itoa(b.opt.SegmentBytes),
			"message.max.bytes":          strconv.Itoa(b.opt.MaxMessageBytes),
			"state.log.compact.bytes":    strconv.Itoa(2 << 20),
			"default.replication.factor": "1",
		}),
	)
	if err != nil {
		return fmt.Errorf("open %s: %w", logDir, err)
	}
	// kfake has read the whole log to open it: after a crash, about once its
	// size in memory. Give that back now rather than some minutes later.
	debug.FreeOSMemory()
	// Per-topic settings would undo the above.
	b.cluster.ControlKey(int16(kmsg.CreateTopics), func(req kmsg.Request) (kmsg.Response, error, bool) {
		b.cluster.KeepControl()
		if req, ok := req.(*kmsg.CreateTopicsRequest); ok {
			b.dropTopicConfigs(req)
		}
		return nil, nil, false
	})
	b.sync = newSyncer(logDir, b.metrics, b.fail)
	b.guard = &guard{
		backend: b.backend, sync: b.sync, hold: b.opt.Sync == SyncAcks,
		maxFrame: b.opt.MaxFrameBytes, log: b.log, metrics: b.metrics, conns: make(map[net.Conn]struct{}),
	}
	tctx, cancel := context.WithCancel(context.Background())
	b.cancel = cancel
	b.wg.Go(func() { b.sync.run(b.opt.SyncEvery) })
	b.wg.Go(func() { b.trimmer(tctx) })
	if b.tcp != nil {
		b.guard.listen(b.tcp)
	}
	b.set(process.Ready, nil)
	promise := "acknowledged means fsynced"
	if b.opt.Sync == SyncInterval {
		promise = fmt.Sprintf("acknowledged means written to the page cache: a power failure may lose the last %s", b.opt.SyncEvery)
	}
	b.log.Info("single-machine broker is ready: one copy of the data, on this disk alone", "durability", promise,
		"listen", b.opt.Listen, "opened_in", time.Since(begin).Round(time.Millisecond).String(), "data", b.opt.DataDir)
	return nil
}

// dropTopicConfigs takes out of a request what only the trimmer may decide.
func (b *Broker) dropTopicConfigs(req *kmsg.CreateTopicsRequest) {
	for i := range req.Topics {
		t := &req.Topics[i]
		kept := t.Configs[:0]
		for _, c := range t.Configs {
			if strings.HasPrefix(c.Name, "retention.") || strings.HasPrefix(c.Name, "segment.") || c.Name == "cleanup.policy" || c.Name == "max.message.bytes" {
				b.log.Info("the embedded broker ignores a topic setting: it trims by committed offsets", "topic", t.Topic, "setting", c.Name)
				continue
			}
			kept = append(kept, c)
		}
		t.Configs = kept
	}
}

// logAdapter passes kfake's log on. A failed write to the log is a warning to
// kfake, which answers the client with an error, but a fault to be seen here.
type logAdapter struct{ b *Broker }

func (l logAdapter) Logf(level kfake.LogLevel, format string, args ...any) {
	msg := fmt.Sprintf(format, args...)
	switch level {
	case kfake.LogLevelError, kfake.LogLevelWarn:
		if strings.HasPrefix(msg, "persist ") || strings.HasPrefix(msg, "compact ") {
			l.b.metrics.writeErrors.Inc()
		}
		l.b.log.Error("broker: " + msg)
	default:
		l.b.log.Debug("broker: " + msg)
	}
}

// Dial connects to the broker from within this process; it is meant to be the
// dial function of a Kafka client. addr must be one of Addrs.
func (b *Broker) Dial(ctx context.Context, _, addr string) (net.Conn, error) {
	if addr != b.backend.addr.String() {
		return nil, fmt.Errorf("embedded broker: dial %s: this broker is %s: do not mix its dialer with the address of another", addr, b.backend.addr)
	}
	ours, theirs := net.Pipe()
	if err := b.guard.serve(ctx, theirs); err != nil {
		return nil, fmt.Errorf("embedded broker: dial: %w", err)
	}
	return ours, nil
}

// Addrs is the broker's address, for the clients' list of brokers. Without
// Options.Listen it is good for Dial only.
func (b *Broker) Addrs() []string { return []string{b.backend.addr.String()} }

// CreateTopic makes a topic unless it is there; one with fewer partitions is an
// error.
func (b *Broker) CreateTopic(ctx context.Context, topic string, partitions int) error {
	if !validTopic(topic) || partitions < 1 || partitions > maxPartitions {
		return fmt.Errorf("embedded broker: create topic %q with %d partitions: want a Kafka topic name and 1 to %d", topic, partitions, maxPartitions)
	}
	b.open.RLock()
	defer b.open.RUnlock()
	if b.closed {
		return errListenerClosed
	}
	err := b.cluster.CreateTopic(topic, int32(partitions), nil)
	if errors.Is(err, kerr.TopicAlreadyExists) {
		if have := len(b.cluster.PartitionInfos(topic)); have < partitions {
			return fmt.Errorf("embedded broker: topic %s has %d partitions, fewer than the %d wanted: partitions of a topic in use cannot be added", topic, have, partitions)
		}
		return nil
	}
	if err != nil {
		return fmt.Errorf("embedded broker: create topic %s: %w", topic, err)
	}
	b.sync.touchState()
	return b.sync.await(ctx.Done())
}

// fail records a fatal error: from here on nothing is acknowledged.
func (b *Broker) fail(err error) {
	b.log.Error("the broker's log can no longer be made durable: it acknowledges nothing more; check the disk and restart", "error", err)
	b.mu.Lock()
	first := b.fatal == nil
	if first {
		b.fatal = err
	}
	b.mu.Unlock()
	if first {
		b.set(process.Failed, err)
		close(b.failed)
	}
}

func (b *Broker) set(state process.State, err error) {
	b.mu.Lock()
	b.status.State, b.status.Since = state, time.Now()
	if err != nil {
		b.status.LastError = err.Error()
	}
	s := b.status
	b.mu.Unlock()
	if b.opt.OnState != nil {
		b.opt.OnState(s)
	}
}

// Status is for /readyz.
func (b *Broker) Status() process.Status {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.status
}

// Ready is nil while the broker serves and can make records durable.
func (b *Broker) Ready() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.fatal != nil {
		return fmt.Errorf("embedded broker: %w", b.fatal)
	}
	if b.status.State != process.Ready {
		return fmt.Errorf("embedded broker is %s", b.status.State)
	}
	return nil
}

// Run waits until ctx is done, and then stops the broker, or until the broker
// fails for good, and returns why.
func (b *Broker) Run(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return b.Stop(context.WithoutCancel(ctx))
	case <-b.done:
		return nil
	case <-b.failed:
		return b.Ready()
	}
}

// Done is closed when the broker has stopped.
func (b *Broker) Done() <-chan struct{} { return b.done }

// Stop ends all connections, writes everything to disk and gives the data
// directory back. It may be called more than once.
func (b *Broker) Stop(ctx context.Context) error {
	b.once.Do(func() { go b.shutdown() })
	select {
	case <-b.done:
		return b.stopE
	case <-ctx.Done():
		return fmt.Errorf("embedded broker: stop: %w", ctx.Err())
	}
}

func (b *Broker) shutdown() {
	defer close(b.done)
	b.set(process.Stopping, nil)
	b.cancel() // the trimmer
	if b.tcp != nil {
		_ = b.tcp.Close()
	}
	b.guard.close()
	b.open.Lock()
	b.closed = true
	b.open.Unlock()
	b.cluster.Close()
	err := b.sync.close()
	b.wg.Wait()
	b.stopE = errors.Join(err, b.lock.Release())
	b.set(process.Stopped, nil)
}
