package core_test

import (
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/tenantwatch/tenantwatch/core"
	"github.com/tenantwatch/tenantwatch/core/tenant"
)

// TestStreams: one sender at a time, a position that moves only for who holds
// the lease, a secret that is only in a sender's hands.
func TestStreams(t *testing.T) {
	t.Parallel()
	c, _ := server.Open(t, nil)
	makeTenants(t, c, acme, beta)
	ctx := t.Context()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	s, err := c.Streams.Create(ctx, tests, acme, core.LogStream{Name: "siem", Kind: "http", Config: json.RawMessage(`{"url":"https://siem.example"}`), Format: "ndjson"}, "token", json.RawMessage(`{}`))
	must(err)
	got, err := c.Streams.Claim(ctx, "one", time.Hour, 10)
	must(err)
	if len(got) != 1 || got[0].ID != s.ID || got[0].Secret.Reveal() != "token" || got[0].Tenant != acme || string(got[0].Position) != `{}` {
		t.Fatalf("claimed %+v", got)
	}
	w := got[0]
	if again, err := c.Streams.Claim(ctx, "two", time.Hour, 10); err != nil || len(again) != 0 {
		t.Fatalf("claimed twice: %+v, %v", again, err)
	}
	if err := c.Streams.Done(ctx, "two", w, core.StreamResult{Position: json.RawMessage(`{"x":1}`), Next: time.Now()}, 0); !errors.Is(err, core.ErrConflict) {
		t.Errorf("a position moved without the lease: %v", err)
	}
	must(c.Streams.Done(ctx, "one", w, core.StreamResult{Position: json.RawMessage(`{"x":1}`), Sent: 5, Batches: 1, Behind: 7, Lag: 3 * time.Second, Next: time.Now().Add(-time.Second)}, time.Hour))
	must(c.Streams.Done(ctx, "one", w, core.StreamResult{Position: json.RawMessage(`{"x":2}`), Sent: 1, Batches: 1, Err: "it broke", Next: time.Now().Add(-time.Second)}, 0))
	read, err := c.Streams.Get(ctx, []tenant.ID{acme}, s.ID)
	must(err)
	if read.Sent != 6 || read.Batches != 2 || read.Failures != 1 || read.LastError != "it broke" || read.FailingSince.IsZero() || read.LastSentAt.IsZero() {
		t.Errorf("%+v", read)
	}
	if got, err = c.Streams.Claim(ctx, "two", time.Hour, 10); err != nil || len(got) != 1 || string(got[0].Position) != `{"x":2}` {
		t.Fatalf("after it was let go: %+v, %v", got, err)
	}
	if _, err := c.Streams.Get(ctx, []tenant.ID{beta}, s.ID); !errors.Is(err, core.ErrNotFound) {
		t.Errorf("read through another tenant: %v", err)
	}
	if err := c.Streams.SetStatus(ctx, tests, beta, s.ID, "paused"); !errors.Is(err, core.ErrNotFound) {
		t.Errorf("paused through another tenant: %v", err)
	}
	must(c.Streams.SetStatus(ctx, tests, acme, s.ID, "paused"))
	must(c.Streams.Done(ctx, "two", got[0], core.StreamResult{Position: json.RawMessage(`{"x":3}`), Next: time.Now().Add(-time.Second)}, 0))
	if none, err := c.Streams.Claim(ctx, "three", time.Hour, 10); err != nil || len(none) != 0 {
		t.Errorf("a paused stream was claimed: %+v, %v", none, err)
	}
	must(c.Streams.Delete(ctx, tests, acme, s.ID))
	if all, err := c.Streams.List(ctx, []tenant.ID{acme, beta}); err != nil || len(all) != 0 {
		t.Errorf("%+v, %v", all, err)
	}
}
