package generic

import (
	"strings"

	"github.com/tenantwatch/tenantwatch/pipeline/event"
)

// The shapes of values. None of these allocates.

func isIP(s string) bool {
	if len(s) < 3 || len(s) > 45 {
		return false
	}
	dots, colons := 0, 0
	for i := range len(s) {
		switch c := s[i]; {
		case c == '.':
			dots++
		case c == ':':
			colons++
		case c >= '0' && c <= '9':
		case c|0x20 >= 'a' && c|0x20 <= 'f':
			if colons == 0 && dots > 0 {
				return false
			}
		default:
			return false
		}
	}
	return dots == 3 || colons >= 2
}

func isEmail(s string) bool {
	at := strings.IndexByte(s, '@')
	return at > 0 && at < len(s)-1 && len(s) <= 254 && !strings.ContainsAny(s, " \t\n,;<>\"()")
}

func isUUID(s string) bool {
	return len(s) == 36 && s[8] == '-' && s[13] == '-' && s[18] == '-' && s[23] == '-'
}

func isURL(s string) bool {
	i := strings.Index(s, "://")
	return i > 0 && i < 12
}

func digits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}

func isBool(s string) bool {
	switch s {
	case "true", "false", "True", "False", "TRUE", "FALSE", "yes", "no", "Yes", "No", "YES", "NO":
		return true
	}
	return false
}

// looksLikeTime says that a text begins as dates do.
func looksLikeTime(s string) bool {
	return len(s) >= 10 && len(s) <= 64 && (s[4] == '-' && s[7] == '-' && digits(s[:4]) || s[4] == '/' && digits(s[:4]))
}

const (
	goodWords = " success succeed succeeded successful successfully ok okay allow allowed allows accept accepted granted pass passed permit permitted approve" +
		" approved complete completed done valid authenticated authorized noerror true yes y none "
	badWords = " fail fails failed failing failure error errored errors deny denied denies reject rejected block blocked forbid forbidden unauthorized" +
		" unauthenticated invalid refuse refused drop dropped exception aborted timeout unsuccessful false no n incorrect expired bad fraud" +
		" challenge captcha quarantined disallow disallowed "
)

// verdict reads a text as an outcome.
func verdict(s string) event.Outcome {
	if len(s) == 0 || len(s) > 120 {
		return event.OutcomeUnknown
	}
	good, bad, n := 0, 0, 0
	start := -1
	see := func(end int) {
		if start < 0 {
			return
		}
		n++
		if w := s[start:end]; len(w) <= 20 {
			if InList(badWords, w) {
				bad++
			} else if InList(goodWords, w) {
				good++
			}
		}
		start = -1
	}
	for i := range len(s) {
		c := s[i]
		letter := c|0x20 >= 'a' && c|0x20 <= 'z'
		switch {
		case !letter:
			see(i)
		case start < 0:
			start = i
		case c >= 'A' && c <= 'Z' && s[i-1] >= 'a' && s[i-1] <= 'z':
			see(i)
			start = i
		}
	}
	see(len(s))
	switch {
	case good > 0 && bad == 1 && n >= 2 && containsFold(s, "no") && containsFold(s, "error"):
		return event.OutcomeSuccess
	case bad == 2 && n == 2 && (containsFold(s, "no error") || containsFold(s, "no_error")):
		return event.OutcomeSuccess
	case n == 3 && containsFold(s, "no_error"): // LOGIN_NO_ERROR
		return event.OutcomeSuccess
	case bad > 0:
		return event.OutcomeFailure
	case good > 0 && n <= 4:
		return event.OutcomeSuccess
	}
	return event.OutcomeUnknown
}

// InList says whether w stands in a list of lower-case words between spaces.
func InList(list, w string) bool {
	for i := 0; i+len(w)+2 <= len(list); {
		j := strings.IndexByte(list[i+1:], ' ')
		if j < 0 {
			return false
		}
		if j == len(w) && strings.EqualFold(list[i+1:i+1+j], w) {
			return true
		}
		i += j + 1
	}
	return false
}

func containsFold(s, sub string) bool {
	for i := 0; i+len(sub) <= len(s); i++ {
		if strings.EqualFold(s[i:i+len(sub)], sub) {
			return true
		}
	}
	return false
}

// actionVerdict looks in the name of an action for how it went: login_failed,
// UserLoginFailed, policy.evaluate_sign_on.denied.
func actionVerdict(s string) event.Outcome {
	for _, w := range [...]string{"failed", "failure", "denied", "unsuccessful", "blocked", "rejected", "invalid", "_fail", "fail_", "error"} {
		if containsFold(s, w) {
			return event.OutcomeFailure
		}
	}
	for _, w := range [...]string{"success", "succeeded", "accepted", "completed"} {
		if containsFold(s, w) {
			return event.OutcomeSuccess
		}
	}
	return event.OutcomeUnknown
}
