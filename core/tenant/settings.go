package tenant

import (
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// Bounds of settings.
const (
	MinRetentionDays = 1
	MaxRetentionDays = 2557 // seven years with two leap days
	MaxAlertBudget   = 10_000
	MaxHolidays      = 400
	MaxNetworks      = 500
	MaxLegalHolds    = 50
)

// Settings are what a tenant can be set to. The zero value is not valid:
// DefaultSettings is what a new tenant starts with.
type Settings struct {
	// RetentionDays is how long events are kept, counted from when they came
	// in; 1..2557.
	RetentionDays int `json:"retention_days"`
	// AlertBudget is a ceiling of alerts per UTC day, 0..10000.
	AlertBudget int `json:"alert_budget"`
	// TimeZone is an IANA name: the tenant's hours and days.
	TimeZone string   `json:"time_zone"`
	Calendar Calendar `json:"calendar"`
	Quotas   Quotas   `json:"quotas"`
	// Region is where the tenant's data are to stay, a name the operator
	// chose, e.g. eu-central; empty: wherever the installation is.
	Region string `json:"region"`
	// LegalHold: nothing is removed, neither for its age nor with the tenant.
	LegalHold bool `json:"legal_hold"`
	// LegalHolds keep part of the events from being removed for their age, and
	// the tenant from being removed at all.
	LegalHolds []LegalHold `json:"legal_holds"`
	// Networks are ranges that belong to the tenant; those of one name belong
	// together.
	Networks []Network `json:"networks"`
}

// LegalHold keeps the events that a query finds within event times.
type LegalHold struct {
	Name  string `json:"name"`  // the matter it is for
	Query string `json:"query"` // as in the audit search; empty: all
	// From and To are RFC 3339, To not included; empty: open.
	From string `json:"from"`
	To   string `json:"to"`
}

// Range reads From and To; zero is open.
func (h LegalHold) Range() (from, to time.Time, err error) {
	for text, at := range map[*string]*time.Time{&h.From: &from, &h.To: &to} {
		if *text == "" {
			continue
		}
		if *at, err = time.Parse(time.RFC3339, *text); err != nil {
			return from, to, fmt.Errorf("%q is no time such as 2026-03-01T00:00:00Z", *text)
		}
	}
	if !from.IsZero() && !to.IsZero() && !from.Before(to) {
		return from, to, fmt.Errorf("from %s has to come before to %s", h.From, h.To)
	}
	return from, to, nil
}

// Held reports whether anything keeps the tenant from being removed.
func (s Settings) Held() bool { return s.LegalHold || len(s.LegalHolds) > 0 }

// Calendar are the tenant's business days and hours, in its time zone.
type Calendar struct {
	// WorkDays are three-letter English names, e.g. mon; empty: mon to fri.
	WorkDays []string `json:"work_days"`
	// WorkFrom and WorkTo are times of day, HH:MM; WorkTo may be 24:00.
	WorkFrom string    `json:"work_from"`
	WorkTo   string    `json:"work_to"`
	Holidays []Holiday `json:"holidays"`
}

// Holiday is a day that behaves like a Sunday.
type Holiday struct {
	Date string `json:"date"` // 2006-01-02
	Name string `json:"name"`
}

// Quotas bound what a tenant may use; 0 is the installation's own default.
type Quotas struct {
	EventsPerSecond   int   `json:"events_per_second"`
	EventsPerDay      int64 `json:"events_per_day"`
	BytesPerDay       int64 `json:"bytes_per_day"`
	RequestsPerSecond int   `json:"requests_per_second"`
	ConcurrentQueries int   `json:"concurrent_queries"`
}

// Network is a named range of addresses.
type Network struct {
	Name   string       `json:"name"`
	Prefix netip.Prefix `json:"prefix"`
	Kind   string       `json:"kind"` // office, vpn, mobile, cloud or partner
}

// NetworkKinds are the kinds of networks.
var networkKinds = []string{"office", "vpn", "mobile", "cloud", "partner"}

var weekDays = []string{"mon", "tue", "wed", "thu", "fri", "sat", "sun"}

// DefaultSettings are those of a new tenant.
func DefaultSettings() Settings {
	return Settings{RetentionDays: 365, AlertBudget: 5, TimeZone: "UTC",
		Calendar: Calendar{WorkDays: []string{"mon", "tue", "wed", "thu", "fri"}, WorkFrom: "08:00", WorkTo: "18:00", Holidays: []Holiday{}},
		Networks: []Network{}, LegalHolds: []LegalHold{}}
}

// SettingsPatch changes what is not nil.
type SettingsPatch struct {
	RetentionDays *int           `json:"retention_days,omitempty"`
	AlertBudget   *int           `json:"alert_budget,omitempty"`
	TimeZone      *string        `json:"time_zone,omitempty"`
	Calendar      *CalendarPatch `json:"calendar,omitempty"`
	Quotas        *QuotasPatch   `json:"quotas,omitempty"`
	Region        *string        `json:"region,omitempty"`
	LegalHold     *bool          `json:"legal_hold,omitempty"`
	LegalHolds    *[]LegalHold   `json:"legal_holds,omitempty"`
	Networks      *[]NetworkText `json:"networks,omitempty"`
}

// CalendarPatch changes what is not nil; lists are replaced whole.
type CalendarPatch struct {
	WorkDays *[]string  `json:"work_days,omitempty"`
	WorkFrom *string    `json:"work_from,omitempty"`
	WorkTo   *string    `json:"work_to,omitempty"`
	Holidays *[]Holiday `json:"holidays,omitempty"`
}

// QuotasPatch changes what is not nil.
type QuotasPatch struct {
	EventsPerSecond   *int   `json:"events_per_second,omitempty"`
	EventsPerDay      *int64 `json:"events_per_day,omitempty"`
	BytesPerDay       *int64 `json:"bytes_per_day,omitempty"`
	RequestsPerSecond *int   `json:"requests_per_second,omitempty"`
	ConcurrentQueries *int   `json:"concurrent_queries,omitempty"`
}

// NetworkText is a network as it is written, so that a misspelt range gets an
// answer that says so.
type NetworkText struct {
	Name   string `json:"name"`
	Prefix string `json:"prefix"`
	Kind   string `json:"kind"`
}

// Operator reports whether the patch touches what only the operator decides:
// retention, legal hold, quotas and region.
func (p SettingsPatch) Operator() bool {
	return p.RetentionDays != nil || p.Quotas != nil || p.Region != nil || p.LegalHold != nil || p.LegalHolds != nil
}

// Empty reports whether the patch changes nothing.
func (p SettingsPatch) Empty() bool { return p == SettingsPatch{} }

func set[T any](to, from *T) {
	if from != nil {
		*to = *from
	}
}

// Apply gives s with the patch applied, checked. The error says what to do.
func (s Settings) Apply(p SettingsPatch) (Settings, error) {
	set(&s.RetentionDays, p.RetentionDays)
	set(&s.AlertBudget, p.AlertBudget)
	set(&s.TimeZone, p.TimeZone)
	set(&s.Region, p.Region)
	set(&s.LegalHold, p.LegalHold)
	set(&s.LegalHolds, p.LegalHolds)
	if c := p.Calendar; c != nil {
		set(&s.Calendar.WorkDays, c.WorkDays)
		set(&s.Calendar.WorkFrom, c.WorkFrom)
		set(&s.Calendar.WorkTo, c.WorkTo)
		set(&s.Calendar.Holidays, c.Holidays)
	}
	if q := p.Quotas; q != nil {
		set(&s.Quotas.EventsPerSecond, q.EventsPerSecond)
		set(&s.Quotas.EventsPerDay, q.EventsPerDay)
		set(&s.Quotas.BytesPerDay, q.BytesPerDay)
		set(&s.Quotas.RequestsPerSecond, q.RequestsPerSecond)
		set(&s.Quotas.ConcurrentQueries, q.ConcurrentQueries)
	}
	if p.Networks != nil {
		s.Networks = make([]Network, 0, len(*p.Networks))
		for _, n := range *p.Networks {
			prefix, err := parsePrefix(n.Prefix)
			if err != nil {
				return s, fmt.Errorf("networks: %s: %w", n.Name, err)
			}
			s.Networks = append(s.Networks, Network{n.Name, prefix, n.Kind})
		}
	}
	s.normalize()
	return s, s.Validate()
}

// parsePrefix reads a range, or one address.
func parsePrefix(text string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(text); err == nil && a.Zone() == "" {
		return netip.PrefixFrom(a.Unmap(), a.Unmap().BitLen()), nil
	}
	p, err := netip.ParsePrefix(text)
	if err != nil {
		return p, fmt.Errorf("%q is no range of addresses: write 203.0.113.0/24, 2001:db8::/32 or one address", text)
	}
	if p != p.Masked() {
		return p, fmt.Errorf("%q has bits beyond its length: write %s", text, p.Masked())
	}
	return p, nil
}

func (s *Settings) normalize() {
	if s.Networks == nil {
		s.Networks = []Network{}
	}
	if s.LegalHolds == nil {
		s.LegalHolds = []LegalHold{}
	}
	if s.Calendar.Holidays == nil {
		s.Calendar.Holidays = []Holiday{}
	}
	if len(s.Calendar.WorkDays) == 0 {
		s.Calendar.WorkDays = DefaultSettings().Calendar.WorkDays
	}
	s.Calendar.Holidays = slices.Clone(s.Calendar.Holidays)
	slices.SortFunc(s.Calendar.Holidays, func(a, b Holiday) int { return strings.Compare(a.Date, b.Date) })
}

var (
	regionName = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,62}$`)
	timeOfDay  = regexp.MustCompile(`^([01][0-9]|2[0-3]):[0-5][0-9]$`)
)

func plainText(s string, most int) bool {
	return s == strings.TrimSpace(s) && utf8.ValidString(s) && utf8.RuneCountInString(s) <= most &&
		!strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f })
}

// Validate checks everything and answers with the first thing that is wrong
// and what to do about it.
func (s Settings) Validate() error {
	if s.RetentionDays < MinRetentionDays || s.RetentionDays > MaxRetentionDays {
		return fmt.Errorf("retention_days: %d: want 1 (a day) to 2557 (seven years)", s.RetentionDays)
	}
	if s.AlertBudget < 0 || s.AlertBudget > MaxAlertBudget {
		return fmt.Errorf("alert_budget: %d: want 0 to 10000 alerts a day", s.AlertBudget)
	}
	if _, err := time.LoadLocation(s.TimeZone); err != nil || s.TimeZone == "" || s.TimeZone == "Local" {
		return fmt.Errorf("time_zone: %q: want an IANA name such as Europe/Berlin, or UTC", s.TimeZone)
	}
	if s.Region != "" && !regionName.MatchString(s.Region) {
		return fmt.Errorf("region: %q: want a-z, 0-9 and -, such as eu-central, or nothing", s.Region)
	}
	return errors.Join(s.Calendar.validate(), s.Quotas.validate(), validateNetworks(s.Networks), validateHolds(s.LegalHolds))
}

func validateHolds(list []LegalHold) error {
	if len(list) > MaxLegalHolds {
		return fmt.Errorf("legal_holds: %d of them: want at most %d", len(list), MaxLegalHolds)
	}
	for i, h := range list {
		if h.Name == "" || !plainText(h.Name, 200) {
			return fmt.Errorf("legal_holds: the name %q: want 1 to 200 characters that say what it is for", h.Name)
		}
		if slices.ContainsFunc(list[:i], func(o LegalHold) bool { return o.Name == h.Name }) {
			return fmt.Errorf("legal_holds: %s is there twice", h.Name)
		}
		if len(h.Query) > 4096 {
			return fmt.Errorf("legal_holds: the query of %s has more than 4096 bytes", h.Name)
		}
		if _, _, err := h.Range(); err != nil {
			return fmt.Errorf("legal_holds: %s: %w", h.Name, err)
		}
	}
	return nil
}

func (c Calendar) validate() error {
	for i, d := range c.WorkDays {
		if !slices.Contains(weekDays, d) || slices.Contains(c.WorkDays[:i], d) {
			return fmt.Errorf("calendar.work_days: %q: want each of mon, tue, wed, thu, fri, sat, sun at most once", d)
		}
	}
	if !timeOfDay.MatchString(c.WorkFrom) || !timeOfDay.MatchString(c.WorkTo) && c.WorkTo != "24:00" {
		return fmt.Errorf("calendar: hours %q to %q: want HH:MM, such as 08:00 and 18:00", c.WorkFrom, c.WorkTo)
	}
	if c.WorkFrom >= c.WorkTo {
		return fmt.Errorf("calendar: work_to %s has to come after work_from %s; for work around the clock write 00:00 and 24:00", c.WorkTo, c.WorkFrom)
	}
	if len(c.Holidays) > MaxHolidays {
		return fmt.Errorf("calendar.holidays: %d days: want at most %d", len(c.Holidays), MaxHolidays)
	}
	for i, h := range c.Holidays {
		if _, err := time.Parse(time.DateOnly, h.Date); err != nil {
			return fmt.Errorf("calendar.holidays: %q: want a date such as 2026-12-25", h.Date)
		}
		if i > 0 && c.Holidays[i-1].Date == h.Date {
			return fmt.Errorf("calendar.holidays: %s is there twice", h.Date)
		}
		if !plainText(h.Name, 100) {
			return fmt.Errorf("calendar.holidays: the name of %s: want at most 100 characters and no control characters", h.Date)
		}
	}
	return nil
}

func (q Quotas) validate() error {
	for _, v := range []struct {
		name   string
		n, max int64
	}{
		{"events_per_second", int64(q.EventsPerSecond), 10_000_000}, {"events_per_day", q.EventsPerDay, 1 << 50}, {"bytes_per_day", q.BytesPerDay, 1 << 60},
		{"requests_per_second", int64(q.RequestsPerSecond), 100_000}, {"concurrent_queries", int64(q.ConcurrentQueries), 64},
	} {
		if v.n < 0 || v.n > v.max {
			return fmt.Errorf("quotas.%s: %d: want 0 (the installation's default) to %d", v.name, v.n, v.max)
		}
	}
	return nil
}

func validateNetworks(list []Network) error {
	if len(list) > MaxNetworks {
		return fmt.Errorf("networks: %d ranges: want at most %d", len(list), MaxNetworks)
	}
	seen := make(map[netip.Prefix]string, len(list))
	for _, n := range list {
		if n.Name == "" || !plainText(n.Name, 100) {
			return fmt.Errorf("networks: the name %q: want 1 to 100 characters without control characters", n.Name)
		}
		if !n.Prefix.IsValid() || n.Prefix != n.Prefix.Masked() {
			return fmt.Errorf("networks: %s: %s is no range of addresses", n.Name, n.Prefix)
		}
		if n.Prefix.Bits() == 0 {
			return fmt.Errorf("networks: %s: %s is every address: name the ranges that are the tenant's own", n.Name, n.Prefix)
		}
		if !slices.Contains(networkKinds, n.Kind) {
			return fmt.Errorf("networks: %s: kind %q: want one of %s", n.Name, n.Kind, strings.Join(networkKinds, ", "))
		}
		if other, twice := seen[n.Prefix]; twice {
			return fmt.Errorf("networks: %s is there twice, in %s and %s", n.Prefix, other, n.Name)
		}
		seen[n.Prefix] = n.Name
	}
	return nil
}
