// Package detect is the contract between the runner and a detector.
//
// A detector looks at one event at a time for one entity and says how
// improbable what it has seen of that entity in the current window is: a tail
// probability under the entity's own baseline, with priors borrowed from the
// pools the entity belongs to (its cohort, then its tenant). The runner owns
// time, windows, memory, thresholds and alerts; the detector owns the model.
//
// Invariant: Observe is a function of the scope alone. A detector does no
// I/O, reads no clock, draws no random numbers and keeps nothing outside the
// states it is handed. It must not import the runner.
package detect

import (
	"time"

	"github.com/tenantwatch/tenantwatch/detectors/alert"
	"github.com/tenantwatch/tenantwatch/detectors/baseline"
	"github.com/tenantwatch/tenantwatch/detectors/state"
	"github.com/tenantwatch/tenantwatch/pipeline/event"
)

// Role is the part an entity plays in an event.
type Role uint8

// The roles an event is looked at in.
const (
	Actor Role = iota
	Address
	Tenant
	NumRoles = 3
)

// String is the role's name.
func (r Role) String() string { return [...]string{"actor", "address", "tenant"}[r] }

// State is what a detector remembers of an entity or a pool.
type State interface {
	Encode(*state.Writer)
	Decode(*state.Reader)
}

// Names turns the hash of a value back into its text for a sentence.
type Names interface {
	Name(hash uint64) string
	Remember(hash uint64, text string)
}

// Scope is what a detector is handed: one event and the entity it is looked
// at for. Event is nil in Close and may be nil in Explain.
type Scope struct {
	Event  *event.Event
	Role   Role
	Entity alert.Entity
	Hour   int64 // Unix hours: the window
	// Slot says which of the entity's two open windows the event falls into:
	// 0 the newest, 1 the one before. -1: a later window was learnt already;
	// the event is learnt, and judged only by what needs no window.
	Slot  int
	State State
	Pools []State // nearest first; never empty
	// Common is the detector's pool of the tenant as a whole, whatever the role.
	Common State
	Season *baseline.Week
	Names  Names
	// Setting is what the tenant said of its clocks, days off and networks;
	// nil: nothing. Its methods take nil.
	Setting *Setting

	Auth       bool // the event is a sign-in attempt
	FailedAuth bool // and it failed: nobody proved to be the actor
	Explained  bool // an open alert on another entity accounts for the event
	Episode    bool // the entity has an open alert in which the detector has a part
	Flagged    bool // in Close: the window raised or fed an alert

	hashes hashes
	week   week
}

// Verdict is what Observe found.
type Verdict struct {
	P        float64 // tail probability of the window so far; 1: nothing odd
	Evidence bool    // the event is of the kind the detector counts
	Critical bool    // confirmed beyond chance: may exceed the budget
}

// Explanation says the same to a person.
type Explanation struct {
	Observed, Expected float64
	Unit               string
	P                  float64
	Lower, Upper       float64 // the interval expected in 95 of 100 windows
	Title              string  // a few words
	Reason             string  // one sentence with the numbers
	Counterfactual     string  // "It would not have fired …"
	Technique          []string
	Related            []alert.Entity
	Plot               *alert.Plot
	Basis              []byte // the numbers P was computed from, for the hash
}

// Detector is one statistical detector.
type Detector interface {
	Name() string
	Version() string
	// Roles are the roles it looks at.
	Roles() []Role
	NewState(Role) State
	NewPool(Role) State
	// Observe takes an event into the window and judges the window so far.
	// Within a window more of the same never makes P larger.
	Observe(*Scope) Verdict
	// Shift makes the newest window the one before; Close has been called for
	// what was there.
	Shift(State)
	// Close learns the window of Slot 1, which is over, and forgets it.
	Close(*Scope)
	// Explain describes the window of Slot.
	Explain(*Scope) Explanation
}

// Start is the time a window begins.
func Start(hour int64) time.Time { return time.Unix(hour*3600, 0).UTC() }

// Replayer is a detector that can compute its p-value again from the Basis of
// an explanation, to the last bit.
type Replayer interface {
	Replay(basis []byte) (p float64, ok bool)
}
