package clickhouse

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

func TestParseStatement(t *testing.T) {
	for sql, want := range map[string]statement{
		"":                         {},
		" ; ":                      {},
		"select 1":                 {verb: "SELECT", body: "select 1"},
		"SELECT 1 FORMAT CSV":      {verb: "SELECT", format: "CSV", body: "SELECT 1 "},
		"SELECT 1 format JSON ;\n": {verb: "SELECT", format: "JSON", body: "SELECT 1 "},
		"SELECT 1 FORMAT CSV SETTINGS max_threads = 1":             {verb: "SELECT", format: "CSV", settingsAfter: true, body: "SELECT 1 FORMAT CSV SETTINGS max_threads = 1"},
		"SELECT format FROM t":                                     {verb: "SELECT", body: "SELECT format FROM t"},
		"SELECT 'FORMAT CSV'":                                      {verb: "SELECT", body: "SELECT 'FORMAT CSV'"},
		"SELECT (SELECT 1 FORMAT CSV)":                             {verb: "SELECT", body: "SELECT (SELECT 1 FORMAT CSV)"},
		"/* x */ -- y\n (SELECT 1)":                                {verb: "(", body: "/* x */ -- y\n (SELECT 1)"},
		"SELECT 1 -- FORMAT CSV":                                   {verb: "SELECT", body: "SELECT 1"},
		"INSERT INTO t (a, b) FORMAT Native":                       {verb: "INSERT", format: "Native", body: "INSERT INTO t (a, b) "},
		"INSERT INTO t SETTINGS async_insert = 0 FORMAT Native":    {verb: "INSERT", format: "Native", body: "INSERT INTO t SETTINGS async_insert = 0 "},
		"INSERT INTO t VALUES":                                     {verb: "INSERT", format: "Values", body: "INSERT INTO t "},
		"INSERT INTO t VALUES (1)":                                 {verb: "INSERT", inner: true, body: "INSERT INTO t VALUES (1)"},
		"INSERT INTO t FORMAT CSV\n1,2":                            {verb: "INSERT", inner: true, body: "INSERT INTO t FORMAT CSV\n1,2"},
		"INSERT INTO t (a) SELECT 1":                               {verb: "INSERT", inner: true, body: "INSERT INTO t (a) SELECT 1"},
		"INSERT INTO t WITH x AS (SELECT 1) SELECT * FROM x":       {verb: "INSERT", inner: true, body: "INSERT INTO t WITH x AS (SELECT 1) SELECT * FROM x"},
		"SELECT $a$ FORMAT CSV $a$ FORMAT TSV":                     {verb: "SELECT", format: "TSV", body: "SELECT $a$ FORMAT CSV $a$ "},
		"SELECT `a\\`b`, \"c\"\"d\", 'e''f\\'' FORMAT JSONEachRow": {verb: "SELECT", format: "JSONEachRow", body: "SELECT `a\\`b`, \"c\"\"d\", 'e''f\\'' "},
	} {
		if got := parseStatement(sql); got != want {
			t.Errorf("%q:\n got %+v\nwant %+v", sql, got, want)
		}
	}
}

func TestExceptions(t *testing.T) {
	e := parseException("Code: 62. DB::Exception: Syntax error: failed at position 18 (1) (line 1, col 18): /*tw:abc:1*/ SELEC 1 (SYNTAX_ERROR) (version 26.7.2.1)\n")
	if e.code != 62 || strings.Contains(e.text, "version") {
		t.Errorf("%+v", e)
	}
	if got := e.untag("/*tw:abc:1*/ ").text; got != "Code: 62. DB::Exception: Syntax error: failed at position 5 (1) (line 1, col 5): SELEC 1 (SYNTAX_ERROR)" {
		t.Error(got)
	}
	if e := parseException("something else"); e.code != codeLogicalError || !strings.Contains(e.text, "something else") {
		t.Errorf("%+v", e)
	}
	if e := asException(errors.New("x")); e.status() != 500 {
		t.Error(e.status())
	}
}

func TestFrames(t *testing.T) {
	want := bytes.Repeat([]byte("0123456789abcdef"), 200_000) // three frames and a bit
	for _, method := range []string{"LZ4", "ZSTD", "LZ4HC", "NONE"} {
		var b bytes.Buffer
		w, err := newFrameWriter(&b, method)
		if err != nil {
			t.Fatal(err)
		}
		for rest := want; len(rest) > 0; {
			n := min(len(rest), 700_001)
			if _, err := w.Write(rest[:n]); err != nil {
				t.Fatal(err)
			}
			rest = rest[n:]
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		whole := b.Bytes()
		got, err := io.ReadAll(newFrameReader(bytes.NewReader(whole)))
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: %d bytes, %v", method, len(got), err)
		}
		// Cut off or changed anywhere within a frame, it is an error.
		for _, n := range []int{1, frameHeader - 1, frameHeader, frameHeader + 1, len(whole) - 1} {
			if _, err := io.ReadAll(newFrameReader(bytes.NewReader(whole[:n]))); err == nil {
				t.Errorf("%s: cut after %d bytes without an error", method, n)
			}
		}
		whole[frameHeader+5] ^= 1
		if _, err := io.ReadAll(newFrameReader(bytes.NewReader(whole))); err == nil {
			t.Errorf("%s: a changed bit without an error", method)
		}
	}
}

// FuzzRequest throws anything at what reads requests: it must answer with a
// request or with an error of the client's, within its bounds.
func FuzzRequest(f *testing.F) {
	f.Add("query=SELECT+1&param_x=1&max_threads=2&compress=1", "gzip", []byte("SELECT 1 FORMAT CSV"))
	f.Add("query=INSERT+INTO+t+FORMAT+Native&decompress=1", "", frame(f, "abc"))
	f.Add("a%00=1&client_protocol_version=54460&database=x`y", "zstd", []byte("'unclosed /* $a$"))
	f.Fuzz(func(t *testing.T, query, encoding string, body []byte) {
		r := httptest.NewRequest(http.MethodPost, "/", bytes.NewReader(body))
		r.URL = &url.URL{Path: "/", RawQuery: query}
		r.Header.Set("Content-Encoding", encoding)
		req, err := parseRequest(r)
		if err != nil {
			if e := asException(err); e.status() >= 500 && e.code != codeNotImplemented {
				t.Fatalf("%v is no error of the client's", err)
			}
			return
		}
		defer req.close()
		if len(req.sql) > maxSQL || req.format == "" || !strings.HasPrefix(req.sql, req.stmt.body) {
			t.Fatalf("%+v", req)
		}
		for _, s := range req.settings {
			if !isSettingName(s.name) {
				t.Fatalf("setting %q", s.name)
			}
		}
		if req.data != nil {
			_, _ = io.Copy(io.Discard, io.LimitReader(req.data, 1<<20))
		}
	})
}
