// Package policy holds what a tenant asks of the detectors: how many alerts a
// day, in which hours its people work, which networks are its own, what it has
// suppressed with a reason, and how its verdicts moved the detectors.
//
// Invariant: a Policy is a value; the runner applies one, core stores its
// parts, and whoever replays an alert hands in the one of that time. The
// package is a leaf: no I/O, no clock.
package policy

import (
	"net/netip"
	"time"
)

// DefaultBudget is how many alerts a tenant asks for in a UTC day unless it
// says otherwise: a ceiling for the expected number, never a quota.
const DefaultBudget = 5

// Sensitivity is bounded so that no verdict can blind a detector: at the floor
// a finding needs to be a hundred times rarer than before to count the same.
const (
	MinSensitivity = 0.01
	MaxSensitivity = 10
)

// Policy is one tenant's. The zero value is a tenant that said nothing.
type Policy struct {
	// Budget is alerts per UTC day, 0 to 10,000; negative means DefaultBudget.
	Budget int `json:"budget"`
	// TimeZone is an IANA name; empty is UTC.
	TimeZone string `json:"time_zone,omitempty"`
	// Holidays are days of the tenant's calendar ("2006-01-02") that behave
	// like a Sunday.
	Holidays []string `json:"holidays,omitempty"`
	// Networks belong together: a user moving within or between them travels
	// nowhere.
	Networks []Network `json:"networks,omitempty"`
	// Suppressions hide alerts; what they hide stays counted and searchable.
	Suppressions []Suppression `json:"suppressions,omitempty"`
	// Sensitivity, by a detector's name, divides that detector's p-values for
	// this tenant: 1 or missing changes nothing, below 1 asks for more
	// evidence. In [MinSensitivity, MaxSensitivity].
	Sensitivity map[string]float64 `json:"sensitivity,omitempty"`
}

// NetworkKind says what a network is to the tenant.
type NetworkKind string

// The kinds of networks.
const (
	Office  NetworkKind = "office"
	VPN     NetworkKind = "vpn"
	Mobile  NetworkKind = "mobile"
	Cloud   NetworkKind = "cloud"
	Partner NetworkKind = "partner"
)

// Network is a named range.
type Network struct {
	Name   string       `json:"name"`
	Prefix netip.Prefix `json:"prefix"`
	Kind   NetworkKind  `json:"kind"`
}

// Suppression hides the alerts it matches between From and Until. Every field
// of the scope that is set must match; at least one must be set besides the
// detector.
type Suppression struct {
	ID string `json:"id"`
	// Detector is a detector's name: it matches alerts that this detector
	// contributed most to.
	Detector string `json:"detector,omitempty"`
	// EntityType and EntityID are the alert's entity, verbatim.
	EntityType string `json:"entity_type,omitempty"`
	EntityID   string `json:"entity_id,omitempty"`
	// Action is the event's action, verbatim or with one '*' at the end.
	Action string `json:"action,omitempty"`
	// Network holds the event's source address.
	Network netip.Prefix `json:"network,omitzero"`
	// Label is "key=value" of the event's labels.
	Label string `json:"label,omitempty"`
	// From and Until bound the event times it applies to; Until is its expiry.
	From  time.Time `json:"from"`
	Until time.Time `json:"until"`
}
