// Package textlog reads the logs of servers that write lines of text: HAProxy,
// Envoy, PostgreSQL (csvlog and stderr, with pgaudit) and syslog of RFC 5424,
// one file each.
//
// Invariant: each takes only lines of its own shape, so no line can be taken
// by two. The package is pure.
package textlog

import "strings"

// tokens splits a line at spaces; what stands in quotes or brackets is one
// token without them. At most n.
func tokens(s string, n int) []string {
	out := make([]string, 0, 24)
	for len(out) < n {
		s = strings.TrimLeft(s, " ")
		if s == "" {
			break
		}
		end := byte(' ')
		switch s[0] {
		case '"':
			end = '"'
		case '[':
			end = ']'
		case '{':
			end = '}'
		}
		if end == ' ' {
			t, rest, _ := strings.Cut(s, " ")
			out, s = append(out, t), rest
			continue
		}
		i := 1
		for i < len(s) && s[i] != end {
			if s[i] == '\\' && end == '"' {
				i++
			}
			i++
		}
		i = min(i, len(s))
		out = append(out, s[1:i])
		s = s[min(i+1, len(s)):]
	}
	return out
}

func number(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}

// requestLine splits `GET /path HTTP/1.1`.
func requestLine(s string) (method, target, proto string) {
	method, rest, _ := strings.Cut(s, " ")
	if i := strings.LastIndex(rest, " HTTP/"); i >= 0 {
		return method, rest[:i], rest[i+1:]
	}
	return method, rest, ""
}
