package event

import (
	"encoding/json"
	"math"
	"testing"

	"github.com/tenantwatch/tenantwatch/core/tenant"
)

func TestAppendOCSF(t *testing.T) {
	e := Event{Tenant: tenant.MustParse("acme"), ID: "e\"1", Time: 1772356502123456789, IngestedAt: 1772356503000000000, Class: ClassAPIActivity, Activity: 2, Action: "s3:GetObject",
		Outcome: OutcomeFailure, Severity: 3, Actor: "deploy", ActorType: "service", Cohort: "ci", Session: "s1", SrcIP: "203.0.113.7", Country: "DE", Latitude: 1, Longitude: 2, HasPosition: true,
		ASN: 3320, UserAgent: "aws-cli", Resource: "bucket/x", ResourceType: "object", Status: 403, BytesOut: 9, Count: 2, Labels: []Label{{"team", "blue"}}, Raw: "{\"x\":1}"}
	var got map[string]any
	if err := json.Unmarshal(AppendOCSF(nil, &e), &got); err != nil {
		t.Fatal(err)
	}
	at := func(path ...any) any {
		var v any = got
		for _, p := range path {
			switch p := p.(type) {
			case string:
				m, _ := v.(map[string]any)
				v = m[p]
			case int:
				l, _ := v.([]any)
				if p >= len(l) {
					return nil
				}
				v = l[p]
			}
		}
		return v
	}
	for _, c := range []struct {
		want any
		path []any
	}{
		{600302.0, []any{"type_uid"}}, {6.0, []any{"category_uid"}}, {1772356502123.0, []any{"time"}}, {2.0, []any{"status_id"}}, {"1.8.0", []any{"metadata", "version"}},
		{"e\"1", []any{"metadata", "uid"}}, {"acme", []any{"metadata", "tenant_uid"}}, {"deploy", []any{"actor", "user", "name"}}, {4.0, []any{"actor", "user", "type_id"}},
		{"GetObject", []any{"api", "operation"}}, {"s3", []any{"api", "service", "name"}}, {"bucket/x", []any{"resources", 0, "name"}}, {3320.0, []any{"src_endpoint", "autonomous_system", "number"}},
		{403.0, []any{"http_response", "code"}}, {"blue", []any{"unmapped", "team"}}, {"{\"x\":1}", []any{"raw_data"}}, {nil, []any{"user"}}, {2.0, []any{"count"}},
	} {
		if v := at(c.path...); v != c.want {
			t.Errorf("%v is %v, want %v", c.path, v, c.want)
		}
	}
	e.Class, e.Latitude = ClassAuthentication, math.NaN()
	if err := json.Unmarshal(AppendOCSF(nil, &e), &got); err != nil || at("user", "name") != "deploy" || at("unmapped", "action") != "s3:GetObject" {
		t.Errorf("%v, %v", got, err)
	}
}
