// Package enrich adds to events what their own values imply: country, city,
// position and ASN of the address, the family of the user agent, the network
// the address belongs to, and the cohort.
//
// Invariant: nothing a record states is overwritten. Without a database the
// fields stay empty, and Status says why. Results depend on the event, the
// databases and the tenant's networks alone; caches are bounded. It is safe
// for concurrent use. Private and other special addresses have no place.
package enrich

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/mileusna/useragent"
	"github.com/oschwald/maxminddb-golang/v2"

	"github.com/tenantwatch/tenantwatch/core/tenant"
	"github.com/tenantwatch/tenantwatch/detectors/policy"
	"github.com/tenantwatch/tenantwatch/pipeline/event"
)

// The labels that enrichment adds.
const (
	LabelBrowser = "ua.family" // Chrome, curl, …
	LabelOS      = "ua.os"     // Windows, Linux, iOS, …
	LabelDevice  = "ua.device" // desktop, mobile, tablet or bot
	LabelNetwork = "network"   // the tenant's name of it, or private, loopback, …
	LabelKind    = "network.kind"
)

// Bounds.
const (
	cacheSize  = 32 << 10 // answers remembered of each kind; twice as many at most
	checkEvery = 10 * time.Second
	maxAgent   = 1024 // bytes of a user agent that are looked at
)

// Options set up an Enricher.
type Options struct {
	CityDB, ASNDB string // paths of MaxMind-format databases; "": none
	// Networks, when set, gives the networks a tenant has named.
	Networks func(tenant.ID) []policy.Network
	Logger   *slog.Logger // nil: nothing is logged
}

// Enricher adds to events.
type Enricher struct {
	o      Options
	log    *slog.Logger
	city   database
	asn    database
	places cache[place]
	agents cache[agent]
}

// place is what the databases know of an address.
type place struct {
	country, city string
	lat, lon      float64
	position      bool
	asn           uint32
}

type agent struct{ family, os, device string }

// New opens the databases. A path that cannot be opened is no error: Status
// and the log say it, and it is tried again by Run.
func New(o Options) *Enricher {
	e := &Enricher{o: o, log: o.Logger}
	if e.log == nil {
		e.log = slog.New(slog.DiscardHandler)
	}
	e.city.name, e.city.path = "city", o.CityDB
	e.asn.name, e.asn.path = "asn", o.ASNDB
	e.check()
	return e
}

// Run reads databases again that were replaced, until ctx is done. They are
// closed then.
func (e *Enricher) Run(ctx context.Context) error {
	t := time.NewTicker(checkEvery)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
			e.check()
		}
	}
}

// Close lets go of the databases; events get no place afterwards.
func (e *Enricher) Close() error {
	return errors.Join(e.city.close(), e.asn.close())
}

// check opens what is new.
func (e *Enricher) check() {
	for _, d := range []*database{&e.city, &e.asn} {
		changed, err := d.load()
		switch {
		case err != nil && changed:
			e.log.Warn("a database for enrichment cannot be read", "database", d.name, "path", d.path, "err", err)
		case changed:
			e.places.reset()
			e.log.Info("a database for enrichment was read", "database", d.name, "path", d.path)
		}
	}
}

// Status is how a database is.
type Status struct {
	Database string    `json:"database"` // city or asn
	Path     string    `json:"path,omitempty"`
	Loaded   bool      `json:"loaded"`
	Built    time.Time `json:"built,omitzero"`    // as the database says
	Problem  string    `json:"problem,omitempty"` // why its fields stay empty
}

// Status lists the databases.
func (e *Enricher) Status() []Status { return []Status{e.city.status(), e.asn.status()} }

// Event enriches one event.
func (e *Enricher) Event(ev *event.Event) {
	if ev.SrcIP != "" {
		if ip, err := netip.ParseAddr(ev.SrcIP); err == nil {
			e.address(ev, ip)
		}
	}
	if ev.UserAgent != "" && ev.Label(LabelBrowser) == "" {
		a := e.agent(ev.UserAgent)
		add(ev, LabelBrowser, a.family)
		add(ev, LabelOS, a.os)
		add(ev, LabelDevice, a.device)
	}
	if ev.Cohort == "" {
		for _, key := range [...]string{"role", "roles", "roles.0", "group", "groups", "groups.0", "team", "department", "user.role", "user.roles.0", "user.groups.0", "actor.role"} {
			if s := ev.Label(key); s != "" && len(s) <= 128 {
				ev.Cohort = s
				break
			}
		}
	}
}

func add(ev *event.Event, key, value string) {
	if value != "" {
		ev.AddLabel(key, value)
	}
}

func (e *Enricher) address(ev *event.Event, ip netip.Addr) {
	if ev.Label(LabelNetwork) == "" {
		name, kind := e.network(ev.Tenant, ip)
		add(ev, LabelNetwork, name)
		add(ev, LabelKind, kind)
	}
	if !ip.IsGlobalUnicast() || ip.IsPrivate() {
		return
	}
	if ev.Country != "" && ev.City != "" && ev.HasPosition && ev.ASN != 0 {
		return
	}
	p := e.place(ip)
	// A place is taken as a whole: the city of one source and the country of
	// another would be none.
	if ev.Country == "" || ev.Country == p.country {
		if ev.Country = p.country; ev.City == "" {
			ev.City = p.city
		}
		if !ev.HasPosition && p.position {
			ev.Latitude, ev.Longitude, ev.HasPosition = p.lat, p.lon, true
		}
	}
	if ev.ASN == 0 {
		ev.ASN = p.asn
	}
}

// network names what an address belongs to: the narrowest of the tenant's
// networks, else what kind of special address it is.
func (e *Enricher) network(t tenant.ID, ip netip.Addr) (name, kind string) {
	if e.o.Networks != nil {
		bits := -1
		for _, n := range e.o.Networks(t) {
			if n.Prefix.Contains(ip) && n.Prefix.Bits() > bits {
				name, kind, bits = n.Name, string(n.Kind), n.Prefix.Bits()
			}
		}
		if bits >= 0 {
			return name, kind
		}
	}
	switch {
	case ip.IsPrivate():
		return "private", ""
	case ip.IsLoopback():
		return "loopback", ""
	case ip.IsLinkLocalUnicast():
		return "link-local", ""
	}
	return "", ""
}

func (e *Enricher) place(ip netip.Addr) place {
	key := ip.String()
	if p, ok := e.places.get(key); ok {
		return p
	}
	var p place
	e.city.look(ip, func(r maxminddb.Result) {
		_ = r.DecodePath(&p.country, "country", "iso_code")
		if p.country == "" {
			_ = r.DecodePath(&p.country, "registered_country", "iso_code")
		}
		_ = r.DecodePath(&p.city, "city", "names", "en")
		var lat, lon *float64
		_ = r.DecodePath(&lat, "location", "latitude")
		_ = r.DecodePath(&lon, "location", "longitude")
		if lat != nil && lon != nil {
			p.lat, p.lon, p.position = *lat, *lon, *lat >= -90 && *lat <= 90 && *lon >= -180 && *lon <= 180
		}
	})
	e.asn.look(ip, func(r maxminddb.Result) { _ = r.DecodePath(&p.asn, "autonomous_system_number") })
	if len(p.country) != 2 {
		p.country = ""
	}
	p.city = strings.ToValidUTF8(p.city, "")
	e.places.put(key, p)
	return p
}

func (e *Enricher) agent(s string) agent {
	if len(s) > maxAgent {
		s = s[:maxAgent]
	}
	if a, ok := e.agents.get(s); ok {
		return a
	}
	u := useragent.Parse(s)
	a := agent{family: word(u.Name), os: word(u.OS)}
	switch {
	case u.Bot:
		a.device = "bot"
	case u.Tablet:
		a.device = "tablet"
	case u.Mobile:
		a.device = "mobile"
	case u.Desktop:
		a.device = "desktop"
	}
	e.agents.put(strings.Clone(s), a)
	return a
}

// word keeps names that could be one: senders choose the user agent.
func word(s string) string {
	if s = strings.ToValidUTF8(strings.TrimSpace(s), ""); len(s) > 64 {
		return ""
	}
	return strings.Clone(s)
}

// database is one file, opened while it is there.
type database struct {
	name, path string

	mu     sync.RWMutex
	reader *maxminddb.Reader
	at     time.Time
	size   int64
	err    error
}

// load opens the file when it is new; changed says that something did.
func (d *database) load() (changed bool, err error) {
	if d.path == "" {
		return false, nil
	}
	st, err := os.Stat(d.path)
	d.mu.RLock()
	same := err == nil && d.reader != nil && st.ModTime().Equal(d.at) && st.Size() == d.size
	before := d.err
	d.mu.RUnlock()
	if same {
		return false, nil
	}
	var r *maxminddb.Reader
	if err == nil {
		// A copy in memory: a file that is cut short while it is mapped would
		// end the process.
		var b []byte
		if b, err = os.ReadFile(d.path); err == nil {
			r, err = maxminddb.OpenBytes(b)
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.err = err; err != nil { // what was open stays in use
		return before == nil || before.Error() != err.Error(), err
	}
	d.reader, d.at, d.size = r, st.ModTime(), st.Size()
	return true, nil
}

func (d *database) look(ip netip.Addr, fn func(maxminddb.Result)) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	if d.reader == nil {
		return
	}
	if r := d.reader.Lookup(ip); r.Err() == nil && r.Found() {
		fn(r)
	}
}

func (d *database) close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	r := d.reader
	if d.reader = nil; r == nil {
		return nil
	}
	return r.Close()
}

func (d *database) status() Status {
	d.mu.RLock()
	defer d.mu.RUnlock()
	s := Status{Database: d.name, Path: d.path, Loaded: d.reader != nil}
	switch {
	case d.path == "":
		s.Problem = fmt.Sprintf("no database: set enrich.%s_db", d.name)
	case d.err != nil:
		s.Problem = d.err.Error()
	}
	if d.reader != nil {
		s.Built = d.reader.Metadata.BuildTime().UTC()
	}
	return s
}

// cache remembers answers in two generations: when the young one is full, the
// old one is forgotten.
type cache[T any] struct {
	mu         sync.Mutex
	young, old map[string]T
}

func (c *cache[T]) get(key string) (v T, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if v, ok = c.young[key]; ok {
		return v, true
	}
	if v, ok = c.old[key]; ok {
		c.store(key, v)
	}
	return v, ok
}

func (c *cache[T]) put(key string, v T) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.store(key, v)
}

func (c *cache[T]) store(key string, v T) {
	if c.young == nil {
		c.young = make(map[string]T)
	}
	if len(c.young) >= cacheSize {
		c.old, c.young = c.young, make(map[string]T)
	}
	c.young[key] = v
}

func (c *cache[T]) reset() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.young, c.old = nil, nil
}
