package detect

import (
	"github.com/tenantwatch/tenantwatch/detectors/baseline"
	"github.com/tenantwatch/tenantwatch/pipeline/event"
)

// The texts of an event that several detectors hash.
const (
	actorText = iota
	addressText
	actionText
	resourceText
	texts
)

// hashes are those of one event's texts, each computed when first asked for.
type hashes struct {
	of   *event.Event
	have uint8
	hash [texts]uint64
}

func (s *Scope) hash(i int, text string) uint64 {
	h := &s.hashes
	if h.of != s.Event {
		h.of, h.have = s.Event, 0
	}
	if h.have&(1<<i) == 0 {
		h.have |= 1 << i
		h.hash[i] = baseline.Hash(text)
	}
	return h.hash[i]
}

// ActorHash is baseline.Hash of the event's actor. Who hands out the scope
// makes a new one for each event.
func (s *Scope) ActorHash() uint64 { return s.hash(actorText, s.Event.Actor) }

// AddressHash is that of its source address.
func (s *Scope) AddressHash() uint64 { return s.hash(addressText, s.Event.SrcIP) }

// ActionHash is that of its action.
func (s *Scope) ActionHash() uint64 { return s.hash(actionText, s.Event.Action) }

// ResourceHash is that of its resource.
func (s *Scope) ResourceHash() uint64 { return s.hash(resourceText, s.Event.Resource) }
