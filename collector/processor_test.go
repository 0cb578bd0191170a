package collector

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	"go.uber.org/goleak"

	"github.com/tenantwatch/tenantwatch/core/tenant"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	acme = tenant.MustParse("acme")
	now  = time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)
)

// memory is a sink that keeps ids and fails at the call it is told to.
type memory struct {
	mu      sync.Mutex
	ids     []string
	bad     int
	calls   int
	largest int
	failAt  int
	tenant  tenant.ID
	source  string
}

func (m *memory) Deliver(_ context.Context, d Delivery) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.calls++
	if m.calls == m.failAt {
		return fmt.Errorf("broker: %w", ErrUnavailable)
	}
	m.tenant, m.source = d.Tenant, d.Source
	m.largest = max(m.largest, len(d.Events)+len(d.Quarantined))
	for i := range d.Events {
		m.ids = append(m.ids, d.Events[i].ID)
	}
	m.bad += len(d.Quarantined)
	return nil
}

func lines(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `{"time":1772356502,"actor":"a","action":"x","id":"%06d"}`+"\n", i)
		if i%10 == 9 {
			b.WriteString("nonsense\n")
		}
	}
	return b.String()
}

func newProcessor(t *testing.T, s Sink) *Processor {
	t.Helper()
	p, err := NewProcessor(ProcessorOptions{Sink: s, BatchEvents: 100})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestProcessDeliversAllInOrder(t *testing.T) {
	var m memory
	res, err := newProcessor(t, &m).Process(context.Background(), strings.NewReader(lines(2505)), Stream{Tenant: acme, DefaultSource: "web", Now: now})
	if err != nil {
		t.Fatal(err)
	}
	if res.Durable != 2505 || res.Accepted != 2505 || res.DurableQuarantined != 250 || res.Quarantined != 250 || m.bad != 250 {
		t.Fatalf("%+v", res)
	}
	for i, id := range m.ids {
		if id != fmt.Sprintf("%06d", i) {
			t.Fatalf("event %d is %s", i, id)
		}
	}
	if m.largest > 100 || m.tenant != acme || m.source != "web" {
		t.Fatalf("largest batch %d, tenant %s, source %s", m.largest, m.tenant, m.source)
	}
	// Batches are bounded in bytes too.
	m = memory{}
	p, _ := NewProcessor(ProcessorOptions{Sink: &m, BatchBytes: 500})
	if _, err := p.Process(context.Background(), strings.NewReader(lines(100)), Stream{Tenant: acme, Now: now}); err != nil || m.largest > 10 {
		t.Fatalf("largest batch %d, %v", m.largest, err)
	}
}

func TestProcessSaysWhatIsDurable(t *testing.T) {
	for failAt := 1; failAt <= 4; failAt++ {
		m := memory{failAt: failAt}
		res, err := newProcessor(t, &m).Process(context.Background(), strings.NewReader(lines(300)), Stream{Tenant: acme, Now: now})
		if !errors.Is(err, ErrUnavailable) || !strings.Contains(err.Error(), "acme") {
			t.Fatalf("error %v", err)
		}
		if int(res.Durable) != len(m.ids) || int(res.DurableQuarantined) != m.bad || res.Durable+res.DurableQuarantined != uint64(100*(failAt-1)) {
			t.Fatalf("call %d failed: %d durable, %d stored", failAt, res.Durable, len(m.ids))
		}
		if m.calls != failAt {
			t.Fatalf("the sink was called %d times after it failed at %d", m.calls, failAt)
		}
	}
}

func TestProcessReaderError(t *testing.T) {
	gone := errors.New("sender is gone")
	var m memory
	r := io.MultiReader(strings.NewReader(lines(50)+`{"time":17`), iotest.ErrReader(gone))
	res, err := newProcessor(t, &m).Process(context.Background(), r, Stream{Tenant: acme, Now: now})
	if !errors.Is(err, gone) || res.Durable != 50 || res.DurableQuarantined != 5 || len(m.ids) != 50 {
		t.Fatalf("%v, %+v", err, res)
	}
}

func TestProcessRefuses(t *testing.T) {
	var m memory
	p := newProcessor(t, &m)
	if _, err := p.Process(context.Background(), strings.NewReader(""), Stream{Now: now}); !errors.Is(err, tenant.ErrZero) {
		t.Fatalf("no tenant: %v", err)
	}
	if _, err := p.Process(context.Background(), strings.NewReader("x"), Stream{Tenant: acme, Now: now, Format: "xml"}); err == nil {
		t.Fatal("an unknown format was taken")
	}
	if _, err := NewProcessor(ProcessorOptions{}); err == nil {
		t.Fatal("no sink was taken")
	}
	if _, err := NewProcessor(ProcessorOptions{Sink: &m, BatchEvents: -1}); err == nil {
		t.Fatal("a negative bound was taken")
	}
	if m.calls != 0 {
		t.Fatal("something was delivered")
	}
}
