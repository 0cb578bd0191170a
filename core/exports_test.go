package core_test

import (
	"errors"
	"testing"
	"time"

	"github.com/tenantwatch/tenantwatch/core"
	"github.com/tenantwatch/tenantwatch/core/access"
	"github.com/tenantwatch/tenantwatch/core/tenant"
)

// TestExports goes through the life of a job: queued, claimed once, cancelled
// under its runner, taken over when a lease ends, done, expired.
func TestExports(t *testing.T) {
	t.Parallel()
	c, _ := server.Open(t, nil)
	makeTenants(t, c, acme, beta)
	ctx := t.Context()
	alice := access.Actor{Kind: access.KindUser, ID: "a", Name: "alice"}
	queue := func(id tenant.ID) core.ExportJob {
		t.Helper()
		j, err := c.Exports.Create(ctx, alice, id, core.ExportJob{Format: "csv", Query: "actor:a", From: time.Now().Add(-time.Hour)})
		if err != nil {
			t.Fatal(err)
		}
		return j
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	first, second := queue(acme), queue(beta)
	j, err := c.Exports.Claim(ctx, "n1", time.Hour)
	must(err)
	if j == nil || j.ID != first.ID || j.Tenant != acme || j.State != core.ExportRunning || j.Query != "actor:a" || j.From.IsZero() || j.Node != "n1" {
		t.Fatalf("claimed %+v", j)
	}
	k, err := c.Exports.Claim(ctx, "n2", -time.Second) // a lease that is over at once
	must(err)
	if k == nil || k.ID != second.ID {
		t.Fatalf("claimed %+v", k)
	}
	again, err := c.Exports.Claim(ctx, "n3", time.Hour)
	must(err)
	if again == nil || again.ID != second.ID || again.Node != "n3" {
		t.Fatalf("the job whose lease ended was not taken over: %+v", again)
	}
	if none, err := c.Exports.Claim(ctx, "n4", time.Hour); err != nil || none != nil {
		t.Fatalf("a job was claimed twice: %+v, %v", none, err)
	}
	k.Rows = 5
	if err := c.Exports.Progress(ctx, "n2", *k, time.Hour); !errors.Is(err, core.ErrConflict) {
		t.Errorf("who lost the lease goes on: %v", err)
	}
	must(c.Exports.Progress(ctx, "n3", *k, time.Hour))
	if err := c.Exports.Cancel(ctx, alice, acme, second.ID); !errors.Is(err, core.ErrNotFound) {
		t.Errorf("cancelled through another tenant: %v", err)
	}
	must(c.Exports.Cancel(ctx, alice, beta, second.ID))
	if err := c.Exports.Progress(ctx, "n3", *k, time.Hour); !errors.Is(err, core.ErrConflict) {
		t.Errorf("a cancelled job goes on: %v", err)
	}
	j.State, j.Rows, j.Bytes, j.SHA256, j.ExpiresAt = core.ExportDone, 7, 70, "abc", time.Now().Add(time.Hour)
	must(c.Exports.Finish(ctx, "n1", *j))
	got, err := c.Exports.Get(ctx, []tenant.ID{acme}, first.ID)
	must(err)
	if got.State != core.ExportDone || got.Rows != 7 || got.SHA256 != "abc" || got.FinishedAt.IsZero() {
		t.Errorf("%+v", got)
	}
	if _, err := c.Exports.Get(ctx, []tenant.ID{beta}, first.ID); !errors.Is(err, core.ErrNotFound) {
		t.Errorf("read through another tenant: %v", err)
	}
	held := map[string]tenant.ID{first.ID: acme, second.ID: beta, "0195f3a0-0000-7000-8000-00000000000a": acme}
	if stale, err := c.Exports.Stale(ctx, "n1", held); err != nil || len(stale) != 2 {
		t.Errorf("stale: %v, %v", stale, err)
	}
	for range 100 {
		queue(acme)
	}
	if _, err := c.Exports.Create(ctx, alice, acme, core.ExportJob{Format: "csv"}); !errors.Is(err, core.ErrInvalid) {
		t.Errorf("one job too many at once: %v", err)
	}
	if all, err := c.Exports.List(ctx, []tenant.ID{acme, beta}); err != nil || len(all) != 102 {
		t.Errorf("%d jobs, %v", len(all), err)
	}
}
