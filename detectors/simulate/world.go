package simulate

import (
	"fmt"
	"math"
	"math/rand/v2"
	"time"
)

// place is a city with its networks. Coordinates are degrees.
type place struct {
	country, city string
	lat, lon      float64
	zone          string
	isp, mobile   uint32 // AS numbers of a home provider and a mobile carrier
}

// The places people work, travel and attack from.
var places = []place{
	{"DE", "Berlin", 52.52, 13.40, "Europe/Berlin", 3320, 6805},
	{"DE", "Hamburg", 53.55, 9.99, "Europe/Berlin", 3209, 6805},
	{"GB", "London", 51.51, -0.13, "Europe/London", 2856, 25135},
	{"FR", "Paris", 48.86, 2.35, "Europe/Paris", 3215, 15557},
	{"NL", "Amsterdam", 52.37, 4.90, "Europe/Amsterdam", 1136, 31615},
	{"US", "New York", 40.71, -74.01, "America/New_York", 701, 21928},
	{"US", "Denver", 39.74, -104.99, "America/Denver", 7922, 21928},
	{"US", "San Francisco", 37.77, -122.42, "America/Los_Angeles", 7922, 20057},
	{"IN", "Bengaluru", 12.97, 77.59, "Asia/Kolkata", 24560, 55836},
	{"JP", "Tokyo", 35.68, 139.69, "Asia/Tokyo", 4713, 9605},
	{"AU", "Sydney", -33.87, 151.21, "Australia/Sydney", 1221, 4804},
	{"BR", "São Paulo", -23.55, -46.63, "America/Sao_Paulo", 28573, 26599},
	{"SG", "Singapore", 1.35, 103.82, "Asia/Singapore", 9506, 45143},
	{"ES", "Madrid", 40.42, -3.70, "Europe/Madrid", 3352, 12430},
	{"PL", "Warsaw", 52.23, 21.01, "Europe/Warsaw", 5617, 43447},
	{"SE", "Stockholm", 59.33, 18.07, "Europe/Stockholm", 3301, 44034},
}

// Hosting networks attackers rent.
var hosting = []place{
	{"RU", "Moscow", 55.76, 37.62, "Europe/Moscow", 49505, 0},
	{"NL", "Amsterdam", 52.37, 4.90, "Europe/Amsterdam", 60781, 0},
	{"VN", "Hanoi", 21.03, 105.85, "Asia/Ho_Chi_Minh", 45899, 0},
	{"US", "Ashburn", 39.04, -77.49, "America/New_York", 14061, 0},
	{"CN", "Shenzhen", 22.54, 114.06, "Asia/Shanghai", 45090, 0},
	{"RO", "Bucharest", 44.43, 26.10, "Europe/Bucharest", 9009, 0},
}

var firstNames = []string{"alice", "bruno", "chen", "dalia", "emre", "farah", "goran", "hana", "imani", "jonas", "keiko", "liam", "mara", "nikhil", "olga", "pedro", "quinn", "rosa", "samir", "tova", "ugo", "vera", "wei", "ximena", "yusuf", "zoe", "anton", "bea", "carlos", "dina"}

var userAgents = []string{
	"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36",
	"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.6 Safari/605.1.15",
	"Mozilla/5.0 (X11; Linux x86_64; rv:143.0) Gecko/20100101 Firefox/143.0",
	"Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:143.0) Gecko/20100101 Firefox/143.0",
	"Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.6 Mobile/15E148 Safari/604.1",
	"Mozilla/5.0 (Linux; Android 15) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Mobile Safari/537.36",
}

var attackAgents = []string{"python-requests/2.32.3", "curl/8.14.1", "Go-http-client/2.0", userAgents[2]}

// verb is one thing a role does: its weight and what it touches.
type verb struct {
	action, kind string
	weight       float64
	bytes        float64 // median bytes out; 0 for none
}

var roleVerbs = map[string][]verb{
	"engineering": {{"repo.pull", "repo", 8, 2e5}, {"repo.push", "repo", 4, 3e3}, {"ticket.view", "ticket", 10, 8e3}, {"ticket.update", "ticket", 5, 1e3}, {"file.view", "file", 3, 5e4}, {"deploy.run", "service", .5, 2e3}},
	"sales":       {{"contact.view", "contact", 14, 6e3}, {"contact.update", "contact", 5, 1e3}, {"file.view", "file", 6, 8e4}, {"file.download", "file", 2, 4e5}, {"report.view", "report", 2, 5e4}},
	"support":     {{"ticket.view", "ticket", 18, 8e3}, {"ticket.update", "ticket", 12, 1e3}, {"contact.view", "contact", 8, 6e3}, {"file.view", "file", 2, 5e4}},
	"finance":     {{"invoice.view", "invoice", 12, 2e4}, {"invoice.update", "invoice", 4, 1e3}, {"report.view", "report", 5, 5e4}, {"report.export", "report", 1, 2e6}, {"file.download", "file", 2, 5e5}},
	"admin":       {{"user.view", "account", 8, 4e3}, {"user.update", "account", 2, 1e3}, {"settings.view", "settings", 4, 3e3}, {"role.grant", "role", .3, 1e3}, {"ticket.view", "ticket", 6, 8e3}, {"file.view", "file", 4, 5e4}},
}

var roleNames = []string{"engineering", "engineering", "engineering", "sales", "sales", "support", "support", "finance", "admin"}

// person is one user: habits that differ from colleague to colleague.
type person struct {
	name, role   string
	home         place
	homeIP       string
	devices      []string
	perDay       float64 // mean actions on a working day, log-normal across people
	starts       float64 // local hour the day begins
	hours        float64 // length of the day
	remote       float64 // chance of working from home
	mobile       float64 // chance that a session is on the phone
	vpn          float64
	weekend      float64
	firstDay     int // index of the day the person joins
	lastDay      int // index of the day the account falls quiet
	tripFrom     int
	tripTo       int
	trip         place
	favourites   []int // resources by Zipf rank
	sessionCount int
}

type service struct {
	name   string
	ip     string
	place  place
	every  time.Duration
	events int // per run
	action string
	res    string
	batch  bool // nightly and large
}

type company struct {
	id       string
	index    int
	seed     uint64
	rng      *rand.Rand
	zone     *time.Location
	office   place
	officeIP []string
	vpnIP    string
	vpn      place
	people   []*person
	services []service
	holidays map[int]bool
	release  map[int]bool
	outages  []window
	nextID   uint64
	resMax   map[string]int
}

type window struct {
	from, to time.Time
	source   string
}

func pick[T any](r *rand.Rand, s []T) T { return s[r.IntN(len(s))] }

// logNormal draws with the given median and shape.
func logNormal(r *rand.Rand, median, sigma float64) float64 {
	return median * math.Exp(sigma*r.NormFloat64())
}

// poisson draws a count; exact by multiplication below 30, normal above.
func poisson(r *rand.Rand, mean float64) int {
	if mean <= 0 {
		return 0
	}
	if mean > 30 {
		return max(0, int(math.Round(mean+math.Sqrt(mean)*r.NormFloat64())))
	}
	l, k, p := math.Exp(-mean), 0, 1.0
	for {
		p *= r.Float64()
		if p <= l {
			return k
		}
		k++
	}
}

// address draws an address that belongs to the AS: the first two octets
// follow from its number, so that one network looks like one network.
func address(r *rand.Rand, asn uint32) string {
	a := 11 + (asn*2654435761>>24)%160
	if a == 127 || a == 100 || a == 169 || a == 172 {
		a++
	}
	return fmt.Sprintf("%d.%d.%d.%d", a, (asn*40503>>8)&255, r.IntN(256), 1+r.IntN(254))
}

func newCompany(opts *Options, i int) *company {
	r := rand.New(rand.NewPCG(opts.Seed, uint64(i)*0x9e3779b97f4a7c15+1))
	office := pick(r, places)
	zone, err := time.LoadLocation(office.zone)
	if err != nil {
		zone = time.UTC // a machine without zone data still simulates
	}
	days := int(opts.Duration.Hours()/24) + 2
	c := &company{
		id: opts.tenantID(i), index: i, seed: opts.Seed, rng: r, zone: zone, office: office,
		vpn: pick(r, places), holidays: map[int]bool{}, release: map[int]bool{},
		resMax: map[string]int{"file": 2000, "repo": 40, "ticket": 5000, "contact": 3000, "invoice": 1500, "report": 60, "account": 200, "settings": 12, "role": 8, "service": 25},
	}
	for range 1 + r.IntN(2) {
		c.officeIP = append(c.officeIP, address(r, 64512+uint32(i)))
	}
	c.vpnIP = address(r, 64600+uint32(i))
	for d := range days {
		c.holidays[d] = r.Float64() < 0.03
		c.release[d] = r.Float64() < 0.06
	}
	n := max(3, int(logNormal(r, float64(opts.Users), 0.35)))
	for u := range n {
		c.people = append(c.people, newPerson(r, c, u, days))
	}
	for s := range 3 + r.IntN(4) {
		c.services = append(c.services, newService(r, c, s))
	}
	return c
}

func newPerson(r *rand.Rand, c *company, u, days int) *person {
	home := c.office
	if r.Float64() < 0.2 {
		home = pick(r, places)
	}
	p := &person{
		name: fmt.Sprintf("%s%s@%s.example", firstNames[u%len(firstNames)], suffix(u/len(firstNames)), c.id),
		role: roleNames[u%len(roleNames)], home: home, homeIP: address(r, home.isp),
		perDay: math.Min(600, logNormal(r, 35, 0.7)),
		starts: 7 + 3.5*r.Float64(), hours: 6.5 + 3*r.Float64(),
		remote: math.Pow(r.Float64(), 2), mobile: 0.15 * r.Float64(), vpn: 0.2 * math.Pow(r.Float64(), 3),
		weekend: 0.15 * math.Pow(r.Float64(), 2), lastDay: days + 1, tripFrom: -1, tripTo: -1,
	}
	if r.Float64() < 0.08 { // a new starter
		p.firstDay = r.IntN(max(1, days))
	} else if r.Float64() < 0.04 { // a leaver
		p.lastDay = r.IntN(max(1, days))
	}
	if r.Float64() < 0.25 {
		p.tripFrom = r.IntN(max(1, days))
		p.tripTo, p.trip = p.tripFrom+1+r.IntN(5), pick(r, places)
	}
	p.devices = []string{userAgents[r.IntN(4)], userAgents[4+r.IntN(2)]}
	for range 30 {
		p.favourites = append(p.favourites, r.IntN(1<<20))
	}
	return p
}

func suffix(n int) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf(".%d", n+1)
}

func newService(r *rand.Rand, c *company, s int) service {
	sv := service{
		name: fmt.Sprintf("svc-%s@%s.example", []string{"backup", "billing", "ci", "crm-sync", "reports", "search-index", "mailer"}[s%7], c.id),
		ip:   address(r, 14618), place: place{"US", "Ashburn", 39.04, -77.49, "America/New_York", 14618, 0},
		every:  []time.Duration{5 * time.Minute, 15 * time.Minute, time.Hour, 2 * time.Hour}[r.IntN(4)],
		events: 1 + r.IntN(4), action: []string{"file.read", "invoice.sync", "deploy.status", "contact.sync", "report.build", "file.index", "mail.send"}[s%7],
		res: fmt.Sprintf("%s/%d", []string{"bucket", "ledger", "pipeline", "crm", "warehouse", "index", "queue"}[s%7], r.IntN(4)),
	}
	if s == 0 { // the nightly batch
		sv.every, sv.events, sv.batch = 24*time.Hour, 150+r.IntN(350), true
	}
	return sv
}
