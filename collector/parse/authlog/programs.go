package authlog

import (
	"strings"

	"github.com/tenantwatch/tenantwatch/collector/parse/record"
	"github.com/tenantwatch/tenantwatch/pipeline/event"
)

// pam reads the lines PAM modules write under any program's name:
// "pam_unix(sshd:session): session opened for user u by (uid=0)".
func (p *Parser) pam(m string) bool {
	b := &p.b
	head, text, ok := strings.Cut(m, ": ")
	module, what, ok2 := strings.Cut(head, "(")
	if !ok || !ok2 {
		return false
	}
	service, kind, _ := strings.Cut(strings.TrimSuffix(what, ")"), ":")
	b.AddText("pam_module", module)
	b.AddText("service", service)
	switch {
	case strings.HasPrefix(text, "session opened for user "), strings.HasPrefix(text, "session closed for user "):
		p.act("session.open", event.OutcomeUnknown)
		if strings.HasPrefix(text, "session closed") {
			p.act("session.close", event.OutcomeUnknown)
		}
		who, by, _ := strings.Cut(text[len("session opened for user "):], " by ")
		b.Actor, _, _ = strings.Cut(who, "(uid=") // newer: root(uid=0)
		by, _, _ = strings.Cut(by, "(uid=")
		b.AddText("by", by)
	case strings.HasPrefix(text, "authentication failure;"):
		p.act("pam.auth_failure", event.OutcomeUnknown)
		p.pairs(text)
		if b.Actor == "" {
			b.Actor = b.LabelOf("ruser")
		}
	case strings.HasPrefix(text, "check pass; user unknown"):
		p.act("pam.unknown_user", event.OutcomeUnknown)
	case strings.HasPrefix(text, "password changed for "):
		p.act("password.change", event.OutcomeSuccess)
		p.class(event.ClassAccountChange, 3)
		b.Actor = text[len("password changed for "):]
		b.Resource, b.ResourceType = b.Actor, "user"
	case kind == "chauthtok" && strings.HasPrefix(text, `user "`):
		p.act("password.change", event.OutcomeFailure)
		p.class(event.ClassAccountChange, 3)
		if i := strings.LastIndexByte(text, '"'); i > 6 {
			b.Resource, b.ResourceType = text[6:i], "user"
		}
	default:
		p.act("pam.message", event.OutcomeUnknown)
	}
	return true
}

// pairs reads "logname= uid=0 tty=ssh ruser= rhost=IP  user=root". The user
// comes last and may be anything.
func (p *Parser) pairs(s string) {
	b := &p.b
	if i := strings.Index(s, " user="); i >= 0 {
		b.Actor, s = strings.TrimSpace(s[i+len(" user="):]), s[:i]
	}
	for _, w := range strings.Fields(s) {
		k, v, ok := strings.Cut(w, "=")
		if !ok || v == "" {
			continue
		}
		switch k {
		case "rhost":
			if ip, _, ok := record.Addr(v); ok {
				b.SrcIP = ip
			} else {
				b.AddLabel("rhost", v) // sshd may resolve names
			}
		case "logname", "ruser", "tty":
			b.AddLabel(k, v)
		}
	}
}

// sudo reads "user : TTY=pts/0 ; PWD=/x ; USER=root ; COMMAND=/bin/su -", with
// the reason of a refusal in front of TTY.
func (p *Parser) sudo(m string) {
	b := &p.b
	who, rest, ok := strings.Cut(m, " : ")
	if !ok {
		return
	}
	b.Actor = strings.TrimSpace(who)
	p.act("sudo.command", event.OutcomeSuccess)
	for rest != "" {
		// The command is last and may hold anything, " ; " too.
		if cmd, found := strings.CutPrefix(rest, "COMMAND="); found {
			path, _, _ := strings.Cut(cmd, " ")
			b.Resource, b.ResourceType = path, "command"
			b.AddLabel("command", cmd)
			return
		}
		var part string
		part, rest, _ = strings.Cut(rest, " ; ")
		k, v, isPair := strings.Cut(part, "=")
		switch {
		case isPair && k == "TTY":
			b.AddText("tty", v)
		case isPair && k == "PWD":
			b.AddText("cwd", v)
		case isPair && k == "USER":
			b.AddText("run_as", v)
		case isPair && k == "GROUP":
			b.AddText("run_as_group", v)
		case isPair && (k == "ENV" || k == "TSID"):
			b.AddText(strings.ToLower(k), v)
		default:
			b.Outcome = event.OutcomeFailure
			b.AddText("reason", part)
		}
	}
}

// su reads the three dialects of su.
func (p *Parser) su(m string) {
	b := &p.b
	outcome := event.OutcomeSuccess
	text, failed := strings.CutPrefix(m, "FAILED SU ")
	if !failed {
		text, failed = strings.CutPrefix(m, "FAILED su ")
	}
	if failed {
		outcome = event.OutcomeFailure
	}
	text = strings.TrimPrefix(text, "Successful su ")
	switch {
	case strings.HasPrefix(text, "for "): // for root by ubuntu
		i := strings.LastIndex(text, " by ")
		if i < 4 {
			return
		}
		b.Actor, b.Resource = text[i+4:], text[4:i]
	case strings.HasPrefix(text, "(to "): // (to root) ubuntu on pts/0
		target, rest, ok := strings.Cut(text[4:], ") ")
		if !ok {
			return
		}
		b.Resource = target
		b.Actor, rest, _ = strings.Cut(rest, " on ")
		b.AddText("tty", rest)
	case strings.HasPrefix(m, "+ "), strings.HasPrefix(m, "- "): // + /dev/pts/0 ubuntu:root
		// The line beside "Successful su" or "FAILED su": no attempt of its own.
		p.act("su.switch", event.OutcomeUnknown)
		if f := strings.Fields(m); len(f) == 3 {
			b.AddText("tty", f[1])
			b.Actor, b.Resource, _ = strings.Cut(f[2], ":")
			b.ResourceType = "user"
		}
		return
	default:
		return
	}
	p.act("su.login", outcome)
	p.class(event.ClassAuthentication, 7)
	b.ResourceType = "user"
}

// cron reads "(root) CMD (command)".
func (p *Parser) cron(m string) {
	who, rest, ok := strings.Cut(strings.TrimPrefix(m, "("), ") ")
	if !ok || !strings.HasPrefix(m, "(") {
		return
	}
	p.b.Actor = who
	p.act("cron.message", event.OutcomeUnknown)
	if cmd, ok := strings.CutPrefix(rest, "CMD ("); ok {
		p.act("cron.command", event.OutcomeUnknown)
		cmd = strings.TrimSpace(strings.TrimSuffix(cmd, ")"))
		p.b.Resource, _, _ = strings.Cut(cmd, " ")
		p.b.ResourceType = "command"
		p.b.AddLabel("command", cmd)
	}
}

// logind reads "New session 1 of user u." and "Removed session 1.".
func (p *Parser) logind(m string) {
	b := &p.b
	m = strings.TrimSuffix(m, ".")
	switch {
	case strings.HasPrefix(m, "New session "):
		p.act("logind.session_open", event.OutcomeUnknown)
		b.Session, b.Actor, _ = strings.Cut(m[len("New session "):], " of user ")
	case strings.HasPrefix(m, "Removed session "):
		p.act("logind.session_close", event.OutcomeUnknown)
		b.Session = m[len("Removed session "):]
	case strings.HasPrefix(m, "Session ") && strings.Contains(m, " logged out"):
		p.act("logind.session_logout", event.OutcomeUnknown)
		b.Session, _, _ = strings.Cut(m[len("Session "):], " ")
	}
}

// accounts reads useradd, groupadd, passwd and their like. Who ran them is not
// in the line: the program is the actor and the account the resource.
func (p *Parser) accounts(program, m string) {
	b := &p.b
	target := func(kind, name string) { b.Resource, b.ResourceType = strings.Trim(name, "'\""), kind }
	name := func(s string) string {
		_, v, _ := strings.Cut(s, "name=")
		v, _, _ = strings.Cut(v, ",")
		return v
	}
	switch {
	case strings.HasPrefix(m, "new user: "):
		p.act("user.create", event.OutcomeSuccess)
		p.class(event.ClassAccountChange, 1)
		target("user", name(m))
	case strings.HasPrefix(m, "failed adding user "):
		p.act("user.create", event.OutcomeFailure)
		p.class(event.ClassAccountChange, 1)
		who, _, _ := strings.Cut(m[len("failed adding user "):], ", ")
		target("user", who)
	case strings.HasPrefix(m, "new group: "):
		p.act("group.create", event.OutcomeSuccess)
		target("group", name(m))
	case strings.HasPrefix(m, "group added to "):
		p.act("group.file_change", event.OutcomeUnknown)
		target("group", name(m))
	case strings.HasPrefix(m, "delete user "):
		p.act("user.delete", event.OutcomeSuccess)
		p.class(event.ClassAccountChange, 6)
		target("user", m[len("delete user "):])
	case strings.HasPrefix(m, "removed group "), strings.HasPrefix(m, "group '") && strings.HasSuffix(m, "removed"):
		p.act("group.delete", event.OutcomeSuccess)
		who := strings.TrimPrefix(strings.TrimPrefix(m, "removed group "), "group ")
		who, _, _ = strings.Cut(who, " ")
		target("group", who)
	case strings.HasPrefix(m, "add '"):
		p.act("group.member_add", event.OutcomeSuccess)
		p.class(event.ClassAccountChange, 99)
		who, to, _ := strings.Cut(m[len("add "):], " to ")
		target("user", who)
		_, to, _ = strings.Cut(to, "group ") // "to group 'g'", "to shadow group 'g'"
		b.AddText("group", strings.Trim(to, "'"))
	case strings.HasPrefix(m, "lock user "), strings.HasPrefix(m, "unlock user "), strings.HasPrefix(m, "change user "):
		verb, who, _ := strings.Cut(m, " user ")
		p.act("user."+verb, event.OutcomeSuccess)
		p.class(event.ClassAccountChange, map[string]uint8{"lock": 9, "unlock": 12, "change": 99}[verb])
		who, rest, _ := strings.Cut(who, "' ")
		target("user", who)
		b.AddText("change", rest)
	default:
		p.act(strings.ToLower(program)+".message", event.OutcomeUnknown)
	}
}
