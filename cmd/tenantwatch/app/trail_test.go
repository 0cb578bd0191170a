package app

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/tenantwatch/tenantwatch/core"
	"github.com/tenantwatch/tenantwatch/core/access"
	"github.com/tenantwatch/tenantwatch/core/tenant"
	"github.com/tenantwatch/tenantwatch/pipeline/event"
)

// TestTrailEvents holds the OCSF classes of the trail.
func TestTrailEvents(t *testing.T) {
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	f := func(action string, kind access.Kind, detail string, class event.Class, activity uint8, outcome event.Outcome, actorType string) event.Event {
		t.Helper()
		e := trailEvent(core.AuditEntry{Tenant: tenant.MustParse("acme"), ID: "0195f3a0-0000-7000-8000-00000000000a", Time: at, Action: action, Target: "x",
			Actor: access.Actor{Kind: kind, ID: "u1", Name: "ada@acme.example"}, Detail: json.RawMessage(detail)}, at.Add(time.Second))
		if err := e.Validate(); err != nil {
			t.Errorf("%s: %v", action, err)
		}
		if e.Class != class || e.Activity != activity || e.Outcome != outcome || e.ActorType != actorType || e.Action != action {
			t.Errorf("%s: class %d activity %d outcome %s actor type %s", action, e.Class, e.Activity, e.Outcome, e.ActorType)
		}
		if e.ID != "trail-0195f3a0-0000-7000-8000-00000000000a" || e.Time != at.UnixNano() || e.Source != event.TrailSource || e.Label("actor_id") != "u1" {
			t.Errorf("%s: %+v", action, e)
		}
		return e
	}
	e := f("session.start", access.KindUser, `{"address":"192.0.2.1","user_agent":"a browser","method":"totp"}`, event.ClassAuthentication, 1, event.OutcomeSuccess, "user")
	if e.SrcIP != "192.0.2.1" || e.UserAgent != "a browser" || e.Label("method") != "totp" {
		t.Errorf("session.start: %+v", e)
	}
	f("session.refuse", access.KindUser, `{}`, event.ClassAuthentication, 1, event.OutcomeFailure, "user")
	f("session.end", access.KindOperator, `{}`, event.ClassAuthentication, 2, event.OutcomeSuccess, "user")
	f("user.create", access.KindSystem, `{"role":"tenant_admin"}`, event.ClassAccountChange, 1, event.OutcomeSuccess, "service")
	f("user.password", access.KindUser, `{}`, event.ClassAccountChange, 3, event.OutcomeSuccess, "user")
	f("operator.grant", access.KindOperatorToken, `{}`, event.ClassAccountChange, 7, event.OutcomeSuccess, "service")
	f("mfa.disable", access.KindUser, `{}`, event.ClassAccountChange, 11, event.OutcomeSuccess, "user")
	f("key.create", access.KindUser, `{}`, event.ClassAPIActivity, 1, event.OutcomeSuccess, "user")
	f("key.revoke", access.KindUser, `{}`, event.ClassAPIActivity, 4, event.OutcomeSuccess, "user")
	f("suppression.update", access.KindUser, `not json`, event.ClassAPIActivity, 3, event.OutcomeSuccess, "user")
	e = f("access.deny", access.KindToken, `{"what":"createKey ×3","count":3,"role":"tenant_auditor"}`, event.ClassAPIActivity, 2, event.OutcomeFailure, "service")
	if e.Count != 3 || e.Status != 403 || e.Cohort != "tenant_auditor" {
		t.Errorf("access.deny: %+v", e)
	}
}
