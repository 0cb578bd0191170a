// Package authlog reads what Unix hosts write about log-ins: auth.log and
// secure, that is sshd, sudo, su, cron, PAM, systemd-logind, useradd and the
// like behind a syslog header.
//
// Invariant: every line with a readable syslog header becomes one event, also
// one whose message is not known ("<program>.message"). Only lines that report
// the decision of an attempt carry an outcome: sshd writes several lines about
// one failed log-in, and counting each would count the attempt again. Those
// around it (ssh.invalid_user, pam.auth_failure, ssh.max_attempts …) have the
// outcome unknown. User names in messages are chosen by the attacker, so
// addresses are read from the right end of a message.
package authlog

import (
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/tenantwatch/tenantwatch/collector/parse/record"
	"github.com/tenantwatch/tenantwatch/pipeline/event"
)

// Name is the format's name.
const Name = "authlog"

// Parser reads the lines of one host's file, in their order.
type Parser struct {
	b    record.Builder
	year record.YearClock
}

// New returns a parser for one stream.
func New() record.Parser { return &Parser{} }

var errShape = errors.New("not an auth.log line: want 'Mar 27 13:06:56 host program[pid]: message', or the same with an RFC 3339 time")

// header is the syslog head of a line.
type header struct {
	iso                             string // RFC 3339 time, else the parts below
	month                           time.Month
	day, hour, minute, sec          int
	host, program, pid, message, at string
}

var months = map[string]time.Month{
	"Jan": 1, "Feb": 2, "Mar": 3, "Apr": 4, "May": 5, "Jun": 6, "Jul": 7, "Aug": 8, "Sep": 9, "Oct": 10, "Nov": 11, "Dec": 12,
}

func digits2(s string) int {
	if s[0] < '0' || s[0] > '9' || s[1] < '0' || s[1] > '9' {
		return 99
	}
	return int(s[0]-'0')*10 + int(s[1]-'0')
}

func readHeader(line string) (h header, ok bool) {
	if strings.HasPrefix(line, "<") { // the priority of a relayed line
		if i := strings.IndexByte(line, '>'); i > 0 && i <= 4 {
			line = line[i+1:]
		}
	}
	if len(line) < 16 {
		return h, false
	}
	var rest string
	if m, found := months[line[:3]]; found {
		if line[3] != ' ' || line[6] != ' ' || line[9] != ':' || line[12] != ':' || line[15] != ' ' {
			return h, false
		}
		h.month, h.at = m, line[:15]
		if line[4] == ' ' {
			h.day = digits2("0" + line[5:6])
		} else {
			h.day = digits2(line[4:6])
		}
		h.hour, h.minute, h.sec = digits2(line[7:9]), digits2(line[10:12]), digits2(line[13:15])
		if h.day < 1 || h.day > 31 || h.hour > 23 || h.minute > 59 || h.sec > 60 {
			return h, false
		}
		rest = line[16:]
	} else {
		h.iso, rest, ok = strings.Cut(line, " ")
		if !ok || len(h.iso) < 19 || h.iso[4] != '-' || h.iso[10] != 'T' {
			return h, false
		}
	}
	if h.host, rest, ok = strings.Cut(rest, " "); !ok || h.host == "" {
		return h, false
	}
	// The program ends at the first ": "; a message may hold more of them.
	tag, message, ok := strings.Cut(rest, ": ")
	if !ok {
		if tag, ok = strings.CutSuffix(rest, ":"); !ok {
			return h, false
		}
	}
	h.message = strings.TrimSpace(message)
	if i := strings.IndexByte(tag, '['); i > 0 && strings.HasSuffix(tag, "]") {
		tag, h.pid = tag[:i], tag[i+1:len(tag)-1]
	}
	if tag == "" || len(tag) > 64 || strings.ContainsAny(tag, " \t") {
		return h, false
	}
	h.program = tag
	return h, true
}

// Parse reads one line.
func (p *Parser) Parse(raw string, env *record.Env, emit func(*event.Event)) error {
	h, ok := readHeader(raw)
	if !ok {
		return errShape
	}
	b := &p.b
	b.Begin(env, Name, raw)
	if h.iso != "" {
		ns, err := record.ParseTime(h.iso, env.Location())
		if err != nil {
			return err
		}
		b.Time = ns
	} else {
		t, err := p.year.Date(env, h.month, h.day, h.hour, h.minute, h.sec)
		if err != nil {
			return err
		}
		b.Time = t.UnixNano()
		b.Flags |= event.FlagYearAssumed
	}
	if b.Source == "" {
		b.Source = h.host
	} else if b.Source != h.host {
		b.AddLabel("host", h.host)
	}
	b.AddText("pid", h.pid)
	if n, inner, ok := repeated(h.message); ok {
		b.Count, h.message = n, inner
	}
	p.message(&h)
	if b.Actor == "" {
		// Nobody is named: the peer acted, else the program itself.
		if b.Actor = b.SrcIP; b.Actor == "" {
			b.Actor, b.ActorType = h.program, "service"
		}
	} else if b.ActorType == "" {
		b.ActorType = "user"
	}
	if b.Action == "" {
		b.Action = strings.ToLower(strings.Trim(h.program, "()")) + ".message"
	}
	e, err := b.Finish(env)
	if err != nil {
		return err
	}
	emit(e)
	return nil
}

// repeated reads "message repeated 5 times: [ inner]".
func repeated(m string) (n uint32, inner string, ok bool) {
	rest, ok := strings.CutPrefix(m, "message repeated ")
	if !ok {
		return 0, "", false
	}
	num, rest, ok := strings.Cut(rest, " times: [")
	if !ok || !strings.HasSuffix(rest, "]") {
		return 0, "", false
	}
	v, err := strconv.ParseUint(num, 10, 32)
	if err != nil || v == 0 {
		return 0, "", false
	}
	return uint32(v), strings.TrimSpace(strings.TrimSuffix(rest, "]")), true
}

// message reads what follows the header.
func (p *Parser) message(h *header) {
	m := h.message
	if strings.HasPrefix(m, "pam_") && p.pam(m) {
		return
	}
	switch strings.ToLower(h.program) {
	case "sshd", "sshd-session", "sshd-auth":
		p.sshd(m)
	case "sudo":
		p.sudo(m)
	case "su":
		p.su(m)
	case "cron", "crond", "(cron)":
		p.cron(m)
	case "systemd-logind", "elogind":
		p.logind(m)
	case "useradd", "userdel", "usermod", "groupadd", "groupdel", "groupmod", "gpasswd", "passwd", "chpasswd", "chage", "adduser":
		p.accounts(h.program, m)
	}
}

// Weak says that a line is another program's, which a parser of its own may
// know better.
func Weak(raw string) bool { return Sniff(raw) < 1 }

// Sniff says how much a line looks like this format, 0 to 1.
func Sniff(raw string) float64 {
	h, ok := readHeader(raw)
	if !ok {
		return 0
	}
	switch strings.ToLower(h.program) {
	case "sshd", "sshd-session", "sshd-auth", "sudo", "su", "cron", "crond", "systemd-logind", "useradd", "userdel",
		"usermod", "groupadd", "groupdel", "passwd", "chpasswd", "login", "polkitd", "systemd":
		return 1
	}
	if strings.HasPrefix(h.message, "pam_") {
		return 1
	}
	if raw[0] == '<' {
		return 0.55
	}
	return 0.6 // another program's syslog line
}
