package enrich

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/maxmind/mmdbwriter"
	"github.com/maxmind/mmdbwriter/mmdbtype"

	"github.com/tenantwatch/tenantwatch/core/tenant"
	"github.com/tenantwatch/tenantwatch/detectors/policy"
	"github.com/tenantwatch/tenantwatch/pipeline/event"
)

var acme = tenant.MustParse("acme")

// write makes a database of one network.
func write(t *testing.T, path, kind, network string, v mmdbtype.DataType, built int64) {
	t.Helper()
	w, err := mmdbwriter.New(mmdbwriter.Options{DatabaseType: kind, BuildEpoch: built, RecordSize: 24, IncludeReservedNetworks: true})
	if err != nil {
		t.Fatal(err)
	}
	_, n, err := net.ParseCIDR(network)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Insert(n, v); err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(path + ".new")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.WriteTo(f); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

func city(country, name string, lat, lon float64) mmdbtype.Map {
	return mmdbtype.Map{
		"country":  mmdbtype.Map{"iso_code": mmdbtype.String(country)},
		"city":     mmdbtype.Map{"names": mmdbtype.Map{"en": mmdbtype.String(name)}},
		"location": mmdbtype.Map{"latitude": mmdbtype.Float64(lat), "longitude": mmdbtype.Float64(lon)},
	}
}

func TestPlaces(t *testing.T) {
	dir := t.TempDir()
	cityDB, asnDB := filepath.Join(dir, "city.mmdb"), filepath.Join(dir, "asn.mmdb")
	write(t, cityDB, "Test-City", "203.0.113.0/24", city("DE", "Berlin", 52.5, 13.4), 1_700_000_000)
	e := New(Options{CityDB: cityDB, ASNDB: asnDB})
	defer e.Close() //nolint:errcheck // a test
	look := func(ev event.Event) string {
		ev.Tenant = acme
		e.Event(&ev)
		return fmt.Sprintf("%s %s %.1f/%.1f/%v AS%d", ev.Country, ev.City, ev.Latitude, ev.Longitude, ev.HasPosition, ev.ASN)
	}
	f := func(ev event.Event, want string) {
		t.Helper()
		if got := look(ev); got != want {
			t.Fatalf("%+v: got %s, want %s", ev, got, want)
		}
	}
	f(event.Event{SrcIP: "203.0.113.7"}, "DE Berlin 52.5/13.4/true AS0")
	f(event.Event{SrcIP: "198.51.100.1"}, "  0.0/0.0/false AS0") // not in the database
	f(event.Event{SrcIP: "10.0.0.1"}, "  0.0/0.0/false AS0")
	f(event.Event{}, "  0.0/0.0/false AS0")
	// What the record states stays; a place of another country is not mixed in.
	f(event.Event{SrcIP: "203.0.113.7", Country: "FR"}, "FR  0.0/0.0/false AS0")
	f(event.Event{SrcIP: "203.0.113.7", Country: "DE", City: "Potsdam"}, "DE Potsdam 52.5/13.4/true AS0")
	st := e.Status()
	if !st[0].Loaded || st[0].Built.Unix() != 1_700_000_000 || st[0].Problem != "" {
		t.Fatalf("%+v", st[0])
	}
	if st[1].Loaded || !strings.Contains(st[1].Problem, "asn.mmdb") {
		t.Fatalf("an absent database says nothing: %+v", st[1])
	}
	// A database that appears or is replaced counts, without a restart.
	write(t, asnDB, "Test-ASN", "203.0.113.0/24", mmdbtype.Map{"autonomous_system_number": mmdbtype.Uint32(64500)}, 1_700_000_000)
	write(t, cityDB, "Test-City", "203.0.113.0/24", city("NL", "Utrecht", 52.1, 5.1), 1_700_000_500)
	later := time.Now().Add(time.Hour)
	if err := os.Chtimes(cityDB, later, later); err != nil {
		t.Fatal(err)
	}
	e.check()
	f(event.Event{SrcIP: "203.0.113.7"}, "NL Utrecht 52.1/5.1/true AS64500")
	// A broken replacement leaves the old one in use, and is said.
	if err := os.WriteFile(cityDB, []byte("no database"), 0o600); err != nil {
		t.Fatal(err)
	}
	e.check()
	f(event.Event{SrcIP: "203.0.113.9"}, "NL Utrecht 52.1/5.1/true AS64500")
	if st := e.Status()[0]; !st.Loaded || st.Problem == "" {
		t.Fatalf("%+v", st)
	}
}

func TestWithoutDatabases(t *testing.T) {
	e := New(Options{})
	ev := event.Event{Tenant: acme, SrcIP: "203.0.113.7"}
	e.Event(&ev)
	if ev.Country != "" || len(ev.Labels) != 0 {
		t.Fatalf("%+v", ev)
	}
	for _, s := range e.Status() {
		if s.Loaded || !strings.Contains(s.Problem, "no database: set enrich.") {
			t.Fatalf("%+v", s)
		}
	}
}

func TestAgentsNetworksAndCohort(t *testing.T) {
	e := New(Options{Networks: func(id tenant.ID) []policy.Network {
		if id != acme {
			return nil
		}
		return []policy.Network{
			{Name: "all", Prefix: netip.MustParsePrefix("10.0.0.0/8"), Kind: policy.Office},
			{Name: "hq", Prefix: netip.MustParsePrefix("10.1.0.0/16"), Kind: policy.VPN},
		}
	}})
	f := func(ev event.Event, want string) {
		t.Helper()
		e.Event(&ev)
		got := ev.Cohort
		for _, l := range ev.Labels {
			got += " " + l.Key + "=" + l.Value
		}
		if got != want {
			t.Fatalf("got %q, want %q", got, want)
		}
	}
	f(event.Event{Tenant: acme, SrcIP: "10.1.2.3"}, " network=hq network.kind=vpn")
	f(event.Event{Tenant: acme, SrcIP: "10.2.2.3"}, " network=all network.kind=office")
	f(event.Event{Tenant: tenant.MustParse("other"), SrcIP: "10.1.2.3"}, " network=private")
	f(event.Event{Tenant: acme, SrcIP: "::1"}, " network=loopback")
	f(event.Event{Tenant: acme, UserAgent: "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Safari/537.36"},
		" ua.family=Chrome ua.os=Windows ua.device=desktop")
	f(event.Event{Tenant: acme, UserAgent: "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"}, " ua.family=Googlebot ua.device=bot")
	f(event.Event{Tenant: acme, Labels: []event.Label{{Key: "role", Value: "admin"}}}, "admin role=admin")
	f(event.Event{Tenant: acme, Cohort: "own", Labels: []event.Label{{Key: "role", Value: "admin"}}}, "own role=admin")
}

func TestCachesAreBounded(t *testing.T) {
	e := New(Options{})
	for i := range 3*cacheSize + 10 {
		e.agent(fmt.Sprintf("agent-%d/1.0", i))
	}
	if n := len(e.agents.young) + len(e.agents.old); n > 2*cacheSize {
		t.Fatalf("%d user agents are remembered", n)
	}
}

// FuzzEvent holds enrichment of any address and user agent to valid events.
func FuzzEvent(f *testing.F) {
	f.Add("203.0.113.7", "Mozilla/5.0 (Linux; Android 10; K) \xff")
	f.Add("::ffff:1.2.3.4%eth0", "((((")
	e := New(Options{})
	f.Fuzz(func(t *testing.T, ip, ua string) {
		ev := event.Event{Tenant: acme, SrcIP: ip, UserAgent: strings.ToValidUTF8(ua, "?")}
		e.Event(&ev)
		for _, l := range ev.Labels {
			if len(l.Value) > 64 || strings.ToValidUTF8(l.Value, "") != l.Value {
				t.Fatalf("%q gave the label %q", ua, l)
			}
		}
	})
}
