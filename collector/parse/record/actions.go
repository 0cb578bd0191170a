package record

import (
	"strings"

	"github.com/tenantwatch/tenantwatch/pipeline/event"
)

// ActionWord is a row of the published table that gives an action its class
// when the event brings no class_uid. Words are tokens that must all occur in
// the action, in any order.
type ActionWord struct {
	Words    []string
	Class    event.Class
	Activity uint8 // OCSF activity_id in Class
}

func row(words string, class event.Class, activity uint8) ActionWord {
	return ActionWord{strings.Fields(words), class, activity}
}

// ActionWords is the published table, part of the product's contract: the
// first row whose words all occur in an action decides. An action is split
// into lower-case tokens at everything that is no letter or digit and where a
// capital follows a small letter: "ConsoleLogin", "console.login" and
// "console-login" are the same. The activity numbers are OCSF 1.8's. It must
// not be changed at run time.
func ActionWords() []ActionWord { return actionWords }

var actionWords = []ActionWord{
	// HTTP requests: http.get and the like.
	row("http connect", event.ClassHTTPActivity, 1),
	row("http delete", event.ClassHTTPActivity, 2),
	row("http get", event.ClassHTTPActivity, 3),
	row("http head", event.ClassHTTPActivity, 4),
	row("http options", event.ClassHTTPActivity, 5),
	row("http post", event.ClassHTTPActivity, 6),
	row("http put", event.ClassHTTPActivity, 7),
	row("http trace", event.ClassHTTPActivity, 8),
	row("http patch", event.ClassHTTPActivity, 9),
	row("http request", event.ClassHTTPActivity, 99),

	// Changes of an account's factors and secrets.
	row("mfa enable", event.ClassAccountChange, 10),
	row("mfa enabled", event.ClassAccountChange, 10),
	row("mfa enroll", event.ClassAccountChange, 10),
	row("mfa add", event.ClassAccountChange, 10),
	row("mfa disable", event.ClassAccountChange, 11),
	row("mfa disabled", event.ClassAccountChange, 11),
	row("mfa deactivate", event.ClassAccountChange, 11),
	row("mfa remove", event.ClassAccountChange, 11),
	row("mfa delete", event.ClassAccountChange, 11),
	row("mfa reset", event.ClassAccountChange, 11),
	row("password reset", event.ClassAccountChange, 4),
	row("password", event.ClassAccountChange, 3),
	row("passwd", event.ClassAccountChange, 3),

	// Authentication.
	row("login", event.ClassAuthentication, 1),
	row("log in", event.ClassAuthentication, 1),
	row("logon", event.ClassAuthentication, 1),
	row("log on", event.ClassAuthentication, 1),
	row("signin", event.ClassAuthentication, 1),
	row("sign in", event.ClassAuthentication, 1),
	row("sso", event.ClassAuthentication, 1),
	row("logout", event.ClassAuthentication, 2),
	row("log out", event.ClassAuthentication, 2),
	row("logoff", event.ClassAuthentication, 2),
	row("log off", event.ClassAuthentication, 2),
	row("signout", event.ClassAuthentication, 2),
	row("sign out", event.ClassAuthentication, 2),
	row("mfa", event.ClassAuthentication, 99),
	row("2fa", event.ClassAuthentication, 99),
	row("otp", event.ClassAuthentication, 99),
	row("authenticate", event.ClassAuthentication, 1),
	row("authentication", event.ClassAuthentication, 1),

	// Rights.
	row("grant", event.ClassAccountChange, 7),
	row("assign", event.ClassAccountChange, 7),
	row("revoke", event.ClassAccountChange, 8),
	row("unassign", event.ClassAccountChange, 8),
	row("role add", event.ClassAccountChange, 7),
	row("role remove", event.ClassAccountChange, 8),
	row("role", event.ClassAccountChange, 99),
	row("permission", event.ClassAccountChange, 99),
	row("permissions", event.ClassAccountChange, 99),
	row("privilege", event.ClassAccountChange, 99),

	// Accounts.
	row("user create", event.ClassAccountChange, 1),
	row("user add", event.ClassAccountChange, 1),
	row("user invite", event.ClassAccountChange, 1),
	row("useradd", event.ClassAccountChange, 1),
	row("signup", event.ClassAccountChange, 1),
	row("sign up", event.ClassAccountChange, 1),
	row("account create", event.ClassAccountChange, 1),
	row("user enable", event.ClassAccountChange, 2),
	row("account enable", event.ClassAccountChange, 2),
	row("user disable", event.ClassAccountChange, 5),
	row("user suspend", event.ClassAccountChange, 5),
	row("account disable", event.ClassAccountChange, 5),
	row("user delete", event.ClassAccountChange, 6),
	row("user remove", event.ClassAccountChange, 6),
	row("userdel", event.ClassAccountChange, 6),
	row("account delete", event.ClassAccountChange, 6),
	row("user lock", event.ClassAccountChange, 9),
	row("account lock", event.ClassAccountChange, 9),
	row("user unlock", event.ClassAccountChange, 12),
	row("account unlock", event.ClassAccountChange, 12),
	row("user update", event.ClassAccountChange, 99),

	// Everything else an application does to its objects.
	row("create", event.ClassAPIActivity, 1),
	row("add", event.ClassAPIActivity, 1),
	row("upload", event.ClassAPIActivity, 1),
	row("import", event.ClassAPIActivity, 1),
	row("invite", event.ClassAPIActivity, 1),
	row("delete", event.ClassAPIActivity, 4),
	row("remove", event.ClassAPIActivity, 4),
	row("purge", event.ClassAPIActivity, 4),
	row("update", event.ClassAPIActivity, 3),
	row("edit", event.ClassAPIActivity, 3),
	row("write", event.ClassAPIActivity, 3),
	row("set", event.ClassAPIActivity, 3),
	row("move", event.ClassAPIActivity, 3),
	row("rename", event.ClassAPIActivity, 3),
	row("share", event.ClassAPIActivity, 3),
	row("restore", event.ClassAPIActivity, 3),
	row("enable", event.ClassAPIActivity, 3),
	row("disable", event.ClassAPIActivity, 3),
	row("download", event.ClassAPIActivity, 2),
	row("read", event.ClassAPIActivity, 2),
	row("view", event.ClassAPIActivity, 2),
	row("open", event.ClassAPIActivity, 2),
	row("list", event.ClassAPIActivity, 2),
	row("get", event.ClassAPIActivity, 2),
	row("search", event.ClassAPIActivity, 2),
	row("query", event.ClassAPIActivity, 2),
	row("export", event.ClassAPIActivity, 2),
}

// Classify gives the class and activity of an action by ActionWords, or
// unknown and 0.
func Classify(action string) (event.Class, uint8) {
	var stack [16]string
	tokens := appendTokens(stack[:0], action)
rows:
	for i := range actionWords {
		for _, w := range actionWords[i].Words {
			if !contains(tokens, w) {
				continue rows
			}
		}
		return actionWords[i].Class, actionWords[i].Activity
	}
	return event.ClassUnknown, 0
}

func contains(tokens []string, w string) bool {
	for _, t := range tokens {
		if t == w {
			return true
		}
	}
	return false
}

// appendTokens splits an action as ActionWords describes; at most 16 tokens.
func appendTokens(dst []string, action string) []string {
	start := -1
	flush := func(end int) {
		if start >= 0 && len(dst) < 16 {
			dst = append(dst, strings.ToLower(action[start:end]))
		}
		start = -1
	}
	for i := range len(action) {
		c := action[i]
		word := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c >= 0x80
		switch {
		case !word:
			flush(i)
		case start < 0:
			start = i
		case c >= 'A' && c <= 'Z' && action[i-1] >= 'a' && action[i-1] <= 'z':
			flush(i)
			start = i
		}
	}
	flush(len(action))
	return dst
}

// Classifier remembers the classes of the actions of one stream, which are
// few. The zero value is ready; it never holds more than 1,024 actions.
type Classifier struct{ known map[string]classed }

type classed struct {
	class    event.Class
	activity uint8
}

// Of is Classify, remembered.
func (c *Classifier) Of(action string) (event.Class, uint8) {
	if k, ok := c.known[action]; ok {
		return k.class, k.activity
	}
	class, activity := Classify(action)
	if c.known == nil {
		c.known = make(map[string]classed)
	}
	if len(c.known) < 1024 && len(action) <= 128 {
		c.known[strings.Clone(action)] = classed{class, activity}
	}
	return class, activity
}
