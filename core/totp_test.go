package core_test

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"

	"github.com/tenantwatch/tenantwatch/core"
	"github.com/tenantwatch/tenantwatch/core/access"
)

// enrol gives somebody a second factor.
func enrol(t *testing.T, c *core.Core, s core.Session, clk *clock) (secret string, recovery []core.Secret) {
	t.Helper()
	e, err := c.Identity.BeginTOTP(t.Context(), s.Principal, password)
	if err != nil {
		t.Fatal(err)
	}
	if uri := e.URI.Reveal(); !strings.HasPrefix(uri, "otpauth://totp/tenantwatch:") || !strings.Contains(uri, "secret="+e.Secret.Reveal()) {
		t.Fatalf("otpauth URI %s", uri)
	}
	if !strings.HasPrefix(e.QR.Reveal(), "data:image/png;base64,iVBOR") {
		t.Fatalf("QR code %.40s", e.QR.Reveal())
	}
	if _, err := c.Identity.ConfirmTOTP(t.Context(), s.Principal, s.Token.Reveal(), "000000"); !errors.Is(err, core.ErrUnauthorized) {
		t.Fatalf("confirmed by a wrong code: %v", err)
	}
	code, err := totp.GenerateCode(e.Secret.Reveal(), clk.now())
	if err != nil {
		t.Fatal(err)
	}
	recovery, err = c.Identity.ConfirmTOTP(t.Context(), s.Principal, s.Token.Reveal(), code)
	if err != nil || len(recovery) != 10 {
		t.Fatalf("%d recovery codes, %v", len(recovery), err)
	}
	return e.Secret.Reveal(), recovery
}

func TestTOTP(t *testing.T) {
	t.Parallel()
	clk := newClock()
	c, db := server.Open(t, func(cfg *core.Config) { cfg.Now = clk.now })
	other := openAt(t, db, clk)
	makeTenants(t, c, acme)
	ctx := t.Context()
	makeUser(t, c, acme, "ada@acme.example", access.TenantAdmin)
	login := func(pw core.Secret, code string) (core.Session, error) {
		return c.Identity.Login(ctx, core.LoginRequest{Email: "ada@acme.example", Password: pw, Code: code})
	}
	s := must(login(password, ""))
	before := must(login(password, ""))
	secret, recovery := enrol(t, c, s, clk)
	at := func(d time.Duration) string { return must(totp.GenerateCode(secret, clk.now().Add(d))) }
	if _, err := c.Identity.SessionByToken(ctx, before.Token.Reveal()); !errors.Is(err, core.ErrUnauthorized) {
		t.Errorf("a session from before the second factor goes on: %v", err)
	}
	if _, err := c.Identity.SessionByToken(ctx, s.Token.Reveal()); err != nil {
		t.Errorf("the session that enrolled: %v", err)
	}
	if _, err := login(password, ""); !errors.Is(err, core.ErrTOTPRequired) || !errors.Is(err, core.ErrUnauthorized) {
		t.Fatalf("password alone: %v", err)
	}
	if _, err := login("a wrong password", ""); errors.Is(err, core.ErrTOTPRequired) || !errors.Is(err, core.ErrUnauthorized) {
		t.Fatalf("a wrong password learns of the second factor: %v", err)
	}
	if _, err := login(password, at(0)); !errors.Is(err, core.ErrUnauthorized) {
		t.Fatalf("the code that confirmed is used again: %v", err)
	}
	clk.advance(time.Minute)
	for _, off := range []time.Duration{-90 * time.Second, 90 * time.Second, time.Hour} {
		if _, err := login(password, at(off)); !errors.Is(err, core.ErrUnauthorized) {
			t.Errorf("a code of %v away: %v", off, err)
		}
	}
	clk.advance(20 * time.Minute) // five failures: locked
	// One code, twice at once, on two processes: one of them gets in.
	code := at(0)
	var mu sync.Mutex
	in := 0
	var wg sync.WaitGroup
	for _, c := range []*core.Core{c, other} {
		wg.Go(func() {
			if _, err := c.Identity.Login(ctx, core.LoginRequest{Email: "ada@acme.example", Password: password, Code: code}); err == nil {
				mu.Lock()
				in++
				mu.Unlock()
			} else if !errors.Is(err, core.ErrUnauthorized) {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if in != 1 {
		t.Fatalf("%d sign-ins with one code", in)
	}
	clk.advance(time.Minute)
	if _, err := login(password, at(-30*time.Second)); err != nil { // a clock that is late by a step
		t.Fatalf("within the window: %v", err)
	}
	// A recovery code, once, however it is written.
	if s, err := login(password, " "+strings.ToUpper(recovery[3].Reveal())); err != nil || s.Method != "recovery" {
		t.Fatalf("recovery code: %+v, %v", s, err)
	}
	if _, err := login(password, recovery[3].Reveal()); !errors.Is(err, core.ErrUnauthorized) {
		t.Fatalf("a recovery code twice: %v", err)
	}
	// Wrong codes lock like wrong passwords.
	for range 5 {
		_, _ = login(password, "123456")
	}
	clk.advance(time.Minute)
	if _, err := login(password, at(0)); !errors.Is(err, core.ErrUnauthorized) {
		t.Fatalf("after five wrong codes: %v", err)
	}
	clk.advance(20 * time.Minute)
	s = must(login(password, at(0)))
	// Removing it takes both.
	if err := c.Identity.RemoveTOTP(ctx, s.Principal, password, "000000"); !errors.Is(err, core.ErrUnauthorized) {
		t.Fatalf("removed with a wrong code: %v", err)
	}
	clk.advance(time.Minute)
	if err := c.Identity.RemoveTOTP(ctx, s.Principal, "wrong password", at(0)); !errors.Is(err, core.ErrUnauthorized) {
		t.Fatalf("removed with a wrong password: %v", err)
	}
	if err := c.Identity.RemoveTOTP(ctx, s.Principal, password, at(0)); err != nil {
		t.Fatal(err)
	}
	if _, err := login(password, ""); err != nil {
		t.Fatalf("after removing it: %v", err)
	}
	for action, want := range map[string]int{"mfa.enable": 1, "mfa.disable": 1, "mfa.recovery": 1, "user.lock": 2} {
		if got := rows(t, c, acme, action); len(got) != want {
			t.Errorf("%s is in the trail %d times", action, len(got))
		}
	}
}

func TestPasswordChangeAndReset(t *testing.T) {
	t.Parallel()
	clk := newClock()
	c, _ := server.Open(t, func(cfg *core.Config) { cfg.Now = clk.now })
	makeTenants(t, c, acme)
	ctx := t.Context()
	p := makeUser(t, c, acme, "ada@acme.example", access.TenantAdmin)
	login := func(pw core.Secret) (core.Session, error) {
		return c.Identity.Login(ctx, core.LoginRequest{Email: "ada@acme.example", Password: pw, Address: "192.0.2.7", UserAgent: "a browser"})
	}
	s, two := must(login(password)), must(login(password))
	list := must(c.Identity.Sessions(ctx, s.Principal, s.Token.Reveal()))
	if len(list) != 2 || list[0].Current == list[1].Current || list[0].Address != "192.0.2.7" || list[0].UserAgent != "a browser" {
		t.Fatalf("sessions: %+v", list)
	}
	if err := c.Identity.ChangePassword(ctx, s.Principal, s.Token.Reveal(), "not the password", "another long one"); !errors.Is(err, core.ErrUnauthorized) {
		t.Fatalf("without the old password: %v", err)
	}
	if err := c.Identity.ChangePassword(ctx, s.Principal, s.Token.Reveal(), password, "short"); !errors.Is(err, core.ErrInvalid) {
		t.Fatalf("a short one: %v", err)
	}
	if err := c.Identity.ChangePassword(ctx, s.Principal, s.Token.Reveal(), password, "another long one"); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Identity.SessionByToken(ctx, two.Token.Reveal()); !errors.Is(err, core.ErrUnauthorized) {
		t.Errorf("the other session goes on: %v", err)
	}
	if _, err := login(password); !errors.Is(err, core.ErrUnauthorized) {
		t.Errorf("the old password: %v", err)
	}
	three := must(login("another long one"))
	for _, info := range must(c.Identity.Sessions(ctx, three.Principal, three.Token.Reveal())) {
		if !info.Current {
			if err := c.Identity.EndSession(ctx, three.Principal, info.ID); err != nil {
				t.Fatal(err)
			}
		}
	}
	if _, err := c.Identity.SessionByToken(ctx, s.Token.Reveal()); !errors.Is(err, core.ErrUnauthorized) {
		t.Errorf("an ended session: %v", err)
	}
	// A reset: unlocks, ends sessions, and has to be changed.
	enrol2, _ := c.Identity.BeginTOTP(ctx, three.Principal, "another long one")
	if _, err := c.Identity.ConfirmTOTP(ctx, three.Principal, three.Token.Reveal(), must(totp.GenerateCode(enrol2.Secret.Reveal(), clk.now()))); err != nil {
		t.Fatal(err)
	}
	for range 5 {
		_, _ = login("not the password")
	}
	_, once, err := c.Identity.ResetPerson(ctx, tests, acme, p.ID, true)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Identity.SessionByToken(ctx, three.Token.Reveal()); !errors.Is(err, core.ErrUnauthorized) {
		t.Errorf("a session outlives the reset: %v", err)
	}
	s, err = login(once)
	if err != nil || !s.Principal.MustChange {
		t.Fatalf("with the one-time password: %+v, %v", s.Principal, err)
	}
	if err := c.Identity.ChangePassword(ctx, s.Principal, s.Token.Reveal(), once, "yet another one"); err != nil {
		t.Fatal(err)
	}
	if s, err := c.Identity.SessionByToken(ctx, s.Token.Reveal()); err != nil || s.Principal.MustChange {
		t.Errorf("after the change: %+v, %v", s.Principal, err)
	}
}
