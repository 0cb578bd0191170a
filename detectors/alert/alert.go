// Package alert is the record a detector's finding becomes for people and
// SIEMs: `score events` prints it, the API and webhooks carry it.
//
// Invariant: the contributions, integers in thousandths of a point, sum to the
// score exactly. The package is pure and knows only core/tenant.
package alert

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/tenantwatch/tenantwatch/core/tenant"
)

// MaxEventIDs is how many event ids an alert names: first, last and strongest.
// Count is the total.
const MaxEventIDs = 100

// Points are thousandths of a point; 0 to 100,000. In JSON a score of 87125 is
// the number 87.125.
type Points int64

// MarshalJSON writes points as a decimal number with at most three places.
func (p Points) MarshalJSON() ([]byte, error) {
	return []byte(strconv.FormatFloat(float64(p)/1000, 'f', -1, 64)), nil
}

// UnmarshalJSON reads a decimal number of points.
func (p *Points) UnmarshalJSON(b []byte) error {
	f, err := strconv.ParseFloat(string(b), 64)
	if err != nil {
		return fmt.Errorf("score: %w", err)
	}
	*p = Points(math.Round(f * 1000))
	return nil
}

// EntityType is what kind of thing behaved oddly.
type EntityType string

// The entity types of the contract.
const (
	User     EntityType = "user"
	Service  EntityType = "service"
	Address  EntityType = "address"
	Device   EntityType = "device"
	Session  EntityType = "session"
	Resource EntityType = "resource"
	Source   EntityType = "source"
	Tenant   EntityType = "tenant"
)

// Entity names one thing; ID is verbatim the event's value.
type Entity struct {
	Type EntityType `json:"type"`
	ID   string     `json:"id"`
}

// Severity is one of the five words of the contract.
type Severity string

// The severities, mild to grave.
const (
	Informational Severity = "informational"
	Low           Severity = "low"
	Medium        Severity = "medium"
	High          Severity = "high"
	Critical      Severity = "critical"
)

// State says whether the alert still stands.
type State string

// The states: raised once, amended when late events changed it, retracted when
// they explained it away. Revision counts the changes from 1.
const (
	Raised    State = "raised"
	Amended   State = "amended"
	Retracted State = "retracted"
)

// Contribution is one detector's part in the score.
type Contribution struct {
	Name         string  `json:"name"`
	Version      string  `json:"version"`
	Contribution int64   `json:"contribution"` // thousandths of a point
	Observed     float64 `json:"observed"`
	Expected     float64 `json:"expected"`
	PValue       float64 `json:"p_value"`
	Unit         string  `json:"unit,omitempty"` // of observed and expected, e.g. "failed sign-ins in 1 h"
}

// PlotPoint is one step of a plot: what was seen against the band in which
// it was expected.
type PlotPoint struct {
	Time     time.Time `json:"t"`
	Observed float64   `json:"observed"`
	Expected float64   `json:"expected"`
	Lower    float64   `json:"lower"`
	Upper    float64   `json:"upper"`
}

// Plot is the picture behind one contribution, taken when the alert was
// raised, so that it shows what the detector knew then.
type Plot struct {
	Detector string      `json:"detector"`
	Title    string      `json:"title"`
	Unit     string      `json:"unit"`
	StepSec  int64       `json:"step_seconds"`
	Points   []PlotPoint `json:"points"`
}

// Alert is one alert in one revision.
type Alert struct {
	ID             string         `json:"id"` // UUIDv7 layout: RaisedAt, then a hash of tenant, entity, episode start, configuration
	Tenant         tenant.ID      `json:"tenant_id"`
	Entity         Entity         `json:"entity"`
	Related        []Entity       `json:"related"`
	FirstSeen      time.Time      `json:"first_seen"`
	LastSeen       time.Time      `json:"last_seen"`
	RaisedAt       time.Time      `json:"raised_at_event_time"`
	Score          Points         `json:"score"`
	Severity       Severity       `json:"severity"`
	PValue         float64        `json:"p_value"`
	Detectors      []Contribution `json:"detectors"`
	Technique      []string       `json:"technique"`
	Count          uint64         `json:"count"`
	EventIDs       []string       `json:"event_ids"`
	Title          string         `json:"title"`
	Reason         string         `json:"reason"`
	Counterfactual string         `json:"counterfactual"`
	BaselineHash   string         `json:"baseline_hash"`
	State          State          `json:"state"`
	Revision       uint32         `json:"revision"`
	Seq            uint64         `json:"seq"`
	Plots          []Plot         `json:"plots,omitempty"`
	// Kept is for a replay; the feed and receivers do not get it.
	Kept *Kept `json:"kept,omitempty"`
}

// Validate checks the invariant of the package and the ranges of the contract.
func (a *Alert) Validate() error {
	var sum int64
	for _, d := range a.Detectors {
		sum += d.Contribution
	}
	switch {
	case a.ID == "":
		return fmt.Errorf("alert has no id")
	case a.Tenant.IsZero():
		return fmt.Errorf("alert %s has no tenant", a.ID)
	case a.Entity.Type == "" || a.Entity.ID == "":
		return fmt.Errorf("alert %s has no entity", a.ID)
	case a.Score < 0 || a.Score > 100_000:
		return fmt.Errorf("alert %s: score %d is outside 0..100000 thousandths", a.ID, a.Score)
	case sum != int64(a.Score):
		return fmt.Errorf("alert %s: contributions sum to %d, the score is %d thousandths", a.ID, sum, a.Score)
	case len(a.EventIDs) > MaxEventIDs:
		return fmt.Errorf("alert %s names %d events: at most %d", a.ID, len(a.EventIDs), MaxEventIDs)
	case !(a.PValue >= 0 && a.PValue <= 1):
		return fmt.Errorf("alert %s: p-value %v is outside 0..1", a.ID, a.PValue)
	case a.Revision == 0:
		return fmt.Errorf("alert %s has no revision", a.ID)
	}
	return nil
}

var _ json.Marshaler = Points(0)
