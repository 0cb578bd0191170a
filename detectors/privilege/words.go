package privilege

import (
	"strings"
	"unicode"
)

// The kinds of acts that change who may do what, or who would see it. Never
// renumber: they are in checkpoints.
const (
	grant = iota
	credential
	account
	factor
	tamper
	exposure
	compute
	secret
	destroy
	weak // a sign-in without a second factor
	kinds
)

// kindInfo says what a kind is called, its technique, and how often somebody
// who never did it is believed to do it in an hour in which he does anything,
// before the tenant has shown its own.
var kindInfo = [kinds]struct {
	name, technique string
	rate            float64
}{
	grant:      {"granted rights", "T1098.003", 0.003},
	credential: {"made or changed a credential", "T1098.001", 0.003},
	account:    {"made an account", "T1136", 0.002},
	factor:     {"removed a second factor", "T1556.006", 0.0007},
	tamper:     {"switched off logging or monitoring", "T1562.008", 0.0007},
	exposure:   {"opened something to the outside", "T1537", 0.002},
	compute:    {"changed or started running code", "T1578", 0.008},
	secret:     {"read secrets", "T1552", 0.008},
	destroy:    {"destroyed data or its protection", "T1485", 0.002},
	weak:       {"signed in without a second factor", "T1078", 0.01},
}

func set(words string) map[string]bool {
	m := make(map[string]bool)
	for _, w := range strings.Fields(words) {
		m[w] = true
	}
	return m
}

// rule: an action that has one of the verbs and one of the objects is of the
// kind, unless it has one of the words of but. Words are matched whole, after
// the action was cut at punctuation and capitals, in the singular.
type rule struct {
	kind               int
	verbs, things, but map[string]bool
}

const (
	makes   = "create add put attach grant assign enable register new insert set upload import generate issue update change modify invite make promote elevate edit allow"
	unmakes = "disable deactivate delete remove reset stop suspend bypass detach unenroll unregister revoke clear purge disassociate terminate turnoff off exempt"
)

// rules are tried in order; the first that fits names the kind.
var rules = []rule{
	{factor, set(unmakes + " skip"), set("mfa factor 2fa otp totp authenticator twofactor webauthn u2f sms"), nil},
	{tamper, set(unmakes + " update"), set("log logging trail cloudtrail audit auditlog flowlog guardduty macie detector alarm siem syslog recorder monitoring monitor sink securityhub defender edr retention querylog querylogging eventselector"), set("login logon logout logoff blog catalog get list describe view read search export user member")},
	{tamper, set("put update set"), set("eventselector eventselectors"), nil},
	{credential, set(makes + " rotate reset"), set("key apikey accesskey token pat secret credential password passwd loginprofile certificate cert keypair publickey sshkey trustanchor anchor saml idp oauth"), set("get list describe view verify use value")},
	{exposure, set("modify share put authorize open publish make update set create add enable change"), set("snapshot image ami ingress bucketpolicy bucketacl public sharelink anonymous external acl publicaccess publicaccessblock forwarding autoforward"), set("describe get list view docker")},
	{exposure, set("delete remove disable"), set("publicaccessblock firewall waf"), nil},
	{secret, set("get read view list reveal export decrypt describe batchget download show"), set("secret secretvalue passworddata parameter password credential keyvault vault recovery userdata privatekey instanceattribute"), set("policy reset change")},
	{account, set("create add invite register new provision"), set("user account member serviceaccount principal guest collaborator contact_user iamuser"), set("key group role view contact card")},
	{grant, set(makes), set("role policy permission admin administrator privilege privileged group scope entitlement rbac owner binding assumerole delegation sudo superuser right membership collaborator"), set("view get list describe retention bucket deployment")},
	{compute, set("run start update create send modify put invoke execute publish register launch deploy"), set("instance functioncode functionconfiguration function layer layerversion sshpublickey command session userdata script lambda job runbook automation container pod serialconsole sshkey"), set("view get describe list login signin report status")},
	{destroy, set("delete destroy purge wipe terminate schedule"), set("snapshot backup vault bucket keydeletion database dbinstance dbcluster volume recoverypoint lifecycle table repository repo project tenant organization org"), set("view")},
}

// words cuts an action at punctuation and capitals: "iam:CreateAccessKey" is
// iam, create, access, key; joined neighbours are words as well ("accesskey").
func words(action string) []string {
	var list []string
	start := -1
	rs := []rune(action)
	flush := func(i int) {
		if start >= 0 && i > start {
			list = append(list, strings.ToLower(string(rs[start:i])))
		}
		start = -1
	}
	for i, r := range rs {
		letter := unicode.IsLetter(r)
		switch {
		case !letter && !(unicode.IsDigit(r) && start >= 0):
			flush(i)
		case start < 0:
			start = i
		case unicode.IsUpper(r) && (unicode.IsLower(rs[i-1]) || i+1 < len(rs) && unicode.IsLower(rs[i+1])):
			flush(i)
			start = i
		case unicode.IsDigit(r) && !unicode.IsDigit(rs[i-1]) && i+1 < len(rs) && unicode.IsDigit(rs[i+1]):
			flush(i) // a version: UpdateFunctionCode20150331v2
			start = i
		}
	}
	flush(len(rs))
	n := len(list)
	for i := range n {
		if i+1 < n {
			list = append(list, list[i]+list[i+1])
		}
		if i+2 < n {
			list = append(list, list[i]+list[i+1]+list[i+2])
		}
	}
	for i, w := range list {
		if len(w) > 4 && strings.HasSuffix(w, "ies") {
			list[i] = w[:len(w)-3] + "y"
		} else if len(w) > 3 && w[len(w)-1] == 's' && w[len(w)-2] != 's' {
			list[i] = w[:len(w)-1]
		}
	}
	return list
}

// verbForms bring "created", "creation" and "granting" to the verb.
var verbForms = map[string]string{
	"created": "create", "creation": "create", "added": "add", "addition": "add", "granted": "grant", "enabled": "enable", "disabled": "disable",
	"deactivated": "deactivate", "deactivation": "deactivate", "deleted": "delete", "deletion": "delete", "removed": "remove", "removal": "remove",
	"updated": "update", "changed": "change", "assigned": "assign", "assignment": "assign", "attached": "attach", "stopped": "stop", "rotated": "rotate",
	"generated": "generate", "issued": "issue", "registered": "register", "invited": "invite", "shared": "share", "sharing": "share", "unenrolled": "unenroll",
	"enroll": "register", "elevated": "elevate", "promoted": "promote", "viewed": "view", "exported": "export", "started": "start", "deployed": "deploy",
	"elevation": "elevate", "modified": "modify", "uploaded": "upload", "purged": "purge", "revoked": "revoke", "suspended": "suspend", "bypassed": "bypass",
}

// classify is the kind of an action, or -1.
func classify(action string) int {
	ws := words(action)
	for i, w := range ws {
		if v, ok := verbForms[w]; ok {
			ws[i] = v
		}
	}
	any := func(m map[string]bool) bool {
		for _, w := range ws {
			if m[w] {
				return true
			}
		}
		return false
	}
	for _, r := range rules {
		if any(r.verbs) && any(r.things) && !any(r.but) {
			return r.kind
		}
	}
	return -1
}

// offboards reports whether an action ends an account.
func offboards(action string) bool {
	end, who, not := false, false, false
	for _, w := range words(action) {
		if v, ok := verbForms[w]; ok {
			w = v
		}
		switch w {
		case "delete", "disable", "deactivate", "suspend", "offboard", "deprovision":
			end = true
		case "user", "account", "member", "serviceaccount":
			who = true
		case "key", "mfa", "factor", "token", "policy", "group", "profile", "2fa", "otp", "loginprofile", "permission":
			not = true
		}
	}
	return end && who && !not
}
