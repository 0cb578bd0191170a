package app

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tenantwatch/tenantwatch/core/tenant"
	"github.com/tenantwatch/tenantwatch/detectors/policy"
	"github.com/tenantwatch/tenantwatch/detectors/runner"
	"github.com/tenantwatch/tenantwatch/pipeline/event"
	"github.com/tenantwatch/tenantwatch/pipeline/eventlog"
)

// shelf keeps checkpoints as the store does: what was saved last counts.
type shelf map[string][]byte

func (s shelf) SaveCheckpoint(_ context.Context, name string, _ int, _ int64, b []byte) error {
	s[name] = append([]byte(nil), b...)
	return nil
}

func (s shelf) LoadCheckpoint(_ context.Context, name string, _ int) (int64, []byte, bool, error) {
	b, ok := s[name]
	return 0, b, ok, nil
}

type halfLog struct{ end int64 }

func (halfLog) ID() int                  { return 0 }
func (halfLog) TopicID() string          { return "topic" }
func (p halfLog) Bounds() (int64, int64) { return 0, p.end }

// burst are records of one failed sign-in each, a new attacker every hundred.
func burst(n int) []eventlog.Record {
	var out []eventlog.Record
	at := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	for i := range n {
		out = append(out, eventlog.Record{Offset: int64(i), Events: []event.Event{{
			Tenant: tenant.MustParse("acme"), ID: fmt.Sprint(i), Time: at.Add(time.Duration(i) * 20 * time.Second).UnixNano(), Class: event.ClassAuthentication, Activity: 1,
			Action: "login", Outcome: event.OutcomeFailure, Actor: "eve", SrcIP: fmt.Sprintf("203.0.113.%d", i/100), Count: 1, Source: "app",
		}}})
	}
	return out
}

// score runs the loop's steps over records until it dies.
func score(t *testing.T, d *detection, store shelf, recs []eventlog.Record, end int64, want func(offset int64) *policy.Policy) []string {
	t.Helper()
	d.store = store
	run, err := runner.New(runner.Options{})
	if err != nil {
		t.Fatal(err)
	}
	g, err := d.newPolicing(t.Context(), halfLog{end}, run, -1, false)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for i := 0; i < len(recs); i += 10 {
		text, err := policyText(want(recs[i].Offset))
		if err != nil {
			t.Fatal(err)
		}
		d.policies.now.Store(&policyView{share: 1, by: map[tenant.ID]string{tenant.MustParse("acme"): text}})
		batch := recs[i:min(len(recs), i+10)]
		if err := g.before(t.Context(), batch); err != nil {
			t.Fatal(err)
		}
		for _, r := range batch {
			g.upTo(r.Offset)
			for _, em := range run.Apply(r.Events) {
				if em.Alert != nil {
					b, _ := json.Marshal(em.Alert)
					out = append(out, string(b))
				}
			}
		}
	}
	return out
}

// A budget that changes while events flow changes the alerts from there on,
// and after a crash the same alerts follow again, although by then another
// policy is in force. Without the journal (the control) others would.
func TestPoliciesAreReplayedAfterACrash(t *testing.T) {
	recs := burst(1000)
	change := func(offset int64) *policy.Policy {
		p := newPolicy()
		if offset >= 300 {
			p.Budget = 0
		}
		return p
	}
	fresh := func() *detection {
		d := newDetection(slog.New(slog.DiscardHandler), prometheus.NewRegistry(), nil, nil, runner.Options{}, time.Second)
		d.policies = &policyBook{log: d.log}
		return d
	}
	store := shelf{}
	before := score(t, fresh(), store, recs, 0, change)
	if len(before) < 3 {
		t.Fatalf("%d revisions: the stream proves nothing", len(before))
	}
	// The machine died; somebody restored the old budget meanwhile.
	later := func(int64) *policy.Policy { return newPolicy() }
	again := score(t, fresh(), store, recs, int64(len(recs)), later)
	if fmt.Sprint(before) != fmt.Sprint(again) {
		t.Fatalf("%d revisions before the crash, %d after it, or other ones", len(before), len(again))
	}
	if control := score(t, fresh(), shelf{}, recs, int64(len(recs)), later); fmt.Sprint(before) == fmt.Sprint(control) {
		t.Fatal("without the journal the alerts are the same: this test would not notice")
	}
}

func TestTheQueueSharesItsBudget(t *testing.T) {
	b := &policyBook{log: slog.New(slog.DiscardHandler), queue: 30, own: 5, parts: []policyPart{func(_ context.Context, into map[tenant.ID]*policy.Policy) error {
		into[tenant.MustParse("acme")] = &policy.Policy{Budget: 55}
		into[tenant.MustParse("globex")] = newPolicy()
		return nil
	}}}
	v, err := b.view(t.Context())
	if err != nil || v.share != 0.5 || v.by[tenant.MustParse("globex")] != "" || v.by[tenant.MustParse("acme")] == "" {
		t.Fatalf("%+v %v", v, err)
	}
}
