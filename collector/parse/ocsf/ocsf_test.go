package ocsf

import (
	"strings"
	"testing"

	"github.com/tenantwatch/tenantwatch/collector/parse/record/recordtest"
)

func TestParse(t *testing.T) {
	p := New()
	f := func(rest, want string) {
		t.Helper()
		in := `{"time":1772356502123,"metadata":{"version":"1.8.0","uid":"e-1","product":{"name":"app","vendor_name":"acme"}},` + rest + `}`
		got := strings.Replace(recordtest.Show(t, p, recordtest.Env(), in), `{"id":"e-1","time":"2026-03-01T09:15:02.123Z","class_uid":`, "", 1)
		got = strings.Replace(got, `"product":"app","vendor":"acme"`, "", 1)
		if got != want {
			t.Fatalf("%s\n got %s\nwant %s", in, got, want)
		}
	}
	// Authentication: the user is the one who signs in.
	f(`"class_uid":3002,"activity_id":1,"status_id":2,"severity_id":3,"user":{"name":"alice","uid":"7","type_id":1,"groups":[{"name":"admins"}]},`+
		`"src_endpoint":{"ip":"203.0.113.7","port":4711,"location":{"country":"DE","city":"Köln","lat":50.9,"long":6.9},"autonomous_system":{"number":3320}},`+
		`"http_request":{"user_agent":"ua"},"session":{"uid":"s1"},"is_mfa":true,"unmapped":{"a":{"b":1}}`,
		`3002,"activity":1,"action":"login","outcome":"failure","severity":3,"actor":"alice","actor_type":"user","cohort":"admins","session":"s1","src_ip":"203.0.113.7",`+
			`"country":"DE","city":"Köln","latitude":50.9,"longitude":6.9,"asn":3320,"user_agent":"ua","labels":{"is_mfa":"true",,"src_port":"4711","a.b":"1"}}`)
	// Account change: who did it is the actor, the user is what was changed.
	f(`"class_uid":3001,"activity_id":11,"status":"Success","actor":{"user":{"email_addr":"admin@acme.example","type_id":2}},"user":{"name":"bob"}`,
		`3001,"activity":11,"action":"mfa.disable","outcome":"success","actor":"admin@acme.example","actor_type":"user","resource":"bob","resource_type":"user","labels":{}}`)
	f(`"class_uid":4002,"activity_id":3,"status_id":1,"src_endpoint":{"ip":"203.0.113.7"},"http_request":{"http_method":"GET","url":{"path":"/a","query_string":"x=1"}},`+
		`"http_response":{"code":200},"traffic":{"bytes_in":5,"bytes_out":7},"duration":12`,
		`4002,"activity":3,"action":"http.get","outcome":"success","actor":"203.0.113.7","src_ip":"203.0.113.7","resource":"/a","resource_type":"path","http_method":"GET",`+
			`"status":200,"bytes_in":5,"bytes_out":7,"duration":12,"labels":{,"query":"x=1"}}`)
	f(`"class_uid":6003,"activity_id":2,"api":{"operation":"GetObject","service":{"name":"s3"}},"actor":{"app_name":"backup"},"resources":[{"uid":"r1","type":"object"}]`,
		`6003,"activity":2,"action":"s3:GetObject","outcome":"unknown","actor":"backup","actor_type":"service","resource":"r1","resource_type":"object","labels":{}}`)
	// Other classes are unknown; class and names are kept.
	f(`"class_uid":4003,"class_name":"DNS Activity","activity_id":1,"activity_name":"Query","src_endpoint":{"ip":"bad","hostname":"pc-1"},"count":3`,
		`0,"activity":1,"action":"dns_activity.query","outcome":"unknown","actor":"pc-1","count":3,"labels":{"class_uid":"4003",,"invalid.src_ip":"bad"},"flags":["invalid_field"]}`)
}

func TestRefused(t *testing.T) {
	f := func(in, want string) {
		t.Helper()
		if got := recordtest.Show(t, New(), recordtest.Env(), in); !strings.HasPrefix(got, "error: "+want) {
			t.Fatalf("%s\n got %s\nwant error: %s", in, got, want)
		}
	}
	f(`{"time":"2026-03-01T09:15:02Z","actor":"a","action":"login","class_uid":3002}`, "not an OCSF event") // a short form
	f(`{"class_uid":3002,"metadata":{},"user":{"name":"a"}}`, "no time")
	f(`{"class_uid":3002,"metadata":{},"time":1772356502}`, "no actor")
	f(`{"class_uid":3002`, "the JSON ends")
}
