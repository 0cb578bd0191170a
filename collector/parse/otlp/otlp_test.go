package otlp

import (
	"errors"
	"testing"

	"github.com/tenantwatch/tenantwatch/collector/parse/record"
	"github.com/tenantwatch/tenantwatch/collector/parse/record/recordtest"
	"github.com/tenantwatch/tenantwatch/collector/parse/shortform"
	"github.com/tenantwatch/tenantwatch/pipeline/event"
)

func parser() record.Parser {
	p := &Parser{}
	inner := shortform.New()
	p.Nest(func(text string, env *record.Env, emit func(*event.Event)) error {
		if shortform.Sniff(text) < 0.5 {
			return errors.New("no known format")
		}
		return inner.Parse(text, env, emit)
	})
	return p
}

func TestParse(t *testing.T) {
	p := parser()
	f := func(in, want string) {
		t.Helper()
		if got := recordtest.Show(t, p, recordtest.Env(), in); got != want {
			t.Fatalf("%s\n got %s\nwant %s", in, got, want)
		}
	}
	const at = `{"timeUnixNano":"1772356502000000000",`
	// The conventions of today, for a request.
	f(at+`"severityNumber":9,"attributes":{"user.id":"alice","client.address":"203.0.113.7","client.port":5210,"user_agent.original":"curl/8","http.request.method":"GET",`+
		`"http.response.status_code":404,"url.path":"/a","http.response.body.size":12,"session.id":"s1","user.roles":["admin","ops"],"geo.country.iso_code":"de","log.record.uid":"u-1","x.y":{"z":1}},`+
		`"resource":{"service.name":"shop"},"scope":"lib","traceId":"ab","spanId":"cd"}`,
		`{"id":"u-1","time":"2026-03-01T09:15:02Z","class_uid":4002,"activity":3,"action":"http.get","outcome":"failure","severity":1,"actor":"alice","actor_type":"user","cohort":"admin,ops","session":"s1",`+
			`"src_ip":"203.0.113.7","country":"DE","user_agent":"curl/8","resource":"/a","http_method":"GET","status":404,"bytes_out":12,"source":"shop",`+
			`"labels":{"x.y.z":"1","service.name":"shop","scope":"lib","trace_id":"ab","span_id":"cd","src_port":"5210"}}`)
	// Deprecated names; the better name wins whatever the order, the other stays.
	f(at+`"attributes":{"net.peer.ip":"::1","enduser.id":"b","user.id":"a","http.method":"POST","http.status_code":200,"http.target":"/x?y"}}`,
		`{"time":"2026-03-01T09:15:02Z","class_uid":4002,"activity":6,"action":"http.post","outcome":"success","actor":"a","actor_type":"user","src_ip":"::1","resource":"/x?y","http_method":"POST","status":200,"labels":{"enduser.id":"b"}}`)
	// The record's own event name goes before the attribute.
	f(at+`"eventName":"user.login","attributes":{"event.name":"old","user.name":"a","event.outcome":"success"}}`,
		`{"time":"2026-03-01T09:15:02Z","class_uid":3002,"activity":1,"action":"user.login","outcome":"success","actor":"a","actor_type":"user","labels":{"event.name":"old"}}`)
	// Nobody acted but the service; a body of one word is the event's name.
	f(`{"observedTimeUnixNano":1772356502000000000,"body":"cache.flush","resource":{"service.name":"shop"}}`,
		`{"time":"2026-03-01T09:15:02Z","class_uid":0,"action":"cache.flush","outcome":"unknown","actor":"shop","actor_type":"service","source":"shop","labels":{"service.name":"shop"}}`)
	// A body another format takes, as text and as a map; attributes fill gaps.
	const inner = `{"id":"7","time":"2026-03-01T09:15:02Z","class_uid":3002,"activity":1,"action":"login","outcome":"unknown","actor":"bob","src_ip":"192.0.2.1","source":"shop","labels":{"trace_id":"ab","service.name":"shop"}}`
	f(at+`"body":"{\"time\":1772356502,\"actor\":\"bob\",\"action\":\"login\",\"id\":\"7\"}","attributes":{"user.id":"alice","client.address":"192.0.2.1"},"traceId":"ab","resource":{"service.name":"shop"}}`, inner)
	f(at+`"body":{"time":1772356502,"actor":"bob","action":"login","id":"7"},"attributes":{"client.address":"192.0.2.1"},"traceId":"ab","resource":{"service.name":"shop"}}`, inner)
	// What is no address, and JSON that is none of ours.
	f(at+`"eventName":"x","body":{"a":{"b":1}},"attributes":{"user.id":"a","client.address":"db.internal"}}`,
		`{"time":"2026-03-01T09:15:02Z","class_uid":0,"action":"x","outcome":"unknown","actor":"a","actor_type":"user","labels":{"client.address":"db.internal","body.a.b":"1"}}`)
	f(at+`"body":"something happened","attributes":{"user.id":"a"}}`, "error: "+errAction.Error())
	f(at+`"eventName":"x"}`, "error: "+errActor.Error())
	f(at+`"body":"{\"time\":1772356502,\"action\":\"login\",\"actor\":null}"}`, `error: no actor: give "actor", the user, service or address that acted`)
	f(`{"timeUnixNano":"soon","eventName":"x","attributes":{"user.id":"a"}}`, `error: timeUnixNano "soon" is no count of nanoseconds since 1970`)
}

func TestSeverity(t *testing.T) {
	for in, want := range map[string]uint8{"": 0, "0": 0, "1": 1, "12": 1, "13": 3, "17": 4, "21": 6, "25": 0, "x": 0} {
		if got := severity(in); got != want {
			t.Errorf("%s is %d, want %d", in, got, want)
		}
	}
}
