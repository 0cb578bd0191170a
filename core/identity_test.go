package core_test

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/tenantwatch/tenantwatch/core"
	"github.com/tenantwatch/tenantwatch/core/access"
	"github.com/tenantwatch/tenantwatch/core/tenant"
)

const password = core.Secret("correct horse battery")

// clock is a clock that tests turn.
type clock struct {
	mu sync.Mutex
	t  time.Time
}

func newClock() *clock { return &clock{t: time.Now()} }

func (c *clock) now() time.Time { c.mu.Lock(); defer c.mu.Unlock(); return c.t }

func (c *clock) advance(d time.Duration) { c.mu.Lock(); defer c.mu.Unlock(); c.t = c.t.Add(d) }

func makeUser(t testing.TB, c *core.Core, id tenant.ID, email string, role access.Role) core.Person {
	t.Helper()
	p, err := c.Identity.CreateUser(t.Context(), tests, id, core.NewPerson{Email: email, Password: password, Role: role})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestSignIn(t *testing.T) {
	t.Parallel()
	clk := newClock()
	c, _ := server.Open(t, func(cfg *core.Config) { cfg.Now = clk.now })
	makeTenants(t, c, acme, beta)
	ctx := t.Context()
	makeUser(t, c, acme, "Ada@Acme.example", access.TenantAdmin)
	login := func(email string, pw core.Secret) (core.Session, error) {
		return c.Identity.Login(ctx, core.LoginRequest{Email: email, Password: pw, Address: "192.0.2.1", UserAgent: "test"})
	}
	s, err := login(" ada@ACME.example", password)
	if err != nil {
		t.Fatal(err)
	}
	p := s.Principal
	if p.Kind != access.KindUser || p.Tenant != acme || !p.Single() || !slices.Equal(p.Tenants, []tenant.ID{acme}) || !p.Can(access.UsersManage) || p.Email != "ada@acme.example" {
		t.Fatalf("principal %+v", p)
	}
	again, err := c.Identity.SessionByToken(ctx, s.Token.Reveal())
	if err != nil || again.CSRF != s.CSRF || !again.ValidCSRF(s.CSRF) || again.ValidCSRF("") || again.ValidCSRF(s.CSRF+"x") || again.Token != "" {
		t.Fatalf("the same session: %+v, %v", again, err)
	}
	other, err := login("ada@acme.example", password)
	if err != nil || other.Token == s.Token || other.CSRF == s.CSRF {
		t.Fatalf("a second session must have its own token and CSRF token: %v", err)
	}
	for _, r := range []struct {
		email string
		pw    core.Secret
	}{{"ada@acme.example", "wrong password"}, {"nobody@acme.example", password}, {"no address", password}, {"ada@acme.example", ""}} {
		if _, err := login(r.email, r.pw); !errors.Is(err, core.ErrUnauthorized) || err.Error() != "sign in: not authorized" {
			t.Errorf("%s: %v", r.email, err)
		}
	}
	for _, token := range []string{"", "x", s.Token.Reveal() + "a", s.CSRF} {
		if _, err := c.Identity.SessionByToken(ctx, token); !errors.Is(err, core.ErrUnauthorized) {
			t.Errorf("token %q: %v", token, err)
		}
	}
	// Idle and absolute expiry.
	clk.advance(time.Hour)
	if _, err := c.Identity.SessionByToken(ctx, s.Token.Reveal()); err != nil {
		t.Fatalf("after an hour: %v", err)
	}
	clk.advance(90 * time.Minute)
	if _, err := c.Identity.SessionByToken(ctx, s.Token.Reveal()); err != nil {
		t.Fatalf("used 90 minutes ago: %v", err)
	}
	if _, err := c.Identity.SessionByToken(ctx, other.Token.Reveal()); !errors.Is(err, core.ErrUnauthorized) {
		t.Fatalf("idle for 2.5 hours: %v", err)
	}
	for range 9 {
		clk.advance(time.Hour)
		_, _ = c.Identity.SessionByToken(ctx, s.Token.Reveal())
	}
	if _, err := c.Identity.SessionByToken(ctx, s.Token.Reveal()); err != nil {
		t.Fatalf("after 11.5 hours of use: %v", err)
	}
	clk.advance(time.Hour)
	if _, err := c.Identity.SessionByToken(ctx, s.Token.Reveal()); !errors.Is(err, core.ErrUnauthorized) {
		t.Fatalf("after 12.5 hours: %v", err)
	}
	// Signing out, once and everywhere.
	one, two, three := must(login("ada@acme.example", password)), must(login("ada@acme.example", password)), must(login("ada@acme.example", password))
	if err := c.Identity.Logout(ctx, one.Token.Reveal()); err != nil {
		t.Fatal(err)
	}
	if err := c.Identity.Logout(ctx, one.Token.Reveal()); err != nil {
		t.Fatalf("twice: %v", err)
	}
	if _, err := c.Identity.SessionByToken(ctx, one.Token.Reveal()); !errors.Is(err, core.ErrUnauthorized) {
		t.Fatalf("after signing out: %v", err)
	}
	if _, err := c.Identity.SessionByToken(ctx, two.Token.Reveal()); err != nil {
		t.Fatalf("the other session: %v", err)
	}
	if err := c.Identity.LogoutEverywhere(ctx, two.Principal); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Identity.SessionByToken(ctx, three.Token.Reveal()); !errors.Is(err, core.ErrUnauthorized) {
		t.Fatalf("after signing out everywhere: %v", err)
	}
	if err := c.Prune(ctx); err != nil {
		t.Fatal(err)
	}
	trail, err := c.Audit.List(ctx, acme, "", 0)
	if err != nil || len(trail) != 11 || trail[0].Action != "session.end_all" || trail[len(trail)-1].Action != "tenant.create" {
		t.Errorf("trail of %d: %+v, %v", len(trail), trail, err)
	}
	if other, err := c.Audit.List(ctx, beta, "", 0); err != nil || len(other) != 1 {
		t.Errorf("another tenant's trail: %v, %v", other, err)
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func TestLockout(t *testing.T) {
	t.Parallel()
	clk := newClock()
	c, _ := server.Open(t, func(cfg *core.Config) { cfg.Now = clk.now })
	makeTenants(t, c, acme)
	ctx := t.Context()
	u := makeUser(t, c, acme, "ada@acme.example", access.TenantAuditor)
	if _, err := c.Identity.CreateOperator(ctx, tests, core.NewPerson{Email: "ana@soc.example", Password: password, Role: access.SOCAnalyst}); err != nil {
		t.Fatal(err)
	}
	for _, email := range []string{"ada@acme.example", "ana@soc.example"} {
		login := func(pw core.Secret) error {
			_, err := c.Identity.Login(ctx, core.LoginRequest{Email: email, Password: pw})
			return err
		}
		for range 4 {
			_ = login("wrong password")
		}
		if err := login(password); err != nil {
			t.Fatalf("%s after four failures: %v", email, err)
		}
		for range 5 {
			if err := login("wrong password"); !errors.Is(err, core.ErrUnauthorized) {
				t.Fatal(err)
			}
		}
		if err := login(password); !errors.Is(err, core.ErrUnauthorized) {
			t.Fatalf("%s after five failures: %v", email, err)
		}
		clk.advance(16 * time.Minute)
		if err := login(password); err != nil {
			t.Fatalf("%s after the lock: %v", email, err)
		}
	}
	s := must(c.Identity.Login(ctx, core.LoginRequest{Email: "ada@acme.example", Password: password}))
	for range 5 {
		_, _ = c.Identity.Login(ctx, core.LoginRequest{Email: "ada@acme.example", Password: "wrong password"})
	}
	users, err := c.Identity.Users(ctx, acme)
	if err != nil || len(users) != 1 || !users[0].LockedUntil.After(clk.now()) {
		t.Fatalf("users: %+v, %v", users, err)
	}
	const fresh = core.Secret("another long one")
	if err := c.Identity.SetUserPassword(ctx, tests, acme, u.ID, fresh); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Identity.SessionByToken(ctx, s.Token.Reveal()); !errors.Is(err, core.ErrUnauthorized) {
		t.Fatalf("a session from before the reset: %v", err)
	}
	s, err = c.Identity.Login(ctx, core.LoginRequest{Email: "ada@acme.example", Password: fresh})
	if err != nil {
		t.Fatalf("after the reset: %v", err)
	}
	if err := c.Identity.SetUserDisabled(ctx, tests, acme, u.ID, true); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Identity.SessionByToken(ctx, s.Token.Reveal()); !errors.Is(err, core.ErrUnauthorized) {
		t.Fatalf("the session of a disabled user: %v", err)
	}
	if _, err := c.Identity.Login(ctx, core.LoginRequest{Email: "ada@acme.example", Password: fresh}); !errors.Is(err, core.ErrUnauthorized) {
		t.Fatalf("a disabled user: %v", err)
	}
}

// TestUnknownAddressTakesAsLong compares the median times of refusing a wrong
// password and an unknown address. The bound is loose, for a busy machine; a
// hash that is skipped would show as a factor.
func TestUnknownAddressTakesAsLong(t *testing.T) {
	c, _ := server.Open(t, func(cfg *core.Config) { cfg.Password = core.PasswordCost{MemoryKiB: 8 << 10, Passes: 2, Lanes: 1} })
	makeTenants(t, c, acme)
	const rounds = 40
	var known, unknown []time.Duration
	try := func(email string) time.Duration {
		start := time.Now()
		if _, err := c.Identity.Login(t.Context(), core.LoginRequest{Email: email, Password: "wrong password"}); !errors.Is(err, core.ErrUnauthorized) {
			t.Fatal(err)
		}
		return time.Since(start)
	}
	for i := range 10 { // four tries each: none is locked
		makeUser(t, c, acme, fmt.Sprintf("u%d@acme.example", i), access.TenantAuditor)
	}
	for i := range rounds {
		known = append(known, try(fmt.Sprintf("u%d@acme.example", i%10)))
		unknown = append(unknown, try(fmt.Sprintf("x%d@acme.example", i%10)))
	}
	slices.Sort(known)
	slices.Sort(unknown)
	a, b := known[rounds/2], unknown[rounds/2]
	t.Logf("median of a wrong password %v, of an unknown address %v", a, b)
	if a > b*2 || b > a*2 {
		t.Errorf("wrong password %v, unknown address %v: they can be told apart", a, b)
	}
}

func TestSameAddressInSeveralTenants(t *testing.T) {
	t.Parallel()
	c, _ := server.Open(t, nil)
	makeTenants(t, c, acme, beta)
	ctx := t.Context()
	makeUser(t, c, acme, "ada@example.com", access.TenantAdmin)
	if _, err := c.Identity.CreateUser(ctx, tests, acme, core.NewPerson{Email: "ada@example.com", Password: password, Role: access.TenantAuditor}); !errors.Is(err, core.ErrExists) {
		t.Fatalf("twice in one tenant: %v", err)
	}
	if _, err := c.Identity.CreateUser(ctx, tests, beta, core.NewPerson{Email: "ada@example.com", Password: "another long one", Role: access.TenantAuditor}); err != nil {
		t.Fatalf("in another tenant: %v", err) // else one tenant could ask for another's people
	}
	f := func(pw core.Secret, only, want tenant.ID) {
		t.Helper()
		s, err := c.Identity.Login(ctx, core.LoginRequest{Email: "ada@example.com", Password: pw, Tenant: only})
		if want.IsZero() != errors.Is(err, core.ErrUnauthorized) || s.Principal.Tenant != want {
			t.Errorf("signed in to %q, want %q: %v", s.Principal.Tenant, want, err)
		}
	}
	f(password, tenant.ID{}, acme)
	f("another long one", tenant.ID{}, beta)
	f(password, beta, tenant.ID{})
	f("another long one", beta, beta)
}

func TestOperatorsSeeWhatIsGranted(t *testing.T) {
	t.Parallel()
	c, _ := server.Open(t, nil)
	gamma := tenant.MustParse("gamma")
	makeTenants(t, c, acme, beta, gamma)
	ctx := t.Context()
	ana, err := c.Identity.CreateOperator(ctx, tests, core.NewPerson{Email: "ana@soc.example", Password: password, Role: access.SOCAnalyst, Tenants: []tenant.ID{beta, acme}})
	if err != nil {
		t.Fatal(err)
	}
	root, err := c.Identity.CreateOperator(ctx, tests, core.NewPerson{Email: "root@soc.example", Password: password, Role: access.PlatformAdmin})
	if err != nil {
		t.Fatal(err)
	}
	f := func(email string, want ...tenant.ID) {
		t.Helper()
		s, err := c.Identity.Login(ctx, core.LoginRequest{Email: email, Password: password})
		if err != nil || s.Principal.Kind != access.KindOperator || s.Principal.Single() || !slices.Equal(s.Principal.Tenants, want) {
			t.Errorf("%s sees %v, want %v; %v", email, s.Principal.Tenants, want, err)
		}
	}
	f("ana@soc.example", acme, beta)
	f("root@soc.example", acme, beta, gamma)
	if err := c.Identity.Grant(ctx, tests, ana.ID, gamma); err != nil {
		t.Fatal(err)
	}
	if err := c.Identity.Ungrant(ctx, tests, ana.ID, acme); err != nil {
		t.Fatal(err)
	}
	f("ana@soc.example", beta, gamma)
	if err := c.Identity.Grant(ctx, tests, ana.ID, tenant.MustParse("nowhere")); !errors.Is(err, core.ErrNotFound) {
		t.Errorf("a grant of a missing tenant: %v", err)
	}
	if _, err := c.Tenants.Suspend(ctx, tests, gamma, ""); err != nil {
		t.Fatal(err)
	}
	f("ana@soc.example", beta)
	f("root@soc.example", acme, beta, gamma) // an administrator still sees it
	delta := tenant.MustParse("delta")
	makeTenants(t, c, delta)
	f("root@soc.example", acme, beta, delta, gamma) // at once
	if _, err := c.Identity.CreateOperator(ctx, tests, core.NewPerson{Email: "x@soc.example", Password: password, Role: access.TenantAdmin}); !errors.Is(err, core.ErrInvalid) {
		t.Errorf("an operator with a tenant's role: %v", err)
	}
	if _, err := c.Identity.CreateUser(ctx, tests, acme, core.NewPerson{Email: "x@acme.example", Password: password, Role: access.PlatformAdmin}); !errors.Is(err, core.ErrInvalid) {
		t.Errorf("a tenant's user with the operator's role: %v", err)
	}
	if _, err := c.Identity.CreateUser(ctx, tests, acme, core.NewPerson{Email: "x@acme.example", Password: "short", Role: access.TenantAdmin}); !errors.Is(err, core.ErrInvalid) {
		t.Errorf("a short password: %v", err)
	}
	ops, err := c.Identity.Operators(ctx)
	if err != nil || len(ops) != 2 || ops[0].ID != ana.ID || ops[1].ID != root.ID {
		t.Errorf("operators: %+v, %v", ops, err)
	}
}
