//go:build quality

package parse

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tenantwatch/tenantwatch/pipeline/event"
)

// covered counts for one product, or all, how many records hold something that
// can be a field (by a look at the record that shares nothing with the
// parsers), and in how many the field was found.
type covered struct {
	n, accepted                    int
	actor, actorHas, time, timeHas int
	action                         int
	outcome, outcomeHas, ip, ipHas int
	formats                        map[string]int
}

var (
	dateLike    = regexp.MustCompile(`^\d{4}-\d\d-\d\d[T ]|^1[5-9]\d{8}(\d{3})?(\.\d+)?$`)
	actorKey    = regexp.MustCompile(`(?i)(actor|user_?name|principal_?email|user_?principal_?name|^user$|login_?name|alternateid|caller$|created_by|requester|operator|^email$|userid)`)
	notActor    = regexp.MustCompile(`(?i)(target|agent|affected|new|old|recipient|resource|request|response|enrich|\.p_|param|evidence|grant|member|invite|column)`)
	outcomeKey  = regexp.MustCompile(`(?i)^(result|outcome|success|status_?code|errorcode|resulttype|actionresult|is_success|http_?status|execution_status|granted)$`)
	destination = regexp.MustCompile(`(?i)(dst|dest|target|server|internal|answer|\.p_|private|canaryip|enrich|rdata|new|resource|subnet|auth_device|upstream|description|scope|list|param|value|local|host|config|delta|edge|metadata|meta$)`)
)

func (c *covered) look(path, key string, v any, has map[string]bool) {
	switch v := v.(type) {
	case map[string]any:
		for k, m := range v {
			c.look(path+"."+k, k, m, has)
		}
	case []any:
		for _, m := range v {
			c.look(path, key, m, has)
		}
	case nil:
	default:
		s := strings.TrimSpace(fmt.Sprint(v))
		if f, ok := v.(float64); ok {
			s = fmt.Sprintf("%.0f", f)
		}
		if s == "" || s == "-" || s == "null" || s == "N/A" {
			return
		}
		if dateLike.MatchString(s) && strings.Count(path, ".") <= 3 && !strings.Contains(path, "xpir") && !strings.Contains(path, "hange") && !strings.Contains(path, "arams") && !strings.Contains(path, "ocation") {
			has["time"] = true
		}
		if actorKey.MatchString(key) && !notActor.MatchString(path) && s != "unknown" {
			has["actor"] = true
		}
		if outcomeKey.MatchString(key) && s != "None" && s != "unknown" && !notActor.MatchString(strings.TrimSuffix(path, "."+key)) {
			has["outcome"] = true
		}
		if _, err := netip.ParseAddr(s); err == nil && !destination.MatchString(path) {
			has["ip"] = true
		}
	}
}

// TestQualityCoverage reads single audit events of many products and shows for
// each how often the fields were found. It holds the whole to a bar.
func TestQualityCoverage(t *testing.T) {
	f, err := os.Open(data(t, "audit-events/events.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	per, all := map[string]*covered{}, &covered{formats: map[string]int{}}
	sc := bufio.NewScanner(f)
	sc.Buffer(nil, 4<<20)
	verbose := os.Getenv("TENANTWATCH_COVERAGE_MISSES")
	for sc.Scan() {
		var line struct {
			Log   json.RawMessage
			Types []string `json:"log_types"`
		}
		if err := json.Unmarshal(sc.Bytes(), &line); err != nil {
			t.Fatal(err)
		}
		if len(line.Types) == 0 || len(line.Log) < 5 || line.Log[0] != '{' {
			continue // a rule's own summary, or nothing: no product's event
		}
		name := line.Types[0]
		if len(line.Types) > 1 {
			name += ", …"
		}
		c := per[name]
		if c == nil {
			c = &covered{formats: map[string]int{}}
			per[name] = c
		}
		var v any
		_ = json.Unmarshal(line.Log, &v)
		has := map[string]bool{}
		c.look("", "", v, has)
		var e *event.Event
		if _, err := Stream(strings.NewReader(string(line.Log)), Options{Tenant: acme, Now: time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)}, Handler{
			Event: func(ev *event.Event) error { c := *ev; e = &c; return nil },
			Quarantined: func(q *event.Quarantined) error {
				if verbose != "" && strings.Contains(name, verbose) {
					fmt.Println("QUARANTINED", q.Reason, "\n   ", string(q.Raw))
				}
				return nil
			},
		}); err != nil {
			t.Fatal(err)
		}
		for _, c := range []*covered{c, all} {
			c.n++
			c.actorHas += b2i(has["actor"])
			c.timeHas += b2i(has["time"])
			c.outcomeHas += b2i(has["outcome"])
			c.ipHas += b2i(has["ip"])
			if e == nil {
				continue
			}
			c.accepted++
			c.formats[e.Format]++
			c.action += b2i(e.Action != "")
			c.actor += b2i(has["actor"] && e.Actor != "" && e.Actor != e.SrcIP && e.Actor != e.Format)
			c.time += b2i(has["time"] && e.Flags&event.FlagTimeAssumed == 0)
			c.outcome += b2i(has["outcome"] && e.Outcome != event.OutcomeUnknown)
			c.ip += b2i(has["ip"] && e.SrcIP != "")
		}
		if verbose != "" && strings.Contains(name, verbose) && e != nil {
			for what, ok := range map[string]bool{
				"actor": e.Actor != "" && e.Actor != e.SrcIP && e.Actor != e.Format, "time": e.Flags&event.FlagTimeAssumed == 0,
				"outcome": e.Outcome != event.OutcomeUnknown, "ip": e.SrcIP != ""} {
				if has[what] && !ok {
					fmt.Printf("MISSED %s (%s: %s by %s)\n    %s\n", what, e.Format, e.Action, e.Actor, line.Log)
				}
			}
		}
	}
	names := make([]string, 0, len(per))
	for k := range per {
		names = append(names, k)
	}
	slices.SortFunc(names, func(a, b string) int {
		if per[a].n != per[b].n {
			return per[b].n - per[a].n
		}
		return strings.Compare(a, b)
	})
	show := func(name string, c *covered) {
		best := ""
		for k, n := range c.formats {
			if best == "" || n > c.formats[best] || n == c.formats[best] && k < best {
				best = k
			}
		}
		cell := func(n, of int) string {
			if of == 0 {
				return "–"
			}
			return fmt.Sprintf("%d/%d", n, of)
		}
		fmt.Printf("%-42s %-17s %9s %9s %9s %9s %9s %9s\n", name, best, cell(c.accepted, c.n), cell(c.action, c.n), cell(c.actor, c.actorHas),
			cell(c.time, c.timeHas), cell(c.outcome, c.outcomeHas), cell(c.ip, c.ipHas))
	}
	fmt.Printf("%-42s %-17s %9s %9s %9s %9s %9s %9s\n", "coverage by product", "format", "read", "action", "actor", "time", "outcome", "address")
	for _, n := range names {
		show(n, per[n])
	}
	show("all", all)
	for _, bar := range []struct {
		what    string
		n, of   int
		percent int
	}{
		{"records read", all.accepted, all.n, 95}, {"actions", all.action, all.n, 95}, {"actors", all.actor, all.actorHas, 97}, {"times", all.time, all.timeHas, 97},
		{"outcomes", all.outcome, all.outcomeHas, 90}, {"addresses", all.ip, all.ipHas, 97},
	} {
		if bar.n*100 < bar.percent*bar.of {
			t.Errorf("%s found in %d of %d records that have one: want %d %%", bar.what, bar.n, bar.of, bar.percent)
		}
	}
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}
