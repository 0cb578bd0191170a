package authlog

import (
	"strings"

	"github.com/tenantwatch/tenantwatch/collector/parse/record"
	"github.com/tenantwatch/tenantwatch/pipeline/event"
)

const unknownUser = "invalid_user"

// act sets the action and, when it is a log-in or log-out, the class.
func (p *Parser) act(action string, outcome event.Outcome) {
	p.b.Action, p.b.Outcome = action, outcome
}

func (p *Parser) class(c event.Class, activity uint8) { p.b.Class, p.b.Activity = c, activity }

// user sets the actor from a message's account, which may carry "invalid user"
// before it. The name may be empty, or hold spaces: the client chose it.
func (p *Parser) user(s string) {
	s = strings.TrimSuffix(s, " ")
	for _, prefix := range [...]string{"authenticating user ", "invalid user ", "illegal user ", "user "} {
		if rest, ok := strings.CutPrefix(s+" ", prefix); ok {
			if prefix[0] == 'i' {
				p.b.AddLabel(unknownUser, "true")
			}
			s = strings.TrimSpace(rest)
			break
		}
	}
	p.b.Actor = s
}

// peer reads "IP port N …" or "IP", "IP:port" and "IP port N:11: text"; rest is
// what follows.
func (p *Parser) peer(s string) (rest string) {
	ip, rest, _ := strings.Cut(s, " ")
	ip = strings.TrimSuffix(ip, ":")
	p.b.SetIP(ip)
	if after, ok := strings.CutPrefix(rest, "port "); ok {
		end := 0
		for end < len(after) && after[end] >= '0' && after[end] <= '9' {
			end++
		}
		p.b.AddText("src_port", after[:end])
		rest = after[end:]
	}
	return strings.TrimSpace(rest)
}

// from splits at the last " from " so that a user name that holds one cannot
// forge the address.
func from(m string) (before, after string, ok bool) {
	i := strings.LastIndex(m, " from ")
	if i < 0 {
		return m, "", false
	}
	return m[:i], m[i+len(" from "):], true
}

// lastPeer cuts the address, "IP port N" or "IP", off the end of s.
func lastPeer(s string) (before, peer string) {
	if i := strings.LastIndex(s, " port "); i >= 0 {
		j := strings.LastIndexByte(s[:i], ' ')
		return strings.TrimSpace(s[:j+1]), s[j+1:]
	}
	j := strings.LastIndexByte(s, ' ')
	return strings.TrimSpace(s[:j+1]), s[j+1:]
}

func (p *Parser) sshd(m string) {
	b := &p.b
	m = strings.TrimSuffix(m, " [preauth]")
	m = strings.TrimPrefix(m, "error: ")
	m = strings.TrimPrefix(m, "fatal: ")
	verb, rest, _ := strings.Cut(m, " ")
	switch verb {
	case "Accepted", "Failed", "Postponed", "Partial":
		method, tail, ok := strings.Cut(rest, " for ")
		before, after, found := from(tail)
		if !ok || !found {
			return
		}
		switch verb {
		case "Accepted":
			p.act("ssh.login", event.OutcomeSuccess)
		case "Failed":
			p.act("ssh.login", event.OutcomeFailure)
		default:
			p.act("ssh.login_continued", event.OutcomeUnknown)
		}
		p.class(event.ClassAuthentication, 1)
		b.AddText("auth_method", method)
		p.user(before)
		tail = strings.TrimPrefix(p.peer(after), "ssh2")
		b.AddText("key", strings.TrimSpace(strings.TrimPrefix(tail, ":")))
	case "Invalid", "Illegal":
		p.act("ssh.invalid_user", event.OutcomeUnknown)
		if before, after, ok := from(m); ok {
			p.user(strings.ToLower(verb) + before[len(verb):])
			p.peer(after)
		}
	case "input_userauth_request:":
		p.act("ssh.invalid_user", event.OutcomeUnknown)
		p.user(rest)
	case "maximum":
		p.act("ssh.max_attempts", event.OutcomeUnknown)
		if before, after, ok := from(m); ok {
			_, who, _ := strings.Cut(before, "exceeded for ")
			p.user(who)
			p.peer(after)
		}
	case "Disconnecting:", "Disconnecting":
		p.act("ssh.disconnect", event.OutcomeUnknown)
		if who, reason, ok := strings.Cut(rest, ": "); ok && strings.Contains(who, " port ") {
			who, ip := lastPeer(who)
			p.user(who)
			p.peer(ip)
			b.AddText("reason", reason)
		} else {
			b.AddText("reason", rest)
		}
	case "Connection", "Disconnected":
		p.connection(verb, m)
	case "Received":
		switch {
		case strings.HasPrefix(rest, "disconnect from "):
			p.act("ssh.disconnect", event.OutcomeUnknown)
			tail := p.peer(rest[len("disconnect from "):])
			if i := strings.Index(tail, ": "); i >= 0 {
				b.AddText("reason", strings.TrimSpace(tail[i+2:]))
			} else if code := strings.Trim(tail, ": "); code != "" {
				b.AddText("reason", code)
			}
		case strings.HasPrefix(rest, "signal "):
			p.act("ssh.stop", event.OutcomeUnknown)
		}
	case "Did":
		if _, after, ok := from(m); ok {
			p.act("ssh.probe", event.OutcomeUnknown)
			p.peer(after)
		}
	case "Bad":
		if before, after, ok := from(m); ok {
			p.act("ssh.probe", event.OutcomeUnknown)
			b.AddText("banner", strings.TrimPrefix(before, "Bad protocol version identification "))
			p.peer(after)
		}
	case "Unable":
		if tail, ok := strings.CutPrefix(m, "Unable to negotiate with "); ok {
			p.act("ssh.negotiate_failed", event.OutcomeUnknown)
			b.AddText("reason", strings.TrimPrefix(p.peer(tail), ": "))
		}
	case "Server":
		if strings.HasPrefix(rest, "listening on ") {
			p.act("ssh.listen", event.OutcomeUnknown)
		}
	case "Starting", "Close":
		p.session(verb, m)
	case "PAM", "PAM:":
		p.pamCount(rest)
	}
}

// connection reads the lines that say who connected or went.
func (p *Parser) connection(verb, m string) {
	if tail, ok := strings.CutPrefix(m, "Connection from "); ok {
		p.act("ssh.connect", event.OutcomeUnknown)
		p.peer(tail)
		return
	}
	p.act("ssh.disconnect", event.OutcomeUnknown)
	for _, prefix := range [...]string{"Connection closed by ", "Connection reset by ", "Disconnected from "} {
		if tail, ok := strings.CutPrefix(m, prefix); ok {
			who, ip := lastPeer(tail)
			if who != "" {
				p.user(who)
				if verb == "Disconnected" && strings.HasPrefix(who, "user ") {
					p.class(event.ClassAuthentication, 2)
				}
			}
			p.peer(ip)
			p.b.AddLabel("reason", strings.ToLower(strings.TrimSpace(strings.TrimSuffix(strings.TrimSuffix(prefix, "by "), "from "))))
			return
		}
	}
}

// session reads "Starting session: shell on pts/0 for u from IP port N id 0".
func (p *Parser) session(verb, m string) {
	before, after, ok := from(m)
	if !ok {
		return
	}
	p.act("ssh.session_open", event.OutcomeUnknown)
	kind := strings.TrimPrefix(before, "Starting session: ")
	if verb == "Close" {
		p.act("ssh.session_close", event.OutcomeUnknown)
		p.user(strings.TrimPrefix(before, "Close session: "))
	} else if i := strings.LastIndex(kind, " for "); i >= 0 {
		p.user(kind[i+len(" for "):])
		p.b.AddText("session_type", kind[:i])
	}
	p.peer(after)
}

// pamCount reads "PAM 5 more authentication failures; … rhost=IP user=root",
// the sum sshd gives for attempts it reported one by one.
func (p *Parser) pamCount(rest string) {
	n, tail, _ := strings.Cut(rest, " ")
	if _, ok := record.Uint(n, 1<<31); ok && strings.HasPrefix(tail, "more authentication failure") {
		p.act("pam.more_failures", event.OutcomeUnknown)
		p.b.AddLabel("failures", n)
		p.pairs(tail)
		return
	}
	p.act("pam.message", event.OutcomeUnknown)
}
