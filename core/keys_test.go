package core_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tenantwatch/tenantwatch/core"
	"github.com/tenantwatch/tenantwatch/core/access"
	"github.com/tenantwatch/tenantwatch/core/tenant"
)

func TestKeys(t *testing.T) {
	t.Parallel()
	clk := newClock()
	c, db := server.Open(t, func(cfg *core.Config) { cfg.Now = clk.now })
	makeTenants(t, c, acme, beta)
	ctx := t.Context()
	key, secret, err := c.Keys.Create(ctx, tests, acme, core.NewKey{Kind: core.IngestKind, Name: "web servers"})
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(secret.Reveal(), "tw_ingest_"+key.ID+"_") || fmt.Sprint(secret) != "[redacted]" {
		t.Fatalf("secret of key %s has the wrong form", key.ID)
	}
	got, err := c.Keys.ResolveIngestKey(ctx, secret.Reveal())
	if err != nil || got != (core.IngestKey{Tenant: acme, ID: key.ID, Name: "web servers"}) {
		t.Fatalf("resolved to %+v, %v", got, err)
	}
	last := secret.Reveal()[len(secret)-1]
	flip := byte('a')
	if last == 'a' {
		flip = 'b'
	}
	for _, bad := range []string{"", "tw_ingest_", secret.Reveal()[:len(secret)-1], secret.Reveal() + "a",
		secret.Reveal()[:len(secret)-1] + string(flip), strings.Replace(secret.Reveal(), "tw_ingest_", "tw_api_", 1), strings.Repeat("x", 1<<20)} {
		if _, err := c.Keys.ResolveIngestKey(ctx, bad); !errors.Is(err, core.ErrUnauthorized) {
			t.Errorf("bearer %.30q: %v", bad, err)
		}
	}
	if _, err := c.Keys.ResolveToken(ctx, secret.Reveal()); !errors.Is(err, core.ErrUnauthorized) {
		t.Errorf("an ingest key as API token: %v", err)
	}
	// An API token, narrowed and expiring.
	_, token, err := c.Keys.Create(ctx, tests, acme, core.NewKey{Kind: core.APIKind, Name: "siem", Role: access.TenantAuditor,
		Scopes: []access.Permission{access.AlertsRead}, ExpiresAt: clk.now().Add(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	p, err := c.Keys.ResolveToken(ctx, token.Reveal())
	if err != nil || p.Tenant != acme || p.Role != access.TenantAuditor || !p.Can(access.AlertsRead) || p.Can(access.EventsRead) || p.Kind != access.KindToken {
		t.Fatalf("resolved to %+v, %v", p, err)
	}
	for _, n := range []core.NewKey{{Kind: core.APIKind, Name: "x", Role: access.PlatformAdmin}, {Kind: core.APIKind, Name: "x", Role: access.Ingest},
		{Kind: core.APIKind, Name: "x", Role: access.TenantAuditor, Scopes: []access.Permission{access.UsersManage}}, {Kind: "x", Name: "x"}, {Kind: core.IngestKind},
		{Kind: core.IngestKind, Name: "x", ExpiresAt: clk.now()}} {
		if _, _, err := c.Keys.Create(ctx, tests, acme, n); !errors.Is(err, core.ErrInvalid) {
			t.Errorf("%+v: %v", n, err)
		}
	}
	// Last use is written in batches.
	if err := c.Keys.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	list, err := c.Keys.List(ctx, []tenant.ID{acme, beta})
	if err != nil || len(list) != 2 || list[0].LastUsedAt.IsZero() || list[1].LastUsedAt.IsZero() || list[0].Tenant != acme {
		t.Fatalf("keys: %+v, %v", list, err)
	}
	if list, err := c.Keys.List(ctx, []tenant.ID{beta}); err != nil || len(list) != 0 {
		t.Fatalf("another tenant's keys: %v, %v", list, err)
	}
	// Another process has it cached and sees the revocation within 5 s.
	far := openAt(t, db, clk)
	if _, err := far.Keys.ResolveIngestKey(ctx, secret.Reveal()); err != nil {
		t.Fatal(err)
	}
	if err := c.Keys.Revoke(ctx, tests, beta, key.ID); !errors.Is(err, core.ErrNotFound) {
		t.Fatalf("revoked through another tenant: %v", err)
	}
	if err := c.Keys.Revoke(ctx, tests, acme, key.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Keys.ResolveIngestKey(ctx, secret.Reveal()); !errors.Is(err, core.ErrUnauthorized) {
		t.Fatalf("revoked here: %v", err)
	}
	clk.advance(5 * time.Second)
	if _, err := far.Keys.ResolveIngestKey(ctx, secret.Reveal()); !errors.Is(err, core.ErrUnauthorized) {
		t.Fatalf("revoked elsewhere, 5 s later: %v", err)
	}
	if err := c.Keys.Revoke(ctx, tests, acme, key.ID); !errors.Is(err, core.ErrNotFound) {
		t.Fatalf("revoked twice: %v", err)
	}
	clk.advance(time.Hour)
	if _, err := c.Keys.ResolveToken(ctx, token.Reveal()); !errors.Is(err, core.ErrUnauthorized) {
		t.Fatalf("an expired token: %v", err)
	}
}

func TestBootstrapAndDemo(t *testing.T) {
	t.Parallel()
	c, _ := server.Open(t, nil)
	ctx := t.Context()
	r, err := c.Bootstrap(ctx, "admin@local.example", "", "up")
	if err != nil || r.Password == "" {
		t.Fatalf("%+v, %v", r, err)
	}
	makeTenants(t, c, acme)
	p, err := c.Keys.ResolveToken(ctx, r.Token.Reveal())
	if err != nil || p.Role != access.PlatformAdmin || !p.Sees(acme) || p.Single() {
		t.Fatalf("the token resolves to %+v, %v", p, err)
	}
	if _, err := c.Identity.Login(ctx, core.LoginRequest{Email: "admin@local.example", Password: r.Password}); err != nil {
		t.Fatal(err)
	}
	again, err := c.Bootstrap(ctx, "other@local.example", "", "up")
	if err != nil || again.Password != "" || again.Admin.ID != r.Admin.ID || again.Token == r.Token {
		t.Fatalf("a second time: %+v, %v", again, err)
	}
	if err := c.Keys.RevokeOperatorToken(ctx, tests, r.TokenID); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Keys.ResolveToken(ctx, r.Token.Reveal()); !errors.Is(err, core.ErrUnauthorized) {
		t.Fatalf("a revoked operator token: %v", err)
	}
	for range 2 {
		logins, err := c.SeedDemo(ctx, []tenant.ID{acme, beta}, "demo-password")
		if err != nil || len(logins) != 7 {
			t.Fatalf("%d logins, %v", len(logins), err)
		}
		for _, l := range logins {
			s, err := c.Identity.Login(ctx, core.LoginRequest{Email: l.Email, Password: l.Password})
			if err != nil || s.Principal.Role != l.Role || s.Principal.Tenant != l.Tenant {
				t.Fatalf("%s: %+v, %v", l.Email, s.Principal, err)
			}
		}
	}
}
