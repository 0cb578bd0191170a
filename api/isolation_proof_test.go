package api

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/tenantwatch/tenantwatch/core/access"
	"github.com/tenantwatch/tenantwatch/core/tenant"
)

// guardedTwice are the operations that make, change or hand over credentials:
// behind the role check they ask whether the credential may give that much.
var guardedTwice = map[string]bool{"createStream": true, "createKey": true, "rotateKey": true, "listUsers": true, "listTrail": true, "createUser": true, "updateUser": true, "deleteUser": true,
	"resetUser": true, "viewAs": true}

// TestProveIsolation removes the API's guards one at a time, sends what the
// isolation matrix sends, and prints what came out. `make prove-isolation` runs
// it. Every mutant has to be seen by the named test's own check.
func TestProveIsolation(t *testing.T) {
	print := func(guard, shows, red, second string) {
		fmt.Printf("  %-32s | %-32s | %-45s | %s\n", guard, shows, red, second)
	}
	fmt.Println()
	print("guard removed (API)", "what the mutant shows", "test that turns red", "second guard: foreign answers that left")

	// reads asks every tenant's read for the foreign tenant and the foreign
	// object, and counts the answers that show them.
	reads := func(change func(*Server)) (asked, shown int) {
		for _, r := range Routes() {
			if r.Tenancy == TenancyNone || r.Tenancy == TenancyPlatform || r.Method != http.MethodGet || r.Streams && r.Operation == "streamAlerts" {
				continue
			}
			for _, who := range []string{"analyst", "admin"} {
				w := newWorld()
				if !w.tokens["token-"+who].Can(r.Permission) {
					continue
				}
				s := w.server(t)
				change(s)
				asked++
				if rec := shot(r, who, betaID, "beta", "").once(t, s); shows(rec.Body.String()) {
					shown++
				}
			}
		}
		return asked, shown
	}
	asked, shown := reads(func(*Server) {})
	if shown != 0 {
		t.Errorf("reference: %d of %d answers show the other tenant", shown, asked)
	}
	print("none (reference)", fmt.Sprintf("%d of %d answers foreign", shown, asked), "none", "")

	off := func(s *Server) { s.unguarded, s.unverified = []tenant.ID{alpha, beta}, true }
	_, both := reads(off)
	_, behind := reads(func(s *Server) { s.unguarded = []tenant.ID{alpha, beta} })
	if both == 0 || behind != 0 {
		t.Errorf("tenancy check: %d answers foreign without both guards, %d without the first", both, behind)
	}
	print("tenancy check of the request", fmt.Sprintf("%d of %d answers foreign", both, asked), "TestIsolation, TestIsolationWouldBeSeen", fmt.Sprintf("scope held against the credential: %d", behind))
	_, second := reads(func(s *Server) { s.unverified = true })
	if second != 0 {
		t.Errorf("scope check: %d answers foreign", second)
	}
	print("scope held against credential", "the control of the row above", "TestProveIsolation (here)", fmt.Sprintf("tenancy check of the request: %d", second))

	// The role check: each operation without its permission, asked by roles
	// that do not hold it, for a foreign tenant and for their own.
	kept := routes
	defer func() { routes = kept }()
	routes = append([]route(nil), kept...)
	opened, foreign, tried, held := 0, 0, 0, 0
	for i, r := range kept {
		if r.Public || r.Permission == "" {
			continue
		}
		routes[i].Permission = ""
		for _, who := range []string{"reader", "auditor"} {
			w := newWorld()
			p := w.tokens["token-"+who]
			if p.Can(r.Permission) || r.Streams {
				continue
			}
			tried++
			inBody := ""
			if r.Tenancy == TenancyWrite && !p.Single() {
				inBody = "alpha"
			}
			inQuery := ""
			if r.Tenancy == TenancyOne && !p.Single() {
				inQuery = "alpha"
			}
			s := w.server(t)
			if rec := shot(r.Route, who, alphaID, inQuery, inBody).once(t, s); rec.Code < 300 {
				opened++
			} else if guardedTwice[r.Operation] && (rec.Code == 403 || rec.Code == 400) {
				held++
			}
			for _, id := range []string{"", "beta"} {
				w := newWorld()
				rec := shot(r.Route, who, betaID, id, id).once(t, w.server(t))
				if shows(rec.Body.String()) || !has(w, betaID) {
					foreign++
					t.Errorf("%s as %s without the role check: %d %s", r.Operation, who, rec.Code, rec.Body)
				}
			}
		}
		routes[i].Permission = r.Permission
	}
	if opened == 0 || held == 0 || opened+held != tried {
		t.Errorf("role check: %d of %d operations opened: the control does not see its loss", opened, tried)
	}
	print("role check", fmt.Sprintf("%d of %d refused calls let in", opened, tried), "TestIsolation (want 403)", fmt.Sprintf("tenancy check: %d; what a credential may give: %d held", foreign, held))

	// The cursor's binding: a foreign position, refused as the foreign tenant got
	// it, and opened once it is bound as if bindings were not looked at.
	w := newWorld()
	s := w.server(t)
	to, from := access.KindUser, string(access.KindOperator)+":analyst"
	q := url.Values{}
	opened, foreign, tried = 0, 0, 0
	for op, position := range map[string]any{
		"listKeys": &offset{"0"}, "listWebhooks": &offset{"0"}, "listAlerts": &AlertPosition{RaisedAt: day.AddDate(9, 0, 0), ID: betaID, Tenant: beta},
		"searchEvents": &EventPosition{Time: day.AddDate(9, 0, 0).UnixNano(), ID: "CANARY-beta-9"},
	} {
		path := "/api/v1/" + map[string]string{"listKeys": "keys", "listWebhooks": "webhooks", "listAlerts": "alerts", "searchEvents": "audit/events"}[op] + "?after="
		tried++
		ask{who: "admin", path: path + s.cursors.seal(bind(op, from, "beta", q), position)}.wantProblem(t, s, "invalid-cursor")
		rec := ask{who: "admin", path: path + s.cursors.seal(bind(op, string(to)+":admin", "alpha", q), position)}.do(t, s)
		if rec.Code == http.StatusOK {
			opened++
		}
		if shows(rec.Body.String()) {
			foreign++
		}
	}
	if opened != tried || foreign != 0 {
		t.Errorf("cursors: %d of %d opened, %d answers foreign", opened, tried, foreign)
	}
	print("cursor bound to its credential", fmt.Sprintf("%d of %d foreign positions taken", opened, tried), "TestProveIsolation, here and in e2e", fmt.Sprintf("scope of the request: %d", foreign))

	// Forgery: a session without its token.
	rec2 := ask{who: "cookie:admin", method: "POST", path: "/api/v1/keys", body: `{"name":"k","kind":"ingest"}`, header: map[string]string{"X-CSRF-Token": "csrf-cookie-analyst"}}.do(t, newWorld().server(t))
	if rec2.Code != http.StatusForbidden {
		t.Errorf("another session's CSRF token: %d", rec2.Code)
	}
}

// TestPlainMessage: what a store says about bad input reaches the client once,
// and without the names of operations and tenants around it.
func TestPlainMessage(t *testing.T) {
	theirs := errors.New("invalid input") // a store's own, which knows nothing of the API's
	stored := fmt.Errorf("create webhook of beta: %w", fmt.Errorf("%w: %s", theirs, "the tenant has 20 webhooks"))
	classified := fmt.Errorf("%w: %w", ErrInvalid, stored)
	for _, err := range []error{stored, classified, fmt.Errorf("%w (%w)", classified, stored), fmt.Errorf("reading: %w", fmt.Errorf("%w: the tenant has 20 webhooks", ErrInvalid))} {
		if got := plainMessage(err); strings.Contains(got, "beta") || strings.Count(got, "20 webhooks") != 1 {
			t.Errorf("%v: %q", err, got)
		}
	}
}
