package products

import (
	"strings"

	"github.com/tenantwatch/tenantwatch/collector/parse/record"
	"github.com/tenantwatch/tenantwatch/pipeline/event"
)

// PostgresMessage reads what a line of PostgreSQL's log says: the audit records of
// pgaudit, connections, log-ins that failed, and statements. severity is LOG,
// ERROR, FATAL and so on.
func PostgresMessage(b *record.Builder, severity, message, database string) {
	b.AddText("database", database)
	switch severity {
	case "ERROR":
		b.Severity, b.Outcome = 3, event.OutcomeFailure
	case "FATAL", "PANIC":
		b.Severity, b.Outcome = 4, event.OutcomeFailure
	case "WARNING":
		b.Severity = 3
	}
	quoted := func(after string) string {
		_, rest, ok := strings.Cut(message, after)
		if !ok {
			return ""
		}
		name, _, _ := strings.Cut(rest, `"`)
		return name
	}
	switch {
	case strings.HasPrefix(message, "AUDIT: "):
		pgaudit(b, message[len("AUDIT: "):])
	case strings.HasPrefix(message, "password authentication failed for user"), strings.Contains(message, "authentication failed for user"):
		b.Action, b.Outcome = "login", event.OutcomeFailure
		act(b, event.ClassAuthentication, 1)
		if u := quoted(`for user "`); u != "" {
			b.Actor = u
		}
	case strings.HasPrefix(message, "no pg_hba.conf entry"):
		b.Action, b.Outcome = "login", event.OutcomeFailure
		act(b, event.ClassAuthentication, 1)
		if u := quoted(`user "`); u != "" {
			b.Actor = u
		}
		if h := quoted(`host "`); b.SrcIP == "" && h != "[local]" {
			b.SetIP(h)
		}
	case strings.HasPrefix(message, "role \"") && strings.HasSuffix(message, "does not exist"), strings.HasPrefix(message, "role \"") && strings.HasSuffix(message, "is not permitted to log in"):
		b.Action, b.Outcome = "login", event.OutcomeFailure
		act(b, event.ClassAuthentication, 1)
		if b.Actor == "" || b.Actor == "[unknown]" {
			b.Actor = quoted(`role "`)
		}
	case strings.HasPrefix(message, "connection authorized: "):
		b.Action, b.Outcome = "login", event.OutcomeSuccess
		act(b, event.ClassAuthentication, 1)
		for _, w := range strings.Fields(message) {
			if u, ok := strings.CutPrefix(w, "user="); ok {
				b.Actor = u
			}
			if n, ok := strings.CutPrefix(w, "database="); ok && database == "" {
				b.AddLabel("database", n)
			}
		}
	case strings.HasPrefix(message, "connection authenticated: "):
		b.Action, b.Outcome = "authenticate", event.OutcomeSuccess
		act(b, event.ClassAuthentication, 1)
		if u := quoted(`identity="`); u != "" && b.Actor == "" {
			b.Actor = u
		}
	case strings.HasPrefix(message, "connection received: "):
		b.Action = "connection"
		for _, w := range strings.Fields(message) {
			if h, ok := strings.CutPrefix(w, "host="); ok && h != "[local]" && b.SrcIP == "" {
				b.SetIP(h)
			}
			if n, ok := strings.CutPrefix(w, "port="); ok && b.LabelOf("src_port") == "" {
				b.AddText("src_port", n)
			}
		}
	case strings.HasPrefix(message, "disconnection: "):
		b.Action, b.Outcome = "logout", event.OutcomeSuccess
		act(b, event.ClassAuthentication, 2)
	case strings.HasPrefix(message, "statement: "), strings.HasPrefix(message, "execute "), strings.HasPrefix(message, "duration: "):
		_, sql, ok := strings.Cut(message, "statement: ")
		if !ok {
			_, sql, _ = strings.Cut(message, ": ")
		}
		verb, _, _ := strings.Cut(strings.TrimSpace(sql), " ")
		b.Action = "sql." + clean(verb)
		b.Outcome = event.OutcomeSuccess
		b.AddText("statement", sql)
		act(b, event.ClassAPIActivity, sqlActivity(verb))
	default:
		b.Action = "postgres." + clean(severity)
		b.AddText("message", message)
	}
}

// pgaudit reads "SESSION,1,1,READ,SELECT,TABLE,public.orders,select …,<none>":
// kind, statement and substatement number, class, command, type and name of
// the object, statement, parameters. A statement may hold commas.
func pgaudit(b *record.Builder, s string) {
	f := csv(s, 9)
	for len(f) < 9 {
		f = append(f, "")
	}
	b.Action, b.Outcome = "sql."+clean(f[4]), event.OutcomeSuccess
	b.Resource, b.ResourceType = f[6], strings.ToLower(f[5])
	b.AddText("audit_type", f[0])
	b.AddText("audit_class", f[3])
	b.AddText("statement", f[7])
	if f[8] != "<none>" && f[8] != "<not logged>" {
		b.AddText("parameters", f[8])
	}
	switch {
	case f[3] == "ROLE" && strings.HasPrefix(f[4], "GRANT"):
		act(b, event.ClassAccountChange, 7)
	case f[3] == "ROLE" && strings.HasPrefix(f[4], "REVOKE"):
		act(b, event.ClassAccountChange, 8)
	case f[4] == "CREATE ROLE":
		act(b, event.ClassAccountChange, 1)
	case f[4] == "DROP ROLE":
		act(b, event.ClassAccountChange, 6)
	case f[4] == "ALTER ROLE":
		act(b, event.ClassAccountChange, 99)
	default:
		act(b, event.ClassAPIActivity, sqlActivity(f[4]))
	}
}

func sqlActivity(verb string) uint8 {
	switch w, _, _ := strings.Cut(strings.ToUpper(verb), " "); w {
	case "SELECT", "SHOW", "COPY", "FETCH", "EXPLAIN":
		return 2
	case "INSERT", "CREATE":
		return 1
	case "UPDATE", "ALTER", "MERGE", "GRANT", "REVOKE", "SET":
		return 3
	case "DELETE", "DROP", "TRUNCATE":
		return 4
	}
	return 99
}

// clean makes a word of an action: letters only, in lower case.
func clean(s string) string {
	out := make([]byte, 0, 24)
	for i := 0; i < len(s) && len(out) < 24; i++ {
		switch c := s[i] | 0x20; {
		case c >= 'a' && c <= 'z' && s[i] != '`':
			out = append(out, c)
		case s[i] == ' ' || s[i] == '_':
			out = append(out, '_')
		}
	}
	if len(out) == 0 {
		return "other"
	}
	return string(out)
}

// csv splits at most n fields at commas; quotes protect them and are doubled
// inside.
func csv(s string, n int) []string {
	out := make([]string, 0, min(n, 32))
	for len(out) < n {
		if strings.HasPrefix(s, `"`) {
			end, doubled := 1, false
			for end < len(s) {
				if s[end] == '"' {
					if end+1 < len(s) && s[end+1] == '"' {
						end, doubled = end+2, true
						continue
					}
					break
				}
				end++
			}
			f := s[1:min(end, len(s))]
			if doubled {
				f = strings.ReplaceAll(f, `""`, `"`)
			}
			out = append(out, f)
			s = s[min(end+1, len(s)):]
			if !strings.HasPrefix(s, ",") {
				return out
			}
			s = s[1:]
			continue
		}
		f, rest, more := strings.Cut(s, ",")
		out = append(out, f)
		if !more {
			return out
		}
		s = rest
	}
	return out
}

// CSV is csv, for the parser of PostgreSQL's csvlog.
func CSV(s string, n int) []string { return csv(s, n) }
