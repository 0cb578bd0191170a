package textlog

import (
	"errors"
	"strings"

	"github.com/tenantwatch/tenantwatch/collector/parse/products"
	"github.com/tenantwatch/tenantwatch/collector/parse/record"
	"github.com/tenantwatch/tenantwatch/pipeline/event"
)

// Postgres is the name of the format of PostgreSQL's own logs.
const Postgres = "postgres"

var errPostgres = errors.New(`not a line of PostgreSQL's log: want the csvlog, or stderr with a time first, such as "2026-03-01 09:15:02.123 UTC [1234] alice@shop LOG:  …" (log_line_prefix '%m [%p] %q%u@%d ')`)

type postgres struct{ b record.Builder }

// NewPostgres returns a parser for one stream of text lines.
func NewPostgres() record.Parser { return &postgres{} }

var severities = [...]string{"LOG", "ERROR", "FATAL", "PANIC", "WARNING", "NOTICE", "INFO", "DETAIL", "STATEMENT", "HINT", "CONTEXT", "DEBUG1", "DEBUG2"}

// stderrParts splits a line of the stderr log at its severity.
func stderrParts(s string) (prefix, severity, message string, ok bool) {
	at := strings.Index(s, ":  ")
	if at < 20 {
		return
	}
	for _, w := range severities {
		if strings.HasSuffix(s[:at], w) {
			if p := s[:at-len(w)]; strings.HasSuffix(p, " ") || strings.HasSuffix(p, ":") {
				return p, w, s[at+3:], true
			}
		}
	}
	return
}

func dated(s string) bool {
	return len(s) > 24 && s[4] == '-' && s[7] == '-' && s[10] == ' ' && s[13] == ':' && s[16] == ':'
}

// SniffPostgres says how much a line looks like this format, 0 to 1.
func SniffPostgres(raw string) float64 {
	if !dated(raw) {
		return 0
	}
	if _, _, _, ok := stderrParts(raw); ok {
		return 1
	}
	if i := strings.IndexByte(raw, ','); i >= 19 && i <= 36 && strings.Count(raw, ",") >= 13 {
		if f := products.CSV(raw, 14); len(f) == 14 && number(f[3]) && number(f[6]) {
			return 1
		}
	}
	return 0
}

func (p *postgres) Parse(raw string, env *record.Env, emit func(*event.Event)) error {
	if SniffPostgres(raw) < 1 {
		return errPostgres
	}
	b := &p.b
	b.Begin(env, Postgres, raw)
	var err error
	if prefix, severity, message, ok := stderrParts(raw); ok {
		err = p.stderr(env, prefix, severity, message)
	} else {
		err = p.csvlog(env, products.CSV(raw, 26))
	}
	if err != nil {
		return err
	}
	if b.Actor == "" || b.Actor == "[unknown]" {
		if b.Actor = b.SrcIP; b.Actor == "" {
			b.Actor, b.ActorType = Postgres, "service"
		}
	} else {
		b.ActorType = "user"
	}
	e, err := b.Finish(env)
	if err != nil {
		return err
	}
	emit(e)
	return nil
}

// when reads a time with the abbreviation of a zone; other than UTC and GMT
// such an abbreviation says nothing certain, and the stream's zone counts.
func when(env *record.Env, s string) (int64, error) {
	f := strings.Fields(s)
	if len(f) < 2 {
		return 0, errPostgres
	}
	t := f[0] + " " + f[1]
	if len(f) > 2 && (f[2] == "UTC" || f[2] == "GMT") {
		return record.ParseTime(f[0]+"T"+f[1]+"Z", nil)
	}
	if len(f) > 2 && (f[2][0] == '+' || f[2][0] == '-') && len(f[2]) == 3 {
		return record.ParseTime(f[0]+"T"+f[1]+f[2]+":00", nil)
	}
	return record.ParseTime(t, env.Location())
}

// stderr reads a prefix such as '%m [%p] %q%u@%d ', or that of hosted
// databases: '%t:%r:%u@%d:[%p]:'.
func (p *postgres) stderr(env *record.Env, prefix, severity, message string) (err error) {
	b := &p.b
	user, database, pid := "", "", ""
	zone := prefix
	if i := strings.IndexByte(prefix[19:], ':'); i > 0 && strings.Count(prefix[19:], ":") >= 3 { // colons
		zone = prefix[:19+i]
		for _, part := range strings.Split(prefix[19+i+1:], ":") {
			switch {
			case strings.HasSuffix(part, "]"):
				pid = strings.Trim(part, "[]")
			case strings.IndexByte(part, '@') > 0:
				user, database, _ = strings.Cut(part, "@")
			case strings.HasSuffix(part, ")"):
				host, port, _ := strings.Cut(strings.TrimSuffix(part, ")"), "(")
				b.SetIP(host)
				b.AddText("src_port", port)
			}
		}
	} else {
		f := strings.Fields(prefix)
		if len(f) > 2 {
			zone = strings.Join(f[:3], " ")
			if strings.HasPrefix(f[2], "[") {
				zone = f[0] + " " + f[1]
			}
			for _, part := range f[2:] {
				switch {
				case strings.HasPrefix(part, "["):
					pid = strings.Trim(part, "[]")
				case strings.IndexByte(part, '@') > 0:
					user, database, _ = strings.Cut(part, "@")
				case strings.HasPrefix(part, "user="):
					for _, kv := range strings.Split(part, ",") {
						k, v, _ := strings.Cut(kv, "=")
						switch k {
						case "user":
							user = v
						case "db":
							database = v
						case "client":
							b.SetIP(v)
						}
					}
				}
			}
		}
	}
	if b.Time, err = when(env, zone); err != nil {
		return err
	}
	b.Actor = user
	b.AddText("pid", pid)
	products.PostgresMessage(b, severity, message, database)
	return nil
}

// csvlog reads the columns of log_destination = csvlog.
func (p *postgres) csvlog(env *record.Env, f []string) (err error) {
	b := &p.b
	for len(f) < 26 {
		f = append(f, "")
	}
	if b.Time, err = when(env, f[0]); err != nil {
		return err
	}
	b.Actor, b.Session = f[1], f[5]
	b.AddText("pid", f[3])
	if host, port, ok := cutLast(f[4], ':'); ok && host != "[local]" {
		b.SetIP(host)
		b.AddText("src_port", port)
	} else if f[4] != "" && f[4] != "[local]" {
		b.SetIP(f[4])
	}
	products.PostgresMessage(b, f[11], f[13], f[2])
	b.AddText("state_code", f[12])
	b.AddText("application", f[22])
	if f[5] != "" && len(f[5]) < 64 && number(f[6]) {
		b.ID = f[5] + "/" + f[6] // session and its line: unique on a server
	}
	return nil
}

func cutLast(s string, c byte) (before, after string, ok bool) {
	i := strings.LastIndexByte(s, c)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+1:], true
}
