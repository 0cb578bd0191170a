package generic

import (
	"strings"

	"github.com/tenantwatch/tenantwatch/collector/parse/doc"
)

// role is a part a value may play in an event.
type role uint8

const (
	roleTime role = iota
	roleActor
	roleAction
	roleOutcome
	roleError
	roleAddress
	roleAgent
	roleCountry
	roleCity
	roleLat
	roleLon
	roleASN
	roleSession
	roleDevice
	roleResource
	roleResourceType
	roleMethod
	roleStatus
	rolePath
	roleBytesIn
	roleBytesOut
	roleDuration
	roleSeverity
	roleCohort
	roleService
	roles
)

// place is what a place says about the values that stand there, whatever they
// are: the weight for each role by the words of its keys; 0 is no candidate.
type place struct {
	weight  [roles]int16
	last    string // the last word of the key
	acting  bool   // the value or the object around it names who acts
	passive bool   // … what is acted upon
}

// Words that say who or what an object describes. acting ones name who does
// something, passive ones to whom or what it is done, or what was asked.
var (
	acting = weigh(30, `actor initiator initiated performed performer by caller principal requester requestor operator author creator impersonator
		sender pusher invoked triggered admin administrator identity submitter committer issuer logged executor editor approver authenticated`)
	passive = weigh(1, `target targets object affected new old recipient receiver to added removed invitee invited assignee assigned grantee granted
		resource entity destination dest dst previous before after modified changed deleted group role team org organization workspace tenant
		project repo repository bucket file folder device host app application policy rule link
		item content page document label tag value post pre member members queue vault customer installation canary`)
	asked = weigh(1, `parameter parameters params request response details payload body setting settings properties property config
		configuration delta changes evidence header headers debug raw extra custom additional commit commits head`)

	timeLast = weigh(50, `time timestamp ts datetime date epoch`).and(42, `created occurred published recorded generated happened observed detected
		raised logged when started start at on effective utc creation @timestamp clock`)
	timeGood = weigh(12, `event occurred created published activity action log logged original happened recorded message generated effective creation utc`).
			and(5, `start started begin request requested detected observed query stage`)
	timeBad = weigh(20, `received ingest ingested ingestion parse parsed index indexed processed processing collected insertion inserted delivered sent stored
			loaded exported retrieved`).and(15, `updated update modified changed last first seen end ended completed finish finished login session`).
		and(45, `expire expires expiry expiration until due valid not after before renew birth next scheduled retention deadline old new previous
		deleted elapsed duration timeout took uptime zone offset pwd password days hours minutes seconds ms millis interval ttl count timeline`)

	actorID = weigh(22, `email mail upn username principal alternate arn`).and(18, `user login`).and(14, `actor admin administrator operator
		requester requestor caller initiator performer author creator sender pusher by member owner identity employee person account subject customer
		impersonator submitter committer`).and(10, `name display displayname fullname nickname`).and(6, `id uid gid uuid identifier number sid key`)
	actorWho  = weigh(16, `user username login account member person employee upn email subject owner staff colleague`)
	actorNone = weigh(1, `type role roles status state kind url uri href link avatar picture image ip addr agent ua country city region location phone group groups
		domain count version verified enabled active level class category session token hash mfa factor title description reason zone timezone lang
		language scope scopes permission permissions at time date timestamp is has browser os platform port method code event action message
		department locale password pwd address object tag policy setting path host hostname device`)

	actionLast = weigh(46, `action operation verb activity`).and(44, `event op command api`).and(30, `type method`).and(16, `name title rule alert
		category kind label code query`).and(12, `message description reason summary detail`)
	actionGood = weigh(16, `event action operation activity api method audit`).and(4, `name type simple legacy`)
	actionNone = weigh(1, `actor user target resource object content entity device client source auth authentication token mime media file session account
		identity log member os platform browser time id uuid uid count status result date principal subject caller request response origin
		network protocol transport ip at version class schema key data credential evidence host instance record timestamp org organization
		outcome workload level factor login uri url path`)

	outcomeLast = weigh(50, `outcome result success succeeded successful`).and(46, `status disposition verdict decision`).and(44, `failed failure denied
		allowed blocked granted authorized ok passed`).and(30, `action response state resolution effect`).and(20, `category`)
	errorLast = weigh(30, `error errors exception failure errorcode errormessage`)

	addrIs   = weigh(24, `ip ips addr address ipaddress ipv4 ipv6 aip`).and(14, `client remote src source caller origin peer forwarded requester host from`)
	addrWho  = weigh(18, `client remote src source caller actor user origin requester peer login request external forwarded real public access xff`)
	addrNone = weigh(34, `dst dest destination target server local internal private listener bind nat proxy gateway dns answer answers rdata allow list range
		cidr old new previous resource auth router interface mac email edge upstream entry lan object scope value subnet eni elb`)

	sessionLast = weigh(30, `session sid`)
	resourceOf  = weigh(40, `target`).and(36, `resource object`).and(30, `entity item`).and(24, `file document page repo repository bucket vault dataset
		table project channel database secret envelope asset artifact application app policy rule dashboard workspace folder path`)
	resourceAttr = weigh(12, `name path arn self uri full`).and(9, `id identifier key`).and(8, `email title`)
	resourceNone = weigh(30, `type kind status state ip addr agent region version count at time date created updated hash size class role platform new old value
		zone country account subscription tenant location provider`)
)

// study weighs a place for all roles by the words of its keys.
func study(p *doc.Place) *place {
	k := &place{}
	key := words(p.Key)
	if len(key) == 0 { // an element of a list, or a key of signs only
		return k
	}
	num := true
	for i := range len(p.Key) {
		num = num && p.Key[i] >= '0' && p.Key[i] <= '9'
	}
	if num && p.Up != nil && p.Up.Depth > 0 {
		up := known(p.Up)
		*k = *up
		k.weight[roleActor] -= 8
		for i := range k.weight {
			if k.weight[i] > 0 {
				k.weight[i] = max(k.weight[i]-int16(2*(p.Key[0]-'0'))-1, 1)
			}
		}
		return k
	}
	k.last = key[len(key)-1]
	var around []string // the words of the objects around, nearest last
	for up := p.Up; up != nil && up.Depth > 0; up = up.Up {
		around = append(around, words(up.Key)...)
	}
	near := []string(nil)
	if p.Up != nil && p.Up.Depth > 0 {
		near = words(p.Up.Key)
	}
	all := append(append([]string(nil), around...), key...)
	k.acting = acting.any(all)
	k.passive = passive.any(all) && !acting.any(key)
	depth := 4 * (p.Depth - 1)
	if anyOf("enrichment enriched any", all) {
		return k // what another tool looked up or gathered from the record
	}
	set := func(r role, w int) { k.weight[r] = int16(max(w, 0)) }
	inside := func(list string) bool { return anyOf(list, around) }

	// Time.
	if w := timeLast[k.last]; w > 0 || timeLast.best(key) >= 42 {
		if w == 0 {
			w = timeLast.best(key) - 20
		}
		if len(key) == 1 && w < 46 && k.last != "created" && k.last != "published" && k.last != "timestamp" {
			w -= 8
		}
		w += timeGood.best(key) - timeBad.best(key) - depth
		if len(key) == 1 && timeLast[k.last] == 50 {
			w += 10
		}
		if inside("user actor target object resource session credential attributes details new old issue canary") {
			w -= 14
		}
		if inside("p") || key[0] == "p" {
			w -= 12
		}
		set(roleTime, w)
	}
	k.actor(key, near, around, depth, set)
	k.action(key, near, around, depth, set)

	// Outcome.
	if w := outcomeLast[k.last]; w > 0 {
		w -= depth * 3 / 4
		if passive.any(around) || asked.any(around) && !inside("response properties result") || anyOf(`user device account verification job stage issue order mfa`, all) {
			w -= 24
		}
		if inside("response result outcome status") {
			w += 6
		}
		set(roleOutcome, w)
	}
	if errorLast.any(key) || inside("error") && (k.last == "code" || k.last == "message") {
		w := 30 - depth
		if inside("params request body new old") {
			w -= 20
		}
		if anyOf("count rate number percent", key) {
			w = 0
		}
		set(roleError, w)
	}
	// Address.
	if w := addrIs.best(key); w > 0 {
		who := addrWho.best(all)
		w += who - addrNone.best(all) - depth/2
		if len(key) <= 2 && p.Depth == 1 {
			w += 4
		}
		set(roleAddress, w)
	} else if addrIs.best(near) >= 24 {
		set(roleAddress, 20+addrWho.best(all)-addrNone.best(all)-depth/2)
	} else if addrWho.any(key) {
		set(roleAddress, 12-addrNone.best(all))
	}
	simple(k, key, near, around, depth, set)
	return k
}

// actor weighs a place for naming who acted.
func (k *place) actor(key, near, around []string, depth int, set func(role, int)) {
	n := len(key)
	if actorNone[k.last] > 0 || n > 1 && key[0] == "is" || contains(key, "agent") || contains(key, "session") || k.last == "ip" {
		if !(k.last == "address" && n > 1 && (key[n-2] == "email" || key[n-2] == "mail")) {
			return
		}
	}
	attr := actorID[k.last]
	if k.last == "address" {
		attr = 22
	}
	who := actorWho.best(key)
	ctx := actorWho.best(around)
	act := acting.best(key)
	actCtx := acting.best(around)
	if attr == 0 && act == 0 {
		return
	}
	if attr <= 10 && who == 0 && act == 0 && ctx == 0 && actCtx == 0 { // a plain name or id of nobody in particular
		return
	}
	w := attr + max(who, ctx) + max(act, actCtx) - depth*3/4
	if act == 0 && (passive.any(key) || anyOf("source", key) && attr <= 10) {
		w -= 34
	}
	if actCtx == 0 && act == 0 && passive.any(around) {
		w -= 30
	} else if passive.any(near) && !acting.any(near) {
		w -= 24
	}
	if asked.any(around) {
		w -= 12
	}
	if actCtx > 0 && passive.any(key) {
		w -= 12
	}
	if anyOf("old new pre post previous before after", around) {
		w -= 24
	}
	if contains(key, "org") || contains(key, "organization") || contains(key, "app") || contains(key, "application") || contains(key, "first") || contains(key, "family") || contains(key, "given") || contains(key, "last") {
		w -= 20
	}
	if k.last == "key" || contains(key, "trace") || contains(key, "request") && k.last == "id" || contains(key, "correlation") || contains(key, "event") {
		w -= 24
	}
	set(roleActor, w)
}

// action weighs a place for saying what was done.
func (k *place) action(key, near, around []string, depth int, set func(role, int)) {
	w := actionLast[k.last]
	n := len(key)
	if n == 1 && len(near) > 0 && (k.last == "tag" || k.last == "value" || k.last == "display" || k.last == "code") {
		// {"event_type":{".tag":"x"}}: the value of the object around it.
		if up := actionLast[near[len(near)-1]]; up > 30 || up == 30 && actionGood.any(near) {
			w, key, n = up, near, len(near)
			around = around[:max(len(around)-len(near), 0)]
		}
	}
	if w == 0 {
		return
	}
	if n > 1 {
		before := key[:n-1]
		if good := actionGood.best(before); good > 0 {
			w += good
		} else if actionNone.any(before) {
			w -= 34
		} else {
			w -= 6
		}
	}
	if k.last == "code" && n == 1 {
		w -= 6
	}
	if n == 1 && (k.last == "type" || k.last == "name" || k.last == "method") && actionGood.any(near) {
		w += 18
	}
	switch {
	case asked.any(around) || passive.any(around) || acting.any(around) || anyOf("user client source identity auth authentication", around):
		w -= 30
	case len(around) > 0:
		w -= depth / 2
	}
	if k.last == "type" && n == 1 && len(around) == 0 {
		w += 2
	}
	set(roleAction, w)
}

// simple weighs a place for the roles that few words decide.
func simple(k *place, key, near, around []string, depth int, set func(role, int)) {
	joined := strings.Join(key, " ")
	whole := joined
	if len(near) > 0 {
		whole = strings.Join(near, " ") + " " + joined
	}
	server := addrNone.any(key) || anyOf("target dest dst destination server resource", around)
	has := func(words ...string) bool {
		for _, w := range words {
			if !contains(key, w) {
				return false
			}
		}
		return true
	}
	switch {
	case has("user", "agent"), k.last == "ua", k.last == "browser" && !has("type"):
		w := 40 - depth
		if k.last == "browser" {
			w -= 14
		}
		if strings.Contains(joined, "raw") {
			w += 6
		}
		set(roleAgent, w)
	}
	if !server {
		switch {
		case has("country") && !anyOf("area call calling origin", key):
			set(roleCountry, 40-depth+6*b2i(has("code"))-10*b2i(has("name")))
		case k.last == "city", joined == "city name":
			set(roleCity, 40-depth)
		case k.last == "lat", k.last == "latitude":
			set(roleLat, 40-depth)
		case k.last == "lon", k.last == "lng", k.last == "longitude", k.last == "long":
			set(roleLon, 40-depth)
		case k.last == "asn", has("autonomous", "number"), has("as", "number"):
			set(roleASN, 40-depth)
		}
	}
	if sessionLast.any(key) && (k.last == "id" || k.last == "uuid" || k.last == "key" || k.last == "session" || k.last == "sid") && !has("type") {
		set(roleSession, 30-depth)
	}
	if (k.last == "hostname" || has("device") && (k.last == "id" || k.last == "name" || k.last == "device") || has("host") && (k.last == "name" || k.last == "identifier" || len(key) == 1) ||
		k.last == "computer" || has("machine", "name")) && !anyOf("http request target url dest dst", append(key, around...)) {
		set(roleDevice, 30-depth)
	}
	if of := max(resourceOf.best(key), resourceOf.best(near)); of > 0 && !resourceNone.any(key) && !acting.any(key) && !acting.any(around) {
		attr := resourceAttr[k.last]
		if len(key) == 1 || resourceOf[k.last] > 0 {
			attr = max(attr, 10)
		}
		if attr > 0 {
			w := of + attr - depth*3/4
			if asked.any(around) {
				w -= 10
			}
			if anyOf("location context security client geo", around) {
				w -= 30
			}
			set(roleResource, w)
		}
	}
	if k.last == "type" || k.last == "kind" {
		if of := max(resourceOf.best(key), resourceOf.best(near)); of > 0 && !acting.any(around) {
			set(roleResourceType, of-depth)
		}
	}
	switch whole {
	case "http method", "request method", "client request method", "http request method", "http request http method", "http request request method":
		set(roleMethod, 40-depth/2)
	default:
		if k.last == "method" {
			set(roleMethod, 24-depth)
		}
	}
	if anyOf("status code", key) && (has("status") || has("code", "response") || has("code") && anyOf("response http", around)) {
		set(roleStatus, 30-depth/2+8*b2i(has("http") || has("code"))-20*b2i(anyOf("origin cache sub error", key)))
	}
	if (k.last == "path" || k.last == "uri" || k.last == "url") && !anyOf("file home base root referer referrer cwd image avatar self", key) {
		w := 26 - depth/2 - 10*b2i(k.last == "url")
		if anyOf("http request client", append(append([]string(nil), key...), around...)) {
			w += 12
		}
		set(rolePath, w)
	}
	if has("bytes") || k.last == "size" && anyOf("body response request", key) {
		switch {
		case anyOf("sent out response body tx", key):
			set(roleBytesOut, 30-depth)
		case anyOf("received in request rx read", key):
			set(roleBytesIn, 30-depth)
		case len(key) == 1:
			set(roleBytesOut, 20-depth)
		}
	}
	if (k.last == "ms" || k.last == "millis") && anyOf("duration elapsed latency took time", key) {
		set(roleDuration, 30-depth)
	}
	if k.last == "severity" || has("severity", "level") || has("severity", "label") {
		set(roleSeverity, 40-depth)
	}
	if (k.last == "role" || k.last == "group" || k.last == "department") && (acting.any(around) || anyOf("user identity", near)) {
		set(roleCohort, 30-depth)
	}
	if anyOf("service application app product system workload program", key) && (len(key) == 1 || k.last == "name") || len(key) == 2 && key[0] == "event" && key[1] == "source" ||
		k.last == "aid" || anyOf("account organization org tenant workspace subscription customer", key) && (k.last == "id" || k.last == "name" || len(key) == 1) {
		w := 20 - depth
		if anyOf("service application app product system program", key) {
			w += 10
		}
		set(roleService, w)
	}
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

func contains(list []string, w string) bool {
	for _, x := range list {
		if x == w {
			return true
		}
	}
	return false
}

// known is study, remembered at the place.
func known(p *doc.Place) *place {
	if k, ok := p.Known.(*place); ok {
		return k
	}
	k := study(p)
	p.Known = k
	return k
}

// anyOf says whether any of the words is in a list written with spaces.
func anyOf(list string, words []string) bool {
	for len(list) > 0 {
		var w string
		w, list, _ = strings.Cut(list, " ")
		if w != "" && contains(words, w) {
			return true
		}
	}
	return false
}
