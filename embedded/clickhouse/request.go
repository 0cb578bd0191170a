package clickhouse

import (
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"sort"
	"strconv"
	"strings"
)

// maxSQL bounds the text of a statement, in bytes after decompression. The
// engine itself parses 256 KiB by default; the rest is room for inline rows.
const maxSQL = 1 << 20

// request is one statement as HTTP brought it.
type request struct {
	sql      string
	stmt     statement
	database string
	queryID  string
	format   string // of the result; never empty
	params   []param
	settings []setting
	revision int  // client_protocol_version
	framed   bool // compress=1: the result goes out in ClickHouse's frames
	method   string
	accept   string    // Accept-Encoding, when the client enabled HTTP compression
	data     io.Reader // rows of an INSERT, not read yet; nil for other statements
	readonly bool      // GET never changes anything
	close    func()    // releases the decoders
}

type setting struct{ name, value string }

// Parameters of the HTTP interface that are no settings of the engine.
var notSettings = map[string]bool{
	"query": true, "database": true, "default_format": true, "query_id": true, "quota_key": true,
	"compress": true, "decompress": true, "client_protocol_version": true, "wait_end_of_query": true,
	"buffer_size": true, "stacktrace": true, "enable_http_compression": true, "http_zlib_compression_level": true,
	"send_progress_in_http_headers": true, "http_headers_progress_interval_ms": true, "add_http_cors_header": true,
}

// Parameters that would need what this front does not have; silence would be
// worse than an error.
var notSupported = map[string]string{
	"session_id": "sessions", "session_timeout": "sessions", "session_check": "sessions", "role": "roles",
	"user": "credentials in the URL", "password": "credentials in the URL",
}

// parseRequest reads the URL and, unless the statement takes its rows from it,
// the body. The caller calls close on a request without error.
func parseRequest(r *http.Request) (*request, error) {
	req := &request{format: "TabSeparated", close: func() {}, readonly: r.Method == http.MethodGet || r.Method == http.MethodHead}
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, newException(codeBadArguments, "BAD_ARGUMENTS", "the query string of the URL is malformed: %s", err)
	}
	if mt, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err == nil && strings.HasPrefix(mt, "multipart/") {
		return nil, newException(codeNotImplemented, "NOT_IMPLEMENTED", "external tables in a multipart body are not supported")
	}
	if err := req.readValues(values, r.Header); err != nil {
		return nil, err
	}
	decoded, done, err := newDecoder(r.Body, r.Header.Get("Content-Encoding"))
	if err != nil {
		return nil, err
	}
	req.close = done
	if isTrue(values.Get("decompress")) {
		decoded = newFrameReader(decoded)
	}
	req.sql = values.Get("query")
	req.stmt = parseStatement(req.sql)
	if req.sql != "" && req.stmt.takesData() {
		req.data = decoded
	} else if err := req.readSQL(decoded); err != nil {
		req.close()
		return nil, err
	}
	if len(req.sql) > maxSQL {
		req.close()
		return nil, errTooLong()
	}
	if f := req.stmt.format; f != "" && req.data == nil {
		req.format = f
	}
	return req, nil
}

func errTooLong() error {
	return newException(codeSyntaxError, "SYNTAX_ERROR", "the statement is longer than %d bytes: send rows as the body of an INSERT whose text is in the parameter query", maxSQL)
}

// readSQL appends the body to the text of the statement, as ClickHouse does.
func (req *request) readSQL(body io.Reader) error {
	b, err := io.ReadAll(io.LimitReader(body, maxSQL+1))
	if err != nil && !errors.Is(err, io.EOF) {
		return newException(codeIncorrectData, "INCORRECT_DATA", "the body could not be read: %s", err)
	}
	if len(b) > maxSQL {
		return errTooLong()
	}
	if len(b) == 0 {
		return nil
	}
	if req.sql != "" {
		req.sql += "\n"
	}
	req.sql += string(b)
	req.stmt = parseStatement(req.sql)
	return nil
}

func (req *request) readValues(values url.Values, h http.Header) error {
	for name, vs := range values {
		value := vs[len(vs)-1]
		if what, no := notSupported[name]; no {
			return newException(codeNotImplemented, "NOT_IMPLEMENTED", "%s (parameter %s) are not supported", what, name)
		}
		if p, ok := strings.CutPrefix(name, "param_"); ok {
			req.params = append(req.params, param{p, value})
			continue
		}
		if notSettings[name] {
			continue
		}
		if !isSettingName(name) {
			return newException(codeUnknownSetting, "UNKNOWN_SETTING", "%.80q is no name of a setting", name)
		}
		req.settings = append(req.settings, setting{name, value})
	}
	// The order of a map is random; that of the statement must not be.
	sort.Slice(req.settings, func(i, j int) bool { return req.settings[i].name < req.settings[j].name })
	sort.Slice(req.params, func(i, j int) bool { return req.params[i].name < req.params[j].name })

	req.database = firstOf(values.Get("database"), h.Get("X-ClickHouse-Database"))
	req.queryID = firstOf(values.Get("query_id"), h.Get("X-ClickHouse-Query-Id"))
	if len(req.queryID) > 128 || strings.ContainsFunc(req.queryID, func(r rune) bool { return r < ' ' || r > '~' }) {
		return newException(codeBadArguments, "BAD_ARGUMENTS", "query_id must be at most 128 printable ASCII characters")
	}
	req.format = firstOf(values.Get("default_format"), h.Get("X-ClickHouse-Format"), req.format)
	if !isSettingName(req.format) {
		return newException(codeUnknownFormat, "UNKNOWN_FORMAT", "unknown format %.80q", req.format)
	}
	if v := values.Get("client_protocol_version"); v != "" {
		n, err := strconv.ParseUint(v, 10, 31)
		if err != nil {
			return newException(codeBadArguments, "BAD_ARGUMENTS", "client_protocol_version %.80q is no number", v)
		}
		req.revision = int(n)
	}
	req.framed = isTrue(values.Get("compress"))
	req.method = values.Get("network_compression_method")
	if isTrue(values.Get("enable_http_compression")) {
		req.accept = h.Get("Accept-Encoding")
	}
	return nil
}

// sessionSQL is what is run on the fresh session before the statement.
func (req *request) sessionSQL() []string {
	var out []string
	if req.database != "" && req.database != "default" {
		out = append(out, "USE "+quoteIdentifier(req.database))
	}
	if len(req.settings) > 0 {
		parts := make([]string, len(req.settings))
		for i, s := range req.settings {
			parts[i] = s.name + " = " + quoteString(s.value)
		}
		out = append(out, "SET "+strings.Join(parts, ", "))
	}
	return out
}

func isTrue(v string) bool { return v == "1" || strings.EqualFold(v, "true") }

func firstOf(vs ...string) string {
	for _, v := range vs {
		if v != "" {
			return v
		}
	}
	return ""
}

// isSettingName accepts [A-Za-z_][A-Za-z0-9_]{0,127}; it is written into SQL unquoted.
func isSettingName(s string) bool {
	if s == "" || len(s) > 128 || s[0] >= '0' && s[0] <= '9' {
		return false
	}
	for i := 0; i < len(s); i++ {
		if !isWordByte(s[i]) || s[i] >= 0x80 {
			return false
		}
	}
	return true
}
