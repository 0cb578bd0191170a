package backtest

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/tenantwatch/tenantwatch/detectors/alert"
	"github.com/tenantwatch/tenantwatch/detectors/policy"
	"github.com/tenantwatch/tenantwatch/detectors/runner"
)

// MaxListed is how many alerts and how many hidden ones a result lists; all
// are counted.
const MaxListed = 1000

// Findings accounts for a period: Findings = Alerted + Folded + Suppressed +
// BelowBudget.
type Findings struct {
	Findings    uint64 `json:"findings"`
	Alerted     uint64 `json:"alerted"`
	Folded      uint64 `json:"folded"`
	Suppressed  uint64 `json:"suppressed"`
	BelowBudget uint64 `json:"below_budget"`
}

// Item is one alert of a result, in its final state.
type Item struct {
	ID          string         `json:"id"`
	Entity      alert.Entity   `json:"entity"`
	RaisedAt    time.Time      `json:"raised_at_event_time"`
	FirstSeen   time.Time      `json:"first_seen"`
	LastSeen    time.Time      `json:"last_seen"`
	Severity    alert.Severity `json:"severity"`
	Score       alert.Points   `json:"score"`
	Detector    string         `json:"detector"` // the one that contributed most
	Title       string         `json:"title"`
	Reason      string         `json:"reason"`
	Suppression string         `json:"suppression,omitempty"` // that hid it
	// Also says whether the first policy of the comparison has an alert on
	// the same entity at the same time.
	Also bool `json:"also_in_first"`
}

// Day counts the alerts raised on a UTC day.
type Day struct {
	Day    string `json:"day"` // 2006-01-02
	Alerts int    `json:"alerts"`
	Hidden int    `json:"hidden"`
}

// Result is what one policy would have led to in the period.
type Result struct {
	Policy     policy.Policy          `json:"policy"`
	Events     uint64                 `json:"events"` // scored, the warm-up's included
	Days       float64                `json:"days"`   // length of the period
	Alerts     int                    `json:"alerts"`
	PerDay     float64                `json:"alerts_per_day"`
	MaxPerDay  int                    `json:"most_alerts_on_a_day"`
	BySeverity map[alert.Severity]int `json:"by_severity"`
	ByDetector map[string]int         `json:"by_detector"`
	ByDay      []Day                  `json:"by_day"`
	Hidden     int                    `json:"hidden"`         // alerts that suppressions hid
	HiddenBy   map[string]int         `json:"hidden_by"`      // the same by suppression
	Findings   Findings               `json:"findings"`       // of the period's hours
	Added      int                    `json:"added"`          // alerts the first policy does not have
	Missing    int                    `json:"missing"`        // alerts of the first policy that this one lacks
	List       []Item                 `json:"list"`           // the first MaxListed, by time
	HiddenList []Item                 `json:"hidden_list"`    // likewise
	Lacks      []Item                 `json:"missing_list"`   // likewise
	Truncated  bool                   `json:"list_truncated"` // a list is not complete
}

// collector gathers a policy's emissions. Its fields are the state of a
// resumable run.
type collector struct {
	from, to time.Time
	Count    Findings `json:"count"`
	Items    []Item   `json:"items"`
	Hidden   []Item   `json:"hidden"`
}

func newCollector(from, to time.Time) *collector { return &collector{from: from, to: to} }

func (c *collector) take(em []runner.Emission) {
	for i := range em {
		switch x := &em[i]; {
		case x.Count != nil:
			if at := time.Unix(x.Count.Hour*3600, 0); at.Before(c.from.Truncate(time.Hour)) || !at.Before(c.to) {
				continue
			}
			c.Count.Findings += x.Count.Findings
			c.Count.Alerted += x.Count.Alerted
			c.Count.Folded += x.Count.Folded
			c.Count.Suppressed += x.Count.Suppressed
			c.Count.BelowBudget += x.Count.BelowBudget
		case x.Final && x.Hidden != nil:
			c.add(&c.Hidden, &x.Hidden.Alert, x.Hidden.Suppression)
		case x.Final && x.Alert != nil && x.Alert.State != alert.Retracted:
			c.add(&c.Items, x.Alert, "")
		}
	}
}

func (c *collector) add(list *[]Item, a *alert.Alert, by string) {
	if a.RaisedAt.Before(c.from) || !a.RaisedAt.Before(c.to) {
		return
	}
	it := Item{ID: a.ID, Entity: a.Entity, RaisedAt: a.RaisedAt, FirstSeen: a.FirstSeen, LastSeen: a.LastSeen,
		Severity: a.Severity, Score: a.Score, Title: a.Title, Reason: a.Reason, Suppression: by}
	if len(a.Detectors) > 0 {
		it.Detector = a.Detectors[0].Name
	}
	*list = append(*list, it)
}

func (c *collector) result(p policy.Policy, n runner.Counters) Result {
	order := func(a, b Item) int {
		return cmp.Or(a.RaisedAt.Compare(b.RaisedAt), strings.Compare(a.ID, b.ID))
	}
	slices.SortFunc(c.Items, order)
	slices.SortFunc(c.Hidden, order)
	r := Result{
		Policy: p, Events: n.Scored, Days: c.to.Sub(c.from).Hours() / 24, Alerts: len(c.Items), Hidden: len(c.Hidden), Findings: c.Count,
		BySeverity: map[alert.Severity]int{}, ByDetector: map[string]int{}, HiddenBy: map[string]int{}, List: c.Items, HiddenList: c.Hidden,
	}
	r.PerDay = float64(r.Alerts) / r.Days
	alerts, hidden := map[string]int{}, map[string]int{}
	for _, it := range c.Items {
		r.BySeverity[it.Severity]++
		r.ByDetector[it.Detector]++
		alerts[it.RaisedAt.Format(time.DateOnly)]++
	}
	for _, it := range c.Hidden {
		r.HiddenBy[it.Suppression]++
		hidden[it.RaisedAt.Format(time.DateOnly)]++
	}
	for d := c.from.UTC().Truncate(24 * time.Hour); d.Before(c.to); d = d.Add(24 * time.Hour) {
		k := d.Format(time.DateOnly)
		r.ByDay = append(r.ByDay, Day{k, alerts[k], hidden[k]})
		r.MaxPerDay = max(r.MaxPerDay, alerts[k])
	}
	return r
}

// compare marks what r and the first result have in common, and cuts the lists.
func (r *Result) compare(first *Result) {
	mine, theirs := byEntity(r.List), byEntity(first.List)
	for i := range r.List {
		if r.List[i].Also = meets(theirs, &r.List[i]); !r.List[i].Also {
			r.Added++
		}
	}
	for i := range r.HiddenList {
		r.HiddenList[i].Also = meets(theirs, &r.HiddenList[i])
	}
	r.Lacks = []Item{}
	for i := range first.List {
		if it := first.List[i]; !meets(mine, &it) {
			it.Also = true
			r.Missing++
			r.Lacks = append(r.Lacks, it)
		}
	}
	for _, l := range []*[]Item{&r.List, &r.HiddenList, &r.Lacks} {
		if *l == nil {
			*l = []Item{}
		}
	}
}

// cut keeps what a result lists.
func (r *Result) cut() {
	for _, l := range []*[]Item{&r.List, &r.HiddenList, &r.Lacks} {
		if len(*l) > MaxListed {
			*l, r.Truncated = (*l)[:MaxListed], true
		}
	}
}

func byEntity(list []Item) map[alert.Entity][]Item {
	m := map[alert.Entity][]Item{}
	for _, it := range list {
		m[it.Entity] = append(m[it.Entity], it)
	}
	return m
}

// meets reports whether an alert on the same entity was about the same time.
func meets(m map[alert.Entity][]Item, it *Item) bool {
	for _, o := range m[it.Entity] {
		if !o.FirstSeen.After(it.LastSeen) && !it.FirstSeen.After(o.LastSeen) {
			return true
		}
	}
	return false
}
