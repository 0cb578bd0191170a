package buffer

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/goleak"

	"github.com/tenantwatch/tenantwatch/collector"
	"github.com/tenantwatch/tenantwatch/core/tenant"
	"github.com/tenantwatch/tenantwatch/pipeline/event"
)

const childEnv = "TENANTWATCH_TEST_BUFFER_CHILD"

func TestMain(m *testing.M) {
	if dir := os.Getenv(childEnv); dir != "" {
		child(dir)
		return
	}
	goleak.VerifyTestMain(m)
}

var acme, globex = tenant.MustParse("acme"), tenant.MustParse("globex")

// log is a sink that keeps ids in order and can be switched off.
type log struct {
	mu      sync.Mutex
	err     error
	ids     map[tenant.ID][]string
	bad     int
	sources map[string]bool
}

func (l *log) Deliver(_ context.Context, d collector.Delivery) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err != nil {
		return l.err
	}
	if l.ids == nil {
		l.ids, l.sources = map[tenant.ID][]string{}, map[string]bool{}
	}
	for i := range d.Events {
		l.ids[d.Tenant] = append(l.ids[d.Tenant], d.Events[i].ID)
	}
	l.bad += len(d.Quarantined)
	l.sources[d.Source] = true
	return nil
}

func (l *log) set(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.err = err
}

func (l *log) got(id tenant.ID) []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.ids[id])
}

var errAway = fmt.Errorf("broker: %w", collector.ErrUnavailable)

func delivery(id tenant.ID, from, n int) collector.Delivery {
	d := collector.Delivery{Tenant: id, Source: "web"}
	for i := range n {
		d.Events = append(d.Events, event.Event{Tenant: id, ID: fmt.Sprintf("%06d", from+i), Time: 1, Action: "login", Actor: "a", Count: 1, Raw: strings.Repeat("x", 200)})
	}
	return d
}

func names(from, n int) (out []string) {
	for i := range n {
		out = append(out, fmt.Sprintf("%06d", from+i))
	}
	return out
}

func open(t *testing.T, o Options) *Buffer {
	t.Helper()
	b, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	return b
}

// run drains in the background until stop.
func run(t *testing.T, b *Buffer) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- b.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(stop)
	return stop
}

func empty(t *testing.T, b *Buffer) {
	t.Helper()
	for end := time.Now().Add(time.Minute); b.waiting(); <-time.After(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not drained: %+v", b.Status())
		}
	}
}

func place(t *testing.T, b *Buffer, d collector.Delivery, want collector.Place) {
	t.Helper()
	if got, err := b.DeliverPlaced(t.Context(), d); err != nil || got != want {
		t.Fatalf("place %d, want %d: %v", got, want, err)
	}
}

func TestTakesOverAndDrainsInOrder(t *testing.T) {
	var l log
	dir := t.TempDir()
	b := open(t, Options{Dir: dir, Sink: &l, SegmentBytes: 8 << 10})
	place(t, b, delivery(acme, 0, 10), collector.PlaceLog)
	l.set(errAway)
	for i := 1; i < 30; i++ {
		place(t, b, delivery(acme, 10*i, 10), collector.PlaceBuffer)
		place(t, b, delivery(globex, 10*i, 10), collector.PlaceBuffer)
	}
	q := collector.Delivery{Tenant: acme, Source: "other", Quarantined: []event.Quarantined{{Tenant: acme, ID: "q", Raw: []byte{0xff}}}}
	place(t, b, q, collector.PlaceBuffer)
	if files, _ := segments(dir); len(files) < 3 {
		t.Fatalf("%d segments", len(files))
	}
	if s := b.Status(); s.Entries != 59 || s.Bytes == 0 || s.Oldest.IsZero() || s.Full {
		t.Fatalf("%+v", s)
	}
	l.set(nil)
	// What comes now waits behind what is here, whether it is drained yet or not.
	place(t, b, delivery(acme, 300, 10), collector.PlaceBuffer)
	stop := run(t, b)
	empty(t, b)
	place(t, b, delivery(acme, 310, 10), collector.PlaceLog)
	if got := l.got(acme); !slices.Equal(got, names(0, 320)) {
		t.Fatalf("%d ids out of order: %v", len(got), got)
	}
	if got := l.got(globex); !slices.Equal(got, names(10, 290)) || l.bad != 1 || !l.sources["other"] {
		t.Fatalf("%d ids, %d bad, %v", len(got), l.bad, l.sources)
	}
	stop()
	if s := b.Status(); s.Bytes != 0 || s.Entries != 0 {
		t.Fatalf("%+v", s)
	}
	if n, files, err := Inspect(dir); n != 0 || files != 0 || err != nil {
		t.Fatalf("%d bytes in %d files are left: %v", n, files, err)
	}
	// A buffer that was emptied numbers on after a restart: what is new is not
	// taken for what was handed on.
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	l.set(errAway)
	b = open(t, Options{Dir: dir, Sink: &l})
	place(t, b, delivery(acme, 320, 1), collector.PlaceBuffer)
	b.Close()
	l.set(nil)
	b = open(t, Options{Dir: dir, Sink: &l})
	defer run(t, b)()
	empty(t, b)
	if got := l.got(acme); !slices.Equal(got, names(0, 321)) {
		t.Fatalf("%d ids after the restart", len(got))
	}
}

func TestOtherErrorsAreTheSenders(t *testing.T) {
	l := log{err: fmt.Errorf("event 1: %w", collector.ErrRefused)}
	b := open(t, Options{Dir: t.TempDir(), Sink: &l})
	if _, err := b.DeliverPlaced(t.Context(), delivery(acme, 0, 1)); !errors.Is(err, collector.ErrRefused) || b.waiting() {
		t.Fatal(err)
	}
	// A sender that went away is not served.
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	l.set(context.Canceled)
	if err := b.Deliver(ctx, delivery(acme, 0, 1)); err == nil || b.waiting() {
		t.Fatal(err)
	}
}

// slow never answers.
type slow struct{}

func (slow) Deliver(ctx context.Context, _ collector.Delivery) error {
	<-ctx.Done()
	return ctx.Err()
}

func TestPatience(t *testing.T) {
	b := open(t, Options{Dir: t.TempDir(), Sink: slow{}, Patience: time.Millisecond})
	place(t, b, delivery(acme, 0, 1), collector.PlaceBuffer)
}

func TestFullIsSaid(t *testing.T) {
	l := log{err: errAway}
	now := time.Unix(1000, 0)
	reg := prometheus.NewRegistry()
	b := open(t, Options{Dir: t.TempDir(), Sink: &l, MaxBytes: 32 << 10, MaxAge: time.Hour, Now: func() time.Time { return now }, Metrics: reg})
	n := 0
	for ; n < 1000; n++ {
		if _, err := b.DeliverPlaced(t.Context(), delivery(acme, n, 1)); errors.Is(err, ErrFull) && errors.Is(err, collector.ErrUnavailable) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
	if s := b.Status(); s.Bytes > 32<<10 || s.Bytes < 31<<10 || n == 1000 {
		t.Fatalf("%d taken: %+v", n, s)
	}
	if v := testutil.ToFloat64(b.m.refused); v != 1 {
		t.Fatalf("%v refusals counted", v)
	}
	l.set(nil)
	stop := run(t, b)
	empty(t, b)
	stop()
	if got := l.got(acme); !slices.Equal(got, names(0, n)) {
		t.Fatalf("%d of %d arrived", len(got), n)
	}
	// What has waited too long is kept, but nothing joins it.
	l.set(errAway)
	place(t, b, delivery(acme, n, 1), collector.PlaceBuffer)
	now = now.Add(61 * time.Minute)
	if err := b.Deliver(t.Context(), delivery(acme, n+1, 1)); !errors.Is(err, ErrFull) {
		t.Fatal(err)
	}
	if err := b.Ready(t.Context()); err == nil || !strings.Contains(err.Error(), "full") {
		t.Fatal(err)
	}
	l.set(nil)
	defer run(t, b)()
	empty(t, b)
	place(t, b, delivery(acme, n+1, 1), collector.PlaceLog)
	if err := b.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestRefusedForGoodIsSetAside(t *testing.T) {
	l := log{err: errAway}
	dir := t.TempDir()
	b := open(t, Options{Dir: dir, Sink: &l})
	place(t, b, delivery(acme, 0, 3), collector.PlaceBuffer)
	l.set(collector.ErrRefused)
	stop := run(t, b)
	empty(t, b)
	stop()
	raw, err := os.ReadFile(filepath.Join(dir, "refused", "entries"))
	if err != nil {
		t.Fatal(err)
	}
	d, _, err := decode(raw[frameHead:])
	if err != nil || len(d.Events) != 3 || d.Tenant != acme || testutil.ToFloat64(b.m.setAside) != 3 {
		t.Fatalf("%+v %v", d, err)
	}
}

// Whatever a crash leaves behind the last acknowledged entry, what was
// acknowledged is there.
func TestTornEnd(t *testing.T) {
	for name, tail := range map[string][]byte{"nothing": nil, "half a head": {1, 2, 3}, "zeros": make([]byte, 4096), "a length without its bytes": {100, 0, 0, 0, 1, 2, 3, 4, 5}, "a bad sum": append([]byte{12, 0, 0, 0, 9, 9, 9, 9}, make([]byte, 12)...)} {
		t.Run(name, func(t *testing.T) {
			l := log{err: errAway}
			dir := t.TempDir()
			b := open(t, Options{Dir: dir, Sink: &l})
			place(t, b, delivery(acme, 0, 2), collector.PlaceBuffer)
			place(t, b, delivery(acme, 2, 2), collector.PlaceBuffer)
			b.Close()
			f, err := os.OpenFile(segmentName(dir, 1), os.O_APPEND|os.O_WRONLY, 0)
			if err != nil {
				t.Fatal(err)
			}
			f.Write(tail)
			f.Close()
			b = open(t, Options{Dir: dir, Sink: &l})
			place(t, b, delivery(acme, 4, 2), collector.PlaceBuffer)
			l.set(nil)
			defer run(t, b)()
			empty(t, b)
			if got := l.got(acme); !slices.Equal(got, names(0, 6)) {
				t.Fatalf("%v", got)
			}
			if v := testutil.ToFloat64(b.m.damaged); v != 0 {
				t.Fatalf("%v entries called damaged", v)
			}
		})
	}
}

// A bit that flips in the middle costs that entry only, and is said.
func TestDamageIsCountedAndKept(t *testing.T) {
	l := log{err: errAway}
	dir := t.TempDir()
	b := open(t, Options{Dir: dir, Sink: &l})
	for i := range 3 {
		place(t, b, delivery(acme, i, 1), collector.PlaceBuffer)
	}
	at := b.queue[1].offset + frameHead + 40
	b.Close()
	raw, err := os.ReadFile(segmentName(dir, 1))
	if err != nil {
		t.Fatal(err)
	}
	raw[at] ^= 1
	if err := os.WriteFile(segmentName(dir, 1), raw, 0o600); err != nil {
		t.Fatal(err)
	}
	l.set(nil)
	b = open(t, Options{Dir: dir, Sink: &l})
	defer run(t, b)()
	empty(t, b)
	if got := l.got(acme); !slices.Equal(got, []string{"000000", "000002"}) || testutil.ToFloat64(b.m.damaged) != 1 {
		t.Fatalf("%v, %v damaged", got, testutil.ToFloat64(b.m.damaged))
	}
	if kept, err := os.ReadFile(segmentName(dir, 1) + ".damaged"); err != nil || len(kept) != len(raw) {
		t.Fatalf("the damaged file is not kept: %v", err)
	}
}

func TestOneProcessADirectory(t *testing.T) {
	dir := t.TempDir()
	open(t, Options{Dir: dir, Sink: &log{}})
	if _, err := Open(Options{Dir: dir, Sink: &log{}}); err == nil || !strings.Contains(err.Error(), "in use") {
		t.Fatal(err)
	}
	for _, o := range []Options{{Sink: &log{}}, {Dir: dir}, {Dir: dir, Sink: &log{}, MaxBytes: -1}} {
		if _, err := Open(o); err == nil {
			t.Fatalf("%+v was taken", o)
		}
	}
}

// child acknowledges on its output what the buffer acknowledged, until it is
// killed. With "early" before its directory it acknowledges before.
func child(dir string) {
	dir, early := strings.CutPrefix(dir, "early:")
	b, err := Open(Options{Dir: dir, Sink: &log{err: errAway}, SegmentBytes: 64 << 10})
	if err != nil {
		fmt.Println("error", err)
		return
	}
	var wg sync.WaitGroup
	for s := range 4 {
		wg.Go(func() {
			for i := 0; ; i++ {
				id := 10 * (s*1_000_000 + i)
				d := delivery(acme, 0, 10)
				for j := range d.Events {
					d.Events[j].ID = fmt.Sprint(id + j)
				}
				if early {
					fmt.Printf("ack %d\n", id)
					if i == 50 { // the control: acknowledged, and not there yet
						select {}
					}
				}
				if err := b.Deliver(context.Background(), d); err != nil {
					fmt.Println("error", err)
					return
				}
				if !early {
					fmt.Printf("ack %d\n", id)
				}
			}
		})
	}
	wg.Wait()
}

// killed runs a child, kills it after some acknowledgements and says how many
// of the acknowledged events the next process does not find.
func killed(t *testing.T, mode string, after int) (lost int) {
	t.Helper()
	dir := t.TempDir()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), childEnv+"="+mode+dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var acked []int
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		var id int
		if _, err := fmt.Sscanf(lines.Text(), "ack %d", &id); err != nil {
			t.Fatalf("%q", lines.Text())
		}
		if acked = append(acked, id); len(acked) == after {
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	_ = cmd.Wait()
	var l log
	b := open(t, Options{Dir: dir, Sink: &l})
	stop := run(t, b)
	empty(t, b)
	stop()
	have := map[string]bool{}
	last := map[int]int{}
	for _, id := range l.got(acme) {
		have[id] = true
		var n int
		fmt.Sscan(id, &n)
		if s := n / 10_000_000; n < last[s] {
			t.Fatalf("sender %d: %d after %d", s, n, last[s])
		} else {
			last[s] = n
		}
	}
	for _, id := range acked {
		for j := range 10 {
			if !have[fmt.Sprint(id+j)] {
				lost++
			}
		}
	}
	b.Close()
	return lost
}

func TestKillLosesNothingAcknowledged(t *testing.T) {
	for _, after := range []int{1, 37, 400} {
		if lost := killed(t, "", after); lost != 0 {
			t.Fatalf("killed after %d acknowledgements: %d acknowledged events are lost", after, lost)
		}
	}
	// The control: a source that acknowledges first is found out.
	if lost := killed(t, "early:", 204); lost == 0 {
		t.Fatal("acknowledging before writing was not noticed")
	}
}

func FuzzScan(f *testing.F) {
	frames, err := encode(delivery(acme, 0, 2), 5)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(append([]byte(segmentMagic), frames[0]...))
	f.Add([]byte(segmentMagic))
	f.Fuzz(func(t *testing.T, b []byte) {
		r := strings.NewReader(string(b))
		entries, end, _, err := scan(r, 1, int64(len(b)))
		if err != nil && err != io.EOF {
			t.Fatal(err)
		}
		if end > int64(len(b)) {
			t.Fatalf("the end %d of %d bytes", end, len(b))
		}
		for _, e := range entries {
			if d, _, err := decode(b[e.offset+frameHead : e.offset+e.size]); err == nil && d.Tenant.IsZero() {
				t.Fatal("an entry without a tenant")
			}
		}
	})
}
