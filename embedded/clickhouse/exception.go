package clickhouse

import (
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"
)

// Error codes of ClickHouse (src/Common/ErrorCodes.cpp) that the front itself
// raises or maps to a status.
const (
	codeUnsupportedMethod     = 1
	codeUnknownIdentifier     = 47
	codeNotImplemented        = 48
	codeLogicalError          = 49
	codeUnknownType           = 50
	codeUnknownFunction       = 46
	codeSyntaxError           = 62
	codeUnknownTable          = 60
	codeUnknownFormat         = 73
	codeUnknownDatabase       = 81
	codeIncorrectData         = 117
	codeTimeoutExceeded       = 159
	codeReadonly              = 164
	codeTooManyQueries        = 202
	codeSocketTimeout         = 209
	codeNetworkError          = 210
	codeQueryWithSameID       = 216
	codeMemoryLimit           = 241
	codeTypeMismatch          = 53
	codeUnknownSetting        = 115
	codeCannotParse           = 27
	codeBadArguments          = 36
	codeAuthenticationFailed  = 516
	codeQueryWasCancelled     = 394
	codeUnknownQueryParameter = 456
)

// exception is an error of the engine, or of the front in the same form: code
// is ClickHouse's, text is the whole line "Code: N. DB::Exception: … (NAME)".
type exception struct {
	code int
	text string
}

func (e *exception) Error() string { return e.text }

func newException(code int, name, format string, args ...any) *exception {
	return &exception{code: code, text: fmt.Sprintf("Code: %d. DB::Exception: %s (%s)", code, fmt.Sprintf(format, args...), name)}
}

var (
	codeRE    = regexp.MustCompile(`^Code: (\d{1,9})\. `)
	versionRE = regexp.MustCompile(` \(version [0-9.]+\)\s*$`)
	// Positions that a syntax error names, in the text that includes our tag.
	positionRE = regexp.MustCompile(`(failed at position )(\d+)`)
	columnRE   = regexp.MustCompile(`(\(line 1, col )(\d+)`)
)

// parseException reads the engine's message. One without a code is given
// LOGICAL_ERROR, so that the driver always gets a typed error.
func parseException(msg string) *exception {
	msg = strings.TrimSpace(versionRE.ReplaceAllString(msg, ""))
	if m := codeRE.FindStringSubmatch(msg); m != nil {
		if code, err := strconv.Atoi(m[1]); err == nil && code > 0 {
			return &exception{code: code, text: msg}
		}
	}
	return newException(codeLogicalError, "LOGICAL_ERROR", "%s", msg)
}

func isNotStreamable(msg string) bool {
	return strings.HasPrefix(msg, "Code: 36.") && strings.Contains(msg, "Streaming query is not supported")
}

// asException gives any error the form of one.
func asException(err error) *exception {
	var e *exception
	if errors.As(err, &e) {
		return e
	}
	return newException(codeLogicalError, "LOGICAL_ERROR", "%s", err)
}

// untag takes the tag in front of the statement out of what the user sees:
// the text itself, and the positions counted with it.
func (e *exception) untag(tag string) *exception {
	text := strings.ReplaceAll(e.text, tag, "")
	if e.code == codeSyntaxError {
		for _, re := range []*regexp.Regexp{positionRE, columnRE} {
			text = re.ReplaceAllStringFunc(text, func(s string) string {
				m := re.FindStringSubmatch(s)
				if n, err := strconv.Atoi(m[2]); err == nil && n > len(tag) {
					return m[1] + strconv.Itoa(n-len(tag))
				}
				return s
			})
		}
	}
	return &exception{code: e.code, text: text}
}

// status maps a code as ClickHouse's HTTPHandler does: what the client did
// wrong is 4xx, what is not known 404, an overload 503, the rest 500.
func (e *exception) status() int {
	switch e.code {
	case codeAuthenticationFailed, codeReadonly:
		return http.StatusForbidden
	case codeUnknownTable, codeUnknownDatabase, codeUnknownIdentifier, codeUnknownFunction, codeUnknownType, codeUnknownSetting, codeUnknownFormat:
		return http.StatusNotFound
	case codeSyntaxError, codeCannotParse, codeTypeMismatch, codeIncorrectData, codeBadArguments, codeUnknownQueryParameter, codeQueryWithSameID:
		return http.StatusBadRequest
	case codeNotImplemented:
		return http.StatusNotImplemented
	case codeSocketTimeout, codeTimeoutExceeded:
		return http.StatusRequestTimeout
	case codeTooManyQueries:
		return http.StatusServiceUnavailable
	}
	return http.StatusInternalServerError
}
