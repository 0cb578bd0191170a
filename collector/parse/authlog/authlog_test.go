package authlog

import (
	"strings"
	"testing"
	"time"

	"github.com/tenantwatch/tenantwatch/collector/parse/record/recordtest"
)

func TestParse(t *testing.T) {
	p := New()
	// f reads a message of a program behind the usual header; want leaves out
	// what is the same for all.
	f := func(program, message, want string) {
		t.Helper()
		got := recordtest.Show(t, p, recordtest.Env(), "Mar  1 09:15:02 web1 "+program+": "+message)
		got = strings.Replace(got, `{"time":"2026-03-01T09:15:02Z","class_uid":`, "", 1)
		got = strings.Replace(got, `,"source":"web1"`, "", 1)
		got = strings.Replace(got, `,"flags":["year_assumed"]}`, "", 1)
		got = strings.Replace(got, `"outcome":"unknown",`, "", 1)
		if got != want {
			t.Fatalf("%s: %s\n got %s\nwant %s", program, message, got, want)
		}
	}
	f("sshd[7]", "Accepted publickey for ubuntu from 203.0.113.7 port 54259 ssh2: RSA SHA256:abc",
		`3002,"activity":1,"action":"ssh.login","outcome":"success","actor":"ubuntu","actor_type":"user","src_ip":"203.0.113.7",`+
			`"labels":{"pid":"7","auth_method":"publickey","src_port":"54259","key":"RSA SHA256:abc"}`)
	f("sshd[7]", "Failed password for root from 203.0.113.7 port 1 ssh2",
		`3002,"activity":1,"action":"ssh.login","outcome":"failure","actor":"root","actor_type":"user","src_ip":"203.0.113.7",`+
			`"labels":{"pid":"7","auth_method":"password","src_port":"1"}`)
	f("sshd", "Failed password for invalid user admin from 2001:db8::1 port 1 ssh2",
		`3002,"activity":1,"action":"ssh.login","outcome":"failure","actor":"admin","actor_type":"user","src_ip":"2001:db8::1",`+
			`"labels":{"auth_method":"password","invalid_user":"true","src_port":"1"}`)
	// No name was given: the address acted.
	f("sshd", "Failed password for invalid user  from 203.0.113.7 port 1 ssh2",
		`3002,"activity":1,"action":"ssh.login","outcome":"failure","actor":"203.0.113.7","src_ip":"203.0.113.7",`+
			`"labels":{"auth_method":"password","invalid_user":"true","src_port":"1"}`)
	// The attacker chose the name, and tried to forge the address with it.
	f("sshd", "Failed password for invalid user x from 10.0.0.1 port 22 ssh2 from 203.0.113.7 port 1 ssh2",
		`3002,"activity":1,"action":"ssh.login","outcome":"failure","actor":"x from 10.0.0.1 port 22 ssh2","actor_type":"user","src_ip":"203.0.113.7",`+
			`"labels":{"auth_method":"password","invalid_user":"true","src_port":"1"}`)
	// Folded lines are one row that counts.
	f("sshd[7]", "message repeated 5 times: [ Failed password for root from 203.0.113.7 port 1 ssh2]",
		`3002,"activity":1,"action":"ssh.login","outcome":"failure","actor":"root","actor_type":"user","src_ip":"203.0.113.7","count":5,`+
			`"labels":{"pid":"7","auth_method":"password","src_port":"1"}`)
	f("sshd", "Invalid user support from 203.0.113.7",
		`0,"action":"ssh.invalid_user","actor":"support","actor_type":"user","src_ip":"203.0.113.7","labels":{"invalid_user":"true"}`)
	f("sshd", "Invalid user support from 203.0.113.7 port 99",
		`0,"action":"ssh.invalid_user","actor":"support","actor_type":"user","src_ip":"203.0.113.7","labels":{"invalid_user":"true","src_port":"99"}`)
	f("sshd", "input_userauth_request: invalid user support [preauth]",
		`0,"action":"ssh.invalid_user","actor":"support","actor_type":"user","labels":{"invalid_user":"true"}`)
	f("sshd", "error: maximum authentication attempts exceeded for invalid user admin from 203.0.113.7 port 5 ssh2 [preauth]",
		`0,"action":"ssh.max_attempts","actor":"admin","actor_type":"user","src_ip":"203.0.113.7","labels":{"invalid_user":"true","src_port":"5"}`)
	f("sshd", "Connection closed by 203.0.113.7 port 5 [preauth]",
		`0,"action":"ssh.disconnect","actor":"203.0.113.7","src_ip":"203.0.113.7","labels":{"src_port":"5","reason":"connection closed"}`)
	f("sshd", "Connection closed by authenticating user root 203.0.113.7 port 5 [preauth]",
		`0,"action":"ssh.disconnect","actor":"root","actor_type":"user","src_ip":"203.0.113.7","labels":{"src_port":"5","reason":"connection closed"}`)
	f("sshd", "Disconnected from user ubuntu 203.0.113.7 port 5",
		`3002,"activity":2,"action":"ssh.disconnect","actor":"ubuntu","actor_type":"user","src_ip":"203.0.113.7","labels":{"src_port":"5","reason":"disconnected"}`)
	f("sshd", "Received disconnect from 203.0.113.7 port 5:11: disconnected by user",
		`0,"action":"ssh.disconnect","actor":"203.0.113.7","src_ip":"203.0.113.7","labels":{"src_port":"5","reason":"disconnected by user"}`)
	f("sshd", "Disconnecting: Too many authentication failures [preauth]",
		`0,"action":"ssh.disconnect","actor":"sshd","actor_type":"service","labels":{"reason":"Too many authentication failures"}`)
	f("sshd", "Disconnecting authenticating user root 203.0.113.7 port 5: Too many authentication failures [preauth]",
		`0,"action":"ssh.disconnect","actor":"root","actor_type":"user","src_ip":"203.0.113.7","labels":{"src_port":"5","reason":"Too many authentication failures"}`)
	f("sshd", "Did not receive identification string from 203.0.113.7",
		`0,"action":"ssh.probe","actor":"203.0.113.7","src_ip":"203.0.113.7"`)
	f("sshd", "Bad protocol version identification 'GET / from 10.0.0.1 HTTP/1.1' from 203.0.113.7 port 5",
		`0,"action":"ssh.probe","actor":"203.0.113.7","src_ip":"203.0.113.7","labels":{"banner":"'GET / from 10.0.0.1 HTTP/1.1'","src_port":"5"}`)
	f("sshd", "Failed password for root from UNKNOWN port 5 ssh2",
		`3002,"activity":1,"action":"ssh.login","outcome":"failure","actor":"root","actor_type":"user","labels":{"auth_method":"password","invalid.src_ip":"UNKNOWN","src_port":"5"},"flags":["invalid_field","year_assumed"]}`)
	f("sshd", "Server listening on 0.0.0.0 port 22.", `0,"action":"ssh.listen","actor":"sshd","actor_type":"service"`)
	f("sshd", "something new in the next version", `0,"action":"sshd.message","actor":"sshd","actor_type":"service"`)
	f("sshd[7]", "pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost=203.0.113.7  user=root",
		`0,"action":"pam.auth_failure","actor":"root","actor_type":"user","src_ip":"203.0.113.7","labels":{"pid":"7","pam_module":"pam_unix","service":"sshd","tty":"ssh"}`)
	f("sshd", "PAM 5 more authentication failures; logname= uid=0 euid=0 tty=ssh ruser= rhost=203.0.113.7  user=root",
		`0,"action":"pam.more_failures","actor":"root","actor_type":"user","src_ip":"203.0.113.7","labels":{"failures":"5","tty":"ssh"}`)
	f("CRON[9]", "pam_unix(cron:session): session opened for user root(uid=0) by (uid=0)",
		`0,"action":"session.open","actor":"root","actor_type":"user","labels":{"pid":"9","pam_module":"pam_unix","service":"cron"}`)
	f("sudo", "pam_unix(sudo:session): session opened for user root by ubuntu(uid=0)",
		`0,"action":"session.open","actor":"root","actor_type":"user","labels":{"pam_module":"pam_unix","service":"sudo","by":"ubuntu"}`)
	f("sudo", "  ubuntu : TTY=pts/0 ; PWD=/home/ubuntu ; USER=root ; COMMAND=/bin/sh -c echo ; USER=x",
		`0,"action":"sudo.command","outcome":"success","actor":"ubuntu","actor_type":"user","resource":"/bin/sh","resource_type":"command",`+
			`"labels":{"tty":"pts/0","cwd":"/home/ubuntu","run_as":"root","command":"/bin/sh -c echo ; USER=x"}`)
	f("sudo", "mallory : user NOT in sudoers ; TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND=/bin/su",
		`0,"action":"sudo.command","outcome":"failure","actor":"mallory","actor_type":"user","resource":"/bin/su","resource_type":"command",`+
			`"labels":{"reason":"user NOT in sudoers","tty":"pts/0","cwd":"/","run_as":"root","command":"/bin/su"}`)
	f("su[3]", "Successful su for root by ubuntu",
		`3002,"activity":7,"action":"su.login","outcome":"success","actor":"ubuntu","actor_type":"user","resource":"root","resource_type":"user","labels":{"pid":"3"}`)
	f("su", "FAILED SU (to root) mallory on pts/1",
		`3002,"activity":7,"action":"su.login","outcome":"failure","actor":"mallory","actor_type":"user","resource":"root","resource_type":"user","labels":{"tty":"pts/1"}`)
	f("su", "+ /dev/pts/0 ubuntu:root",
		`0,"action":"su.switch","actor":"ubuntu","actor_type":"user","resource":"root","resource_type":"user","labels":{"tty":"/dev/pts/0"}`)
	f("systemd-logind[1]", "New session 12 of user ubuntu.",
		`0,"action":"logind.session_open","actor":"ubuntu","actor_type":"user","session":"12","labels":{"pid":"1"}`)
	f("systemd-logind", "Removed session 12.",
		`0,"action":"logind.session_close","actor":"systemd-logind","actor_type":"service","session":"12"`)
	f("useradd[2]", "new user: name=bob, UID=1001, GID=1001, home=/home/bob, shell=/bin/bash",
		`3001,"activity":1,"action":"user.create","outcome":"success","actor":"useradd","actor_type":"service","resource":"bob","resource_type":"user","labels":{"pid":"2"}`)
	f("useradd", "failed adding user 'bob', data deleted",
		`3001,"activity":1,"action":"user.create","outcome":"failure","actor":"useradd","actor_type":"service","resource":"bob","resource_type":"user"`)
	f("groupadd", "new group: name=ops, GID=1011",
		`0,"action":"group.create","outcome":"success","actor":"groupadd","actor_type":"service","resource":"ops","resource_type":"group"`)
	f("userdel", "delete user 'bob'",
		`3001,"activity":6,"action":"user.delete","outcome":"success","actor":"userdel","actor_type":"service","resource":"bob","resource_type":"user"`)
	f("usermod", "add 'bob' to group 'sudo'",
		`3001,"activity":99,"action":"group.member_add","outcome":"success","actor":"usermod","actor_type":"service","resource":"bob","resource_type":"user","labels":{"group":"sudo"}`)
	f("passwd", "pam_unix(passwd:chauthtok): password changed for bob",
		`3001,"activity":3,"action":"password.change","outcome":"success","actor":"bob","actor_type":"user","resource":"bob","resource_type":"user","labels":{"pam_module":"pam_unix","service":"passwd"}`)
	f("chpasswd", `pam_unix(chpasswd:chauthtok): user "bob" does not exist in /etc/passwd`,
		`3001,"activity":3,"action":"password.change","outcome":"failure","actor":"chpasswd","actor_type":"service","resource":"bob","resource_type":"user","labels":{"pam_module":"pam_unix","service":"chpasswd"}`)
	f("CRON[5]", "(root) CMD (   cd / && run-parts --report /etc/cron.hourly)",
		`0,"action":"cron.command","actor":"root","actor_type":"user","resource":"cd","resource_type":"command","labels":{"pid":"5","command":"cd / && run-parts --report /etc/cron.hourly"}`)
	f("dbus-daemon[8]", "[system] Activating service", `0,"action":"dbus-daemon.message","actor":"dbus-daemon","actor_type":"service","labels":{"pid":"8"}`)
}

func TestHeader(t *testing.T) {
	f := func(line, want string) {
		t.Helper()
		got := recordtest.Show(t, New(), recordtest.Env(), line)
		if !strings.HasPrefix(got, want) {
			t.Fatalf("%s\n got %s\nwant %s", line, got, want)
		}
	}
	// rsyslog's precise times carry the year, so that none is assumed.
	f("2024-02-03T04:05:06.789012+01:00 web1 sshd[1]: Server listening on :: port 22.",
		`{"time":"2024-02-03T03:05:06.789012Z","class_uid":0,"action":"ssh.listen","outcome":"unknown","actor":"sshd","actor_type":"service","source":"web1","labels":{"pid":"1"}}`)
	f("<86>Dec 31 23:59:59 web1 sshd[1]: Server listening on :: port 22.", `{"time":"2025-12-31T23:59:59Z"`)
	f("Mar 32 09:15:02 web1 sshd: x", "error: not an auth.log line")
	f("Mar  1 25:15:02 web1 sshd: x", "error: not an auth.log line")
	f("Foo  1 09:15:02 web1 sshd: x", "error: not an auth.log line")
	f("Mar  1 09:15:02 web1", "error: not an auth.log line")
	f("Mar  1 09:15:02 web1 no colon here", "error: not an auth.log line")
	f("", "error: not an auth.log line")
	env := recordtest.Env()
	env.Source = "stated"
	if got := recordtest.Show(t, New(), env, "Mar  1 09:15:02 web1 sshd: x"); !strings.Contains(got, `"source":"stated","labels":{"host":"web1"}`) {
		t.Fatalf("a stated source did not win: %s", got)
	}
}

func TestYearScan(t *testing.T) {
	now := time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)
	f := func(name string, want int, lines ...string) {
		t.Helper()
		var s YearScan
		for _, l := range lines {
			s.Add(l + " 10:00:00 h sshd: x")
		}
		if got := s.FirstYear(now, time.UTC); got != want {
			t.Fatalf("%s: first year %d, want %d", name, got, want)
		}
	}
	f("all behind us", 2026, "Mar 27", "Apr 20")
	f("the last line lies ahead this year", 2025, "Nov  1", "Dec 31")
	f("over New Year and up to now", 2025, "Nov  1", "Nov 24", "Dec 31", "Jan 15")
	f("two New Years", 2024, "Nov  1", "Jan 15", "Dec 15", "Jan 20")
	f("no line of this kind", 0)
}
