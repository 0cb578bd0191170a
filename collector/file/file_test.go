package file

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/tenantwatch/tenantwatch/collector/parse"
	"github.com/tenantwatch/tenantwatch/core/tenant"
	"github.com/tenantwatch/tenantwatch/pipeline/event"
)

var now = time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)

const line = "Mar  1 09:15:02 h sshd[1]: Failed password for root from 203.0.113.7 port 1 ssh2\n"

func write(t *testing.T, name string, b []byte) string {
	t.Helper()
	p := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(p, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return p
}

func TestReadUndoesCompression(t *testing.T) {
	text := []byte(line + line + "nonsense\n")
	var gz, zs bytes.Buffer
	g := gzip.NewWriter(&gz)
	_, _ = g.Write(text[:len(line)])
	_ = g.Close()
	g.Reset(&gz) // rotated files are often several members
	_, _ = g.Write(text[len(line):])
	_ = g.Close()
	z, err := zstd.NewWriter(&zs)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = z.Write(text)
	_ = z.Close()

	var first []string
	f := func(path string, stdin string) {
		t.Helper()
		var ids []string
		sources := map[string]bool{}
		sum, err := Read(path, strings.NewReader(stdin), parse.Options{Tenant: tenant.MustParse("acme"), Now: now}, parse.Handler{
			Event: func(e *event.Event) error {
				ids = append(ids, e.ID)
				sources[e.Source] = true
				return nil
			},
			Quarantined: func(q *event.Quarantined) error { ids = append(ids, q.Reason); return nil },
		})
		if err != nil || sum.Accepted != 2 || sum.Quarantined != 1 || !sources["h"] {
			t.Fatalf("%s: %+v, %v, sources %v", path, sum, err, sources)
		}
		if first == nil {
			first = ids
		}
		if strings.Join(ids, " ") != strings.Join(first, " ") || ids[0] == ids[1] {
			t.Fatalf("%s: ids %v, want %v", path, ids, first)
		}
	}
	f(write(t, "a.log", text), "")
	f(write(t, "a.log.1.gz", gz.Bytes()), "")
	f(write(t, "named-plainly.log", zs.Bytes()), "") // the content tells, not the name
	f(Stdin, string(text))
	f(Stdin, gz.String())
}

func TestTenantOfEachLine(t *testing.T) {
	p := write(t, "a.ndjson", []byte(`{"time":1,"actor":"a","action":"x","tenant":"one"}`+"\n"+`{"time":1,"actor":"a","action":"x"}`))
	var got []string
	take := parse.Handler{Event: func(e *event.Event) error { got = append(got, e.Tenant.String()+"/"+e.Source); return nil }}
	sum, err := Read(p, nil, parse.Options{Now: now, TenantKey: true}, take)
	if err != nil || strings.Join(got, " ") != "one/a.ndjson" || sum.Quarantined != 1 || !strings.Contains(sum.Errors[0].Reason, "--tenant") {
		t.Fatalf("%v, %+v, %v", got, sum, err)
	}
	got = nil
	if _, err = Read(p, nil, parse.Options{Now: now, TenantKey: true, Tenant: tenant.Verbatim("rest")}, take); err != nil || strings.Join(got, " ") != "one/a.ndjson rest/a.ndjson" {
		t.Fatalf("%v, %v", got, err)
	}
}

func TestFirstYear(t *testing.T) {
	// A file from November to January, read in November: dated line by line it
	// would begin this year and end before it began.
	body := strings.ReplaceAll(line, "Mar  1", "Nov  1") + strings.ReplaceAll(line, "Mar  1", "Dec 31") + strings.ReplaceAll(line, "Mar  1", "Jan 15")
	p := write(t, "auth.log", []byte(body))
	if y, err := FirstYear(p, "", now, nil); err != nil || y != 2025 {
		t.Fatalf("first year %d, %v; want 2025", y, err)
	}
	var years []int
	sum, err := Read(p, nil, parse.Options{Tenant: tenant.MustParse("acme"), Now: now}, parse.Handler{
		Event: func(e *event.Event) error { years = append(years, e.At().Year()); return nil },
	})
	if err != nil || len(years) != 3 || years[0] != 2025 || years[1] != 2025 || years[2] != 2026 || sum.FirstYear != 2025 || sum.LastYear != 2026 {
		t.Fatalf("years %v, %+v, %v", years, sum, err)
	}
	// A stated year is taken as it is, other formats are not looked through.
	if y, err := FirstYear(p, "combined", now, nil); err != nil || y != 0 {
		t.Fatalf("%d, %v", y, err)
	}
	if y, err := FirstYear(write(t, "x", bytes.Repeat([]byte("{}\n"), 500)), "", now, nil); err != nil || y != 0 {
		t.Fatalf("%d, %v", y, err)
	}
}

func TestErrors(t *testing.T) {
	f := func(path, want string) {
		t.Helper()
		_, err := Read(path, nil, parse.Options{Tenant: tenant.MustParse("acme"), Now: now}, parse.Handler{})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Fatalf("%s: error %v, want %q", path, err, want)
		}
	}
	f(filepath.Join(t.TempDir(), "none.log"), "no such file")
	f(t.TempDir(), "folder")
	f(Stdin, "standard input")
	f(write(t, "cut.gz", []byte("\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xffabc")), "cut.gz")
}
