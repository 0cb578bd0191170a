package clickhouse

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
)

// eventually polls without a fixed wait; it fails after ten seconds.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.NewTimer(10 * time.Second)
	defer deadline.Stop()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-deadline.C:
			t.Fatal("did not happen in ten seconds: ", what)
		}
	}
}

func httpClient(t testing.TB, e *Engine) *http.Client {
	tr := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return e.Dial(ctx, "") }}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr}
}

type answer struct {
	status int
	code   string
	body   string
	header http.Header
}

func ask(t testing.TB, c *http.Client, e *Engine, method string, q url.Values, body io.Reader, change func(*http.Request)) answer {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, "http://engine/?"+q.Encode(), body)
	if err != nil {
		t.Fatal(err)
	}
	req.SetBasicAuth(e.User(), e.Password())
	if change != nil {
		change(req)
	}
	res, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Fatal(err)
	}
	return answer{res.StatusCode, res.Header.Get("X-ClickHouse-Exception-Code"), string(b), res.Header}
}

// testFront speaks plain HTTP, as curl would.
func testFront(t *testing.T, e *Engine) {
	c := httpClient(t, e)
	q := func(kv ...string) url.Values {
		v := url.Values{}
		for i := 0; i < len(kv); i += 2 {
			v.Set(kv[i], kv[i+1])
		}
		return v
	}
	long := strings.Repeat("x", maxSQL+1)
	none := func(*http.Request) {}
	for _, tc := range []struct {
		name, method string
		q            url.Values
		body         string
		change       func(*http.Request)
		status       int
		code, want   string // want: the whole body, or a part of it after "…"
	}{
		{"select", "GET", q("query", "SELECT 1"), "", none, 200, "", "1\n"},
		{"format", "GET", q("query", "SELECT 1 AS a, 'x' AS b FORMAT JSONEachRow"), "", none, 200, "", "{\"a\":1,\"b\":\"x\"}\n"},
		{"format with head", "POST", nil, "SELECT number AS n FROM numbers(200000) FORMAT CSVWithNames", none, 200, "", "…\n199999\n"},
		{"default format", "GET", q("query", "SELECT 1, 'x'", "default_format", "CSV"), "", none, 200, "", "1,\"x\"\n"},
		{"text in two places", "POST", q("query", "SELECT"), "2", none, 200, "", "2\n"},
		{"parameter", "GET", q("query", "SELECT {x:String}", "param_x", "a'b"), "", none, 200, "", "a\\'b\n"},
		{"setting", "GET", q("query", "SELECT getSetting('max_threads')", "max_threads", "1"), "", none, 200, "", "1\n"},
		{"insert table", "POST", nil, "CREATE TABLE tw.csv (a UInt32, b String) ENGINE = MergeTree ORDER BY a", none, 200, "", ""},
		{"insert rows", "POST", q("query", "INSERT INTO tw.csv FORMAT CSV"), "1,a\n2,b\n", none, 200, "", ""},
		{"insert values", "POST", q("query", "INSERT INTO tw.csv VALUES"), "(3,'c'),(4,'d')", none, 200, "", ""},
		{"insert values in the URL", "POST", q("query", "INSERT INTO tw.csv VALUES (5,'e')"), "", none, 200, "", ""},
		{"insert bad rows", "POST", q("query", "INSERT INTO tw.csv FORMAT CSV"), "6,a\nx,b\n", none, 400, "27", "…Cannot parse"},
		{"insert nowhere", "POST", q("query", "INSERT INTO tw.nowhere FORMAT CSV"), "6,a\n", none, 404, "60", "…nowhere"},
		{"inserted", "GET", q("query", "SELECT * FROM tw.csv ORDER BY a"), "", none, 200, "", "1\ta\n2\tb\n3\tc\n4\td\n5\te\n"},
		{"get changes nothing", "GET", q("query", "DROP TABLE tw.csv"), "", none, 403, "164", "…readonly"},
		{"get inserts nothing", "GET", q("query", "INSERT INTO tw.csv VALUES (9,'e')"), "", none, 403, "164", "…readonly"},
		{"two statements", "POST", nil, "SELECT 1; DROP TABLE tw.csv", none, 400, "62", "…Code: 62"},
		{"nothing", "GET", nil, "", none, 200, "", "Ok.\n"},
		{"empty", "POST", nil, " ", none, 400, "62", "…Empty query"},
		{"unknown format", "GET", q("query", "SELECT 1 FORMAT Nope"), "", none, 404, "73", "…Nope"},
		{"format that is no name", "GET", q("query", "SELECT 1", "default_format", "a b"), "", none, 404, "73", "…format"},
		{"too long", "POST", nil, "SELECT '" + long + "'", none, 400, "62", "…longer than"},
		{"session", "POST", q("query", "SELECT 1", "session_id", "x"), "", none, 501, "48", "…sessions"},
		{"multipart", "POST", q("query", "SELECT 1"), "", func(r *http.Request) { r.Header.Set("Content-Type", "multipart/form-data; boundary=x") }, 501, "48", "…multipart"},
		{"encoding", "POST", nil, "SELECT 1", func(r *http.Request) { r.Header.Set("Content-Encoding", "rot13") }, 501, "48", "…rot13"},
		{"not gzip", "POST", nil, "SELECT 1", func(r *http.Request) { r.Header.Set("Content-Encoding", "gzip") }, 400, "117", "…gzip"},
		{"not frames", "POST", q("decompress", "1"), strings.Repeat("SELECT 1", 50), none, 400, "117", "…frame"},
		{"cut frame", "POST", q("query", "INSERT INTO tw.csv FORMAT CSV", "decompress", "1"), string(frame(t, "7,x\n8,y\n")[:30]), none, 500, "210", "…broke off"},
		{"whole frame", "POST", q("query", "INSERT INTO tw.csv FORMAT CSV", "decompress", "1"), string(frame(t, "7,x\n")), none, 200, "", ""},
		{"revision", "GET", q("query", "SELECT 1", "client_protocol_version", "x"), "", none, 400, "36", "…client_protocol_version"},
		{"compression method", "GET", q("query", "SELECT 1", "compress", "1", "network_compression_method", "rar"), "", none, 400, "", "…rar"},
		{"query id", "GET", q("query", "SELECT 1", "query_id", "a\nb"), "", none, 400, "36", "…query_id"},
		{"method", "PUT", q("query", "SELECT 1"), "", none, 501, "48", "…PUT"},
		{"bad URL", "GET", nil, "", func(r *http.Request) { r.URL.RawQuery = "query=%zz" }, 400, "36", "…malformed"},
		{"wrong token", "GET", q("query", "SELECT 1"), "", func(r *http.Request) { r.SetBasicAuth("default", "x"+e.Password()[1:]) }, 403, "516", "…Authentication failed"},
		{"no token", "GET", q("query", "SELECT 1"), "", func(r *http.Request) { r.Header.Del("Authorization") }, 403, "516", "…Authentication failed"},
		{"empty token", "GET", q("query", "SELECT 1"), "", func(r *http.Request) { r.SetBasicAuth("default", "") }, 403, "516", "…Authentication failed"},
		{"wrong user", "GET", q("query", "SELECT 1"), "", func(r *http.Request) { r.SetBasicAuth("admin", e.Password()) }, 403, "516", "…Authentication failed"},
		{"headers", "GET", q("query", "SELECT 1"), "", func(r *http.Request) {
			r.Header.Del("Authorization")
			r.Header.Set("X-ClickHouse-User", "default")
			r.Header.Set("X-ClickHouse-Key", e.Password())
		}, 200, "", "1\n"},
		{"token in the URL", "GET", q("query", "SELECT 1", "password", e.Password()), "", none, 501, "48", "…credentials"},
		{"ping", "GET", nil, "", func(r *http.Request) { r.URL.Path = "/ping"; r.Header.Del("Authorization") }, 200, "", "Ok.\n"},
		{"elsewhere", "GET", nil, "", func(r *http.Request) { r.URL.Path = "/play" }, 404, "", "…nothing here"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := ask(t, c, e, tc.method, tc.q, strings.NewReader(tc.body), tc.change)
			ok := got.body == tc.want
			if part, is := strings.CutPrefix(tc.want, "…"); is {
				ok = strings.Contains(got.body, part)
			}
			if got.status != tc.status || tc.code != "" && got.code != tc.code || !ok {
				t.Errorf("status %d, code %s, body %.300q; want %d, %s, %q", got.status, got.code, got.body, tc.status, tc.code, tc.want)
			}
		})
	}
	t.Run("late error breaks the answer off", func(t *testing.T) {
		got := ask(t, c, e, "GET", q("query", "SELECT number FROM numbers(3000000) WHERE throwIf(number = 2500000) = 0"), nil, nil)
		if got.status != 200 || !strings.HasSuffix(got.body, "__exception__\r\n") || !strings.Contains(got.body, got.header.Get("X-ClickHouse-Exception-Tag")) {
			t.Errorf("%d %q", got.status, got.body[max(0, len(got.body)-200):])
		}
	})
	t.Run("garbage on the wire", func(t *testing.T) {
		for _, s := range []string{"\x00\x01\x02", "GET / HTTP/9.9\r\n\r\n", "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "GET /?" + strings.Repeat("a", 3*maxSQL) + " HTTP/1.1\r\n\r\n"} {
			conn, err := e.Dial(t.Context(), "")
			if err != nil {
				t.Fatal(err)
			}
			_, _ = io.WriteString(conn, s)
			_ = conn.(interface{ CloseWrite() error }).CloseWrite()
			_, _ = io.Copy(io.Discard, conn)
			conn.Close()
		}
		if got := ask(t, c, e, "GET", q("query", "SELECT 1"), nil, nil); got.body != "1\n" {
			t.Errorf("%+v", got)
		}
	})
}

func frame(t testing.TB, s string) []byte {
	var b bytes.Buffer
	f, err := newFrameWriter(&b, "")
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.WriteString(f, s)
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// testCancelledInsert breaks a connection off in the middle of the rows.
func testCancelledInsert(t *testing.T, e *Engine, c driver.Conn) {
	mustExec(t, c, "CREATE TABLE tw.ci (a UInt64) ENGINE = MergeTree ORDER BY a")
	client := httpClient(t, e)
	ctx, cancel := context.WithCancel(t.Context())
	pr, pw := io.Pipe()
	req, err := http.NewRequestWithContext(ctx, "POST", "http://engine/?query="+url.QueryEscape("INSERT INTO tw.ci FORMAT CSV"), pr)
	if err != nil {
		t.Fatal(err)
	}
	req.SetBasicAuth(e.User(), e.Password())
	ended := make(chan error, 1)
	go func() {
		res, err := client.Do(req)
		if err == nil {
			res.Body.Close()
		}
		ended <- err
	}()
	for i := range 1000 {
		if _, err := fmt.Fprintln(pw, i); err != nil {
			t.Fatal(err)
		}
	}
	cancel()
	pw.CloseWithError(context.Canceled)
	if err := <-ended; err == nil {
		t.Fatal("the insert was acknowledged")
	}
	eventually(t, "the insert is gone from the engine", func() bool {
		return one[uint64](t, c, "SELECT count() FROM system.processes WHERE query LIKE '%tw.ci%' AND query NOT LIKE '%system.processes%'") == 0
	})
	if n := one[uint64](t, c, "SELECT count() FROM tw.ci"); n != 0 {
		t.Errorf("%d rows of an insert that broke off", n)
	}
}

func TestTooManyQueries(t *testing.T) {
	e := startEngine(t, func(o *Options) { o.MaxQueries = 2 })
	c := connect(t, e, nil)
	if err := c.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{}, 2)
	for i := range 2 {
		go func() {
			defer func() { ended <- struct{}{} }()
			_ = c.Exec(clickhouse.Context(ctx, clickhouse.WithQueryID(fmt.Sprint("long", i))), "SELECT sum(sipHash64(number)) FROM numbers(1000000000000)")
		}()
	}
	// One query id holds one statement at a time, and so do both places.
	eventually(t, "the places are taken", func() bool {
		probe, stop := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer stop()
		return errors.Is(c.Exec(probe, "SELECT 1"), context.DeadlineExceeded)
	})
	began := time.Now()
	if err := c.Exec(t.Context(), "SELECT 1"); codeOf(t, err) != 202 {
		t.Error(err)
	}
	if took := time.Since(began); took < time.Second || took > 9*time.Second {
		t.Errorf("refused after %s", took)
	}
	cancel()
	<-ended
	<-ended
	eventually(t, "the places are free again", func() bool { return c.Exec(t.Context(), "SELECT 1") == nil })
}
