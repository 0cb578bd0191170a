//go:build integration

package e2e

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/tenantwatch/tenantwatch/api"
	"github.com/tenantwatch/tenantwatch/core/access"
)

// shape is what the matrix has to know of an operation beyond the router's
// table. An operation without one fails the proof.
type shape struct {
	query  string         // what a valid request needs
	body   map[string]any // nil: takes none
	id     func(*owner) string
	list   bool // pages with a cursor
	search bool // takes q
	// canary: the answer to its owner holds the canary. Where it holds only
	// figures, figure names the member that has to be exactly the owner's.
	canary bool
	figure string
	// session: it is about the caller's own session and could end it, change it
	// or lock the account: never sent as it is meant.
	session bool
	// fresh names a member of the body that has to be another one each time.
	fresh string
}

func userOf(o *owner) string { return o.userID }

func slugOf(o *owner) string { return o.slug }

func alertOf(o *owner) string { return o.alertID }
func keyOf(o *owner) string   { return o.keyID }
func hookOf(o *owner) string  { return o.hookID }

func logStreamOf(o *owner) string { return o.logStreamID }

func lineOf(o *owner) string        { return o.lineID }
func exportOf(o *owner) string      { return o.exportID }
func backtestOf(o *owner) string    { return o.backtestID }
func suppressionOf(o *owner) string { return o.suppressionID }
func searchOf(o *owner) string      { return o.searchID }

var shapes = map[string]shape{
	"createSession":         {body: map[string]any{"email": "nobody@a.example", "password": "not the right one"}},
	"getSession":            {canary: true},
	"deleteSession":         {session: true},
	"deleteSessions":        {session: true},
	"listSessions":          {session: true},
	"endSession":            {session: true, id: userOf},
	"changePassword":        {session: true, body: map[string]any{"current_password": "not the right one", "new_password": "another one"}},
	"beginTotp":             {session: true, body: map[string]any{"password": "not the right one"}},
	"confirmTotp":           {session: true, body: map[string]any{"code": "123456"}},
	"removeTotp":            {session: true, body: map[string]any{"password": "not the right one", "code": "123456"}},
	"viewAs":                {session: true, body: map[string]any{"reason": "made by the proof"}},
	"endViewAs":             {session: true},
	"listProviders":         {},
	"startOidc":             {session: true},
	"finishOidc":            {session: true},
	"listTrail":             {list: true},
	"listUsers":             {list: true, canary: true},
	"createUser":            {body: map[string]any{"name": "made by the proof", "role": "tenant_auditor"}, fresh: "email"},
	"updateUser":            {id: userOf, body: map[string]any{"name": "made by the proof"}},
	"deleteUser":            {id: userOf, body: map[string]any{}},
	"resetUser":             {id: userOf, body: map[string]any{}},
	"rotateKey":             {id: keyOf, body: map[string]any{}},
	"getUsage":              {},
	"getOverview":           {canary: true}, // names tenants by slug
	"listAlerts":            {list: true, search: true, canary: true},
	"getAlert":              {id: alertOf, canary: true},
	"listAlertEvents":       {id: alertOf, canary: true},
	"triageAlert":           {id: alertOf, body: map[string]any{"status": "in_progress"}},
	"bulkTriage":            {body: map[string]any{"ids": []string{"none"}, "status": "in_progress"}},
	"getSLA":                {canary: true}, // names tenants by slug
	"setSLA":                {body: map[string]any{"targets": []any{}}},
	"listAlertHistory":      {id: alertOf},
	"commentAlert":          {id: alertOf, body: map[string]any{"comment": "made by the proof"}},
	"undoTriage":            {id: alertOf, body: map[string]any{}},
	"listSuppressions":      {list: true, canary: true},
	"createSuppression":     {body: map[string]any{"scope": map[string]any{"action": "made.by.the.proof"}, "until": time.Now().Add(24 * time.Hour).UTC().Format(time.RFC3339), "owner": "proof", "reason": "proof"}},
	"previewSuppression":    {body: map[string]any{"scope": map[string]any{"action": "made.by.the.proof"}}},
	"endSuppression":        {id: suppressionOf, body: map[string]any{}},
	"listHiddenAlerts":      {id: suppressionOf},
	"updateWebhook":         {id: hookOf, body: map[string]any{"min_severity": "informational"}},
	"listAttempts":          {id: hookOf, query: "seq=1"},
	"redeliverWebhook":      {id: hookOf, body: map[string]any{"seqs": []int{1}}},
	"testWebhook":           {id: hookOf, body: map[string]any{}},
	"rotateWebhook":         {id: hookOf, body: map[string]any{}},
	"streamAlerts":          {canary: true},
	"searchEvents":          {list: true, search: true, canary: true},
	"getHistogram":          {query: "q=-source:tenantwatch", search: true, figure: "total"}, // without the platform's own trail
	"getFacets":             {query: "field=actor", search: true, canary: true},
	"listFields":            {},
	"exportEvents":          {query: "format=ndjson", search: true, canary: true},
	"listStreams":           {list: true, canary: true},
	"createStream":          {body: map[string]any{"name": "made by the proof", "kind": "http", "config": map[string]any{"url": "http://127.0.0.1:1/made-by-the-proof"}}},
	"getStream":             {id: logStreamOf, canary: true},
	"updateStream":          {id: logStreamOf, body: map[string]any{"status": "paused"}},
	"deleteStream":          {id: logStreamOf, body: map[string]any{}},
	"listExports":           {list: true, canary: true},
	"createExport":          {body: map[string]any{"format": "csv", "query": "action:login"}},
	"getExport":             {id: exportOf, canary: true},
	"deleteExport":          {id: exportOf, body: map[string]any{}},
	"downloadExport":        {id: exportOf, query: "token=none"},
	"suggestQuery":          {query: "q=actor:", canary: true},
	"explainQuery":          {},
	"getEvent":              {id: func(o *owner) string { return o.canary + "-1" }, canary: true},
	"listEventsAround":      {id: func(o *owner) string { return o.canary + "-1" }, canary: true},
	"getSeen":               {query: "q=-source:tenantwatch", search: true, figure: "events"},
	"getActorDay":           {query: "actor=someone"},
	"diffPeriods":           {query: "before_from=2026-03-01T00:00:00Z&before_to=2026-03-09T00:00:00Z&after_from=2026-03-09T00:00:00Z&after_to=2026-03-20T00:00:00Z", search: true, canary: true},
	"listSearches":          {list: true, canary: true},
	"createSearch":          {body: map[string]any{"name": "made by the proof", "query": "action:login"}},
	"getSearch":             {id: searchOf, canary: true},
	"updateSearch":          {id: searchOf, body: map[string]any{"shared": true}},
	"deleteSearch":          {id: searchOf, body: map[string]any{}},
	"listEntities":          {query: "type=user", list: true, search: true, canary: true},
	"getEntity":             {id: func(o *owner) string { return o.canary + "-u3" }, canary: true},
	"getBaseline":           {query: "type=address&id=198.51.100.1", canary: true},
	"listDetectors":         {},
	"getActivity":           {canary: true},
	"listTenants":           {list: true, canary: true},
	"getTenant":             {id: slugOf, canary: true},
	"renameTenant":          {session: true, id: slugOf, body: map[string]any{"name": "made by the proof"}},
	"deleteTenant":          {session: true, id: slugOf},
	"suspendTenant":         {session: true, id: slugOf, body: map[string]any{}},
	"resumeTenant":          {session: true, id: slugOf, body: map[string]any{}},
	"restoreTenant":         {session: true, id: slugOf, body: map[string]any{}},
	"getTenantSettings":     {id: slugOf, canary: true},
	"updateTenantSettings":  {id: slugOf, body: map[string]any{"alert_budget": 5}},
	"createTenant":          {body: map[string]any{"id": "t-by-the-proof", "name": "Made by the proof"}},
	"listKeys":              {list: true, canary: true},
	"createKey":             {body: map[string]any{"kind": "ingest", "name": "made by the proof"}},
	"deleteKey":             {id: keyOf, body: map[string]any{}},
	"replayAlert":           {id: alertOf},
	"listBacktests":         {canary: true},
	"createBacktest":        {body: map[string]any{"from": "2026-03-01T00:00:00Z", "to": "2026-03-02T00:00:00Z", "name": "made by the proof"}},
	"getBacktest":           {id: backtestOf, canary: true},
	"deleteBacktest":        {id: backtestOf, body: map[string]any{}},
	"listWebhooks":          {list: true, canary: true},
	"createWebhook":         {body: map[string]any{"url": "http://127.0.0.1:1/made-by-the-proof"}},
	"deleteWebhook":         {id: hookOf, body: map[string]any{}},
	"listDeliveries":        {id: hookOf, list: true, canary: true}, // the alert's id
	"listQuarantine":        {list: true, canary: true},
	"listQuarantineGroups":  {canary: true},
	"getQuarantinedLine":    {id: lineOf, canary: true},
	"replayQuarantine":      {body: map[string]any{"source": "nothing-by-the-proof"}},
	"getIngestAccounting":   {canary: true, figure: "stored"},
	"getFindingsAccounting": {},
}

// marks are the strings by which an owner can be known.
func (o *owner) marks() []string {
	return []string{o.canary, o.slug, o.alertID, o.otherID, o.keyID, o.hookID, o.suppressionID, o.searchID, o.backtestID, o.exportID, o.logStreamID, o.lineID, o.userID, o.ingest, o.admin, o.auditor}
}

// leaks finds marks of owners that the caller may not see.
func (w *world) leaks(c caller, h http.Header, body []byte, sent string) (found []string) {
	text := fmt.Sprint(h) + string(body)
	if sent != "" {
		text = strings.ReplaceAll(text, sent, "SENT")
	}
	for i, o := range w.owners {
		if slices.Contains(c.sees, o) {
			continue
		}
		for _, m := range o.marks() {
			if m != "" && strings.Contains(text, m) {
				found = append(found, fmt.Sprintf("tenant %c: %.12s…", 'A'+i, m))
			}
		}
	}
	return found
}

// tally is one line of the table.
type tally struct {
	route                                     api.Route
	requests, pairs, leaks, differs           int
	path, query, body, header, cursor, search int
	refused, control, exact, own              int
}

// prover runs the cells of one route for one caller.
type prover struct {
	w *world
	r api.Route
	s shape
	c caller
	n *tally
}

func (p prover) base() request {
	q, _ := url.ParseQuery(p.s.query)
	body := maps.Clone(p.s.body)
	if p.s.fresh != "" {
		body[p.s.fresh] = random(6) + "@made.example"
	}
	return request{method: p.r.Method, path: p.r.Path, query: q, body: body, header: map[string]string{}, as: p.c, stream: p.r.Operation == "streamAlerts"}
}

// fire sends a request and looks for what must not be in the answer.
func (p prover) fire(r request, sent string) (int, string, []byte) {
	status, h, body := p.w.send(r)
	p.n.requests++
	if found := p.w.leaks(p.c, h, body, sent); len(found) > 0 {
		p.n.leaks++
		p.w.t.Errorf("LEAK %v: %d shows %v\n%.1000s", r, status, found, body)
	}
	if status >= 500 {
		p.w.t.Errorf("%v: %d %s", r, status, body)
	}
	return status, same(status, h, body, sent), body
}

// pair sends the same request with a foreign id and with a missing one: the
// answers have to be equal. kind counts the place where the id stands.
func (p prover) pair(kind *int, foreign, missing string, with func(*request, string)) {
	*kind++
	p.n.pairs++
	a, b := p.base(), p.base()
	with(&a, foreign)
	with(&b, missing)
	sa, ta, _ := p.fire(a, foreign)
	sb, tb, _ := p.fire(b, missing)
	for range 3 { // the platform's own trail grows meanwhile; what tells the two apart does so again
		if ta == tb || p.r.Method != http.MethodGet {
			break
		}
		sa, ta, _ = p.fire(a, foreign)
		sb, tb, _ = p.fire(b, missing)
	}
	if sa < 300 && sb < 300 && p.r.Method != http.MethodGet {
		return // both made something of the caller's own
	}
	if ta != tb {
		p.n.differs++
		x, y := firstDifference(ta, tb)
		p.w.t.Errorf("TOLD APART %v: %d and %d, first in\nforeign: %s\nmissing: %s", a, sa, sb, x, y)
	}
	if sa >= 400 {
		p.n.refused++
	}
}

// firstDifference is the first line in which two answers differ.
func firstDifference(a, b string) (string, string) {
	x, y := strings.Split(a, "\n"), strings.Split(b, "\n")
	for i := range min(len(x), len(y)) {
		if x[i] != y[i] {
			return fmt.Sprintf("%.500s", x[i]), fmt.Sprintf("%.500s", y[i])
		}
	}
	return fmt.Sprintf("%d lines", len(x)), fmt.Sprintf("%d lines", len(y))
}

// like is an id of the same form that does not exist.
func like(id string) string {
	b := []byte(id)
	for i, n := len(b)-1, 0; i >= 0 && n < 6; i-- {
		if b[i] == '-' {
			continue
		}
		n++
		switch c := b[i]; {
		case c == '2':
			b[i] = '3'
		case c >= '0' && c <= '9':
			b[i] = '2'
		case c == 'c':
			b[i] = 'd'
		default:
			b[i] = 'c'
		}
	}
	return string(b)
}

// own names the caller's own tenant where its role has to.
func (p prover) own(r *request) {
	if p.c.single || len(p.c.sees) == 0 {
		return
	}
	switch p.r.Tenancy {
	case api.TenancyOne:
		r.query.Set("tenant_id", p.c.sees[0].slug)
	case api.TenancyWrite:
		r.body["tenant_id"] = p.c.sees[0].slug
	}
}

// run goes through every place where an id can stand.
func (p prover) run() {
	w := p.w
	a, foreign := w.owners[0], w.owners[1:]
	if len(p.c.sees) > 1 {
		foreign = w.owners[2:]
	}
	// As it is meant: for its own things. Writes on an own object are left out,
	// the proof would take away what it needs.
	if !p.s.session && (p.s.id == nil || p.r.Method == http.MethodGet) {
		r := p.base()
		p.own(&r)
		if p.s.id != nil {
			r.path = strings.ReplaceAll(r.path, "{id}", p.s.id(a))
		}
		if r.stream && p.c.single {
			r.header["Last-Event-ID"] = "0"
		}
		status, _, body := p.fire(r, "")
		if !p.r.Public && !p.c.can(p.r.Permission) && status < 400 {
			w.t.Errorf("%v: %d without the permission %s", r, status, p.r.Permission)
		}
		if status < 300 {
			p.n.own++
		} else if !p.r.Public && p.c.role != "" && p.c.role != access.Ingest && p.c.can(p.r.Permission) &&
			!strings.Contains(string(body), "are waiting or running") { // its own, and enough of them
			w.t.Errorf("control: %v: %d %s: the caller is not served its own", r, status, body)
		}
		if p.s.figure != "" && status == 200 {
			p.exactly(body, a)
		}
	}
	for i, o := range foreign {
		if p.s.id != nil {
			p.pair(&p.n.path, p.s.id(o), like(p.s.id(o)), func(r *request, id string) {
				p.own(r)
				r.path = strings.ReplaceAll(r.path, "{id}", id)
			})
			p.pair(&p.n.query, o.slug, w.missing, func(r *request, id string) { // with its own tenant beside it
				r.path = strings.ReplaceAll(r.path, "{id}", p.s.id(o))
				r.query.Set("tenant_id", id)
			})
		}
		here := func(r *request) { r.path = strings.ReplaceAll(r.path, "{id}", p.ownID()) }
		p.pair(&p.n.query, o.slug, w.missing, func(r *request, id string) { here(r); r.query.Set("tenant_id", id) })
		if p.s.body != nil {
			p.pair(&p.n.body, o.slug, w.missing, func(r *request, id string) { here(r); r.body["tenant_id"] = id })
		}
		if i > 0 {
			continue // what follows is about the credential, not about which tenant
		}
		p.headers(o)
		p.lists(o)
	}
}

// ownID is an id for the path of requests whose foreign part is elsewhere. It
// does not exist for writes, which might succeed.
func (p prover) ownID() string {
	if p.s.id == nil {
		return ""
	}
	if id := p.s.id(p.w.owners[0]); p.r.Method == http.MethodGet {
		return id
	}
	return like(p.s.id(p.w.owners[0]))
}

// headers sends foreign values where a proxy or a client might put them.
func (p prover) headers(o *owner) {
	if p.s.session && p.c.cookie != "" {
		return // would end or change the session, whatever the header says
	}
	for _, name := range []string{"X-Tenant-Id", "Forwarded"} {
		p.pair(&p.n.header, o.slug, p.w.missing, func(r *request, id string) {
			p.own(r)
			r.path = strings.ReplaceAll(r.path, "{id}", p.ownID())
			r.header[name] = id
		})
	}
	id := func(r *request) { p.own(r); r.path = strings.ReplaceAll(r.path, "{id}", p.s.id(o)) }
	switch p.r.Operation {
	case "getAlert":
		p.pair(&p.n.header, o.etag, `"999-999"`, func(r *request, tag string) { id(r); r.header["If-None-Match"] = tag })
	case "triageAlert":
		p.pair(&p.n.header, o.etag, `"999-999"`, func(r *request, tag string) { id(r); r.header["If-Match"] = tag })
	case "streamAlerts":
		p.pair(&p.n.header, o.streamID, forged(o.streamID), func(r *request, id string) { r.header["Last-Event-ID"] = id })
	case "createKey", "createWebhook", "createTenant", "createSearch", "createExport", "createStream": // the foreign tenant used the first one already
		p.pair(&p.n.header, o.canary+p.r.Operation, "CANARY-none"+p.r.Operation, func(r *request, key string) { p.own(r); r.header["Idempotency-Key"] = key })
	}
}

// lists sends cursors of foreign lists, and searches for foreign values.
func (p prover) lists(o *owner) {
	path := func(r *request) { p.own(r); r.path = strings.ReplaceAll(r.path, "{id}", p.ownID()) }
	if p.s.list {
		for _, cursor := range []string{o.cursors[p.r.Operation], o.pulled[p.r.Operation]} {
			if cursor == "" {
				p.w.t.Errorf("%s: the foreign tenant has no cursor to send", p.r.Operation)
				continue
			}
			p.pair(&p.n.cursor, cursor, forged(cursor), func(r *request, c string) { path(r); r.query.Set("after", c) })
		}
	}
	if p.r.Operation == "exportEvents" {
		p.pair(&p.n.query, o.slug, p.w.missing, func(r *request, id string) { r.query.Set("format", "csv"); r.query.Set("tenant_id", id) })
	}
	if p.s.search {
		p.pair(&p.n.search, o.canary, "CANARY-"+random(8), func(r *request, c string) { path(r); r.query.Set("q", `"`+c+`"`) })
	}
}

// forged is a cursor that this server never made, of the same form.
func forged(c string) string {
	if c == "" {
		return "AAAA"
	}
	first := "A"
	if strings.HasPrefix(c, "A") {
		first = "B"
	}
	return first + c[1:]
}

// exactly holds a figure against the owner's own.
func (p prover) exactly(body []byte, o *owner) {
	var v map[string]any
	_ = json.Unmarshal(body, &v) // then the figure is missing
	p.n.exact++
	if v[p.s.figure] != float64(o.events) {
		p.w.t.Errorf("%s as %s: %s is %v, the tenant has %d events", p.r.Operation, p.c.name, p.s.figure, v[p.s.figure], o.events)
	}
}
