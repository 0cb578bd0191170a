package core

import (
	"sync"

	"github.com/tenantwatch/tenantwatch/core/tenant"
)

// changeHub wakes those who listen for changes of tenants. A slow listener
// costs a bounded map and never blocks anybody.
type changeHub struct {
	mu   sync.Mutex
	subs map[*listener]struct{}
	last map[tenant.ID]int // announced already
}

type listener struct {
	pending map[tenant.ID]int
	wake    chan struct{}
}

func newChangeHub() *changeHub {
	return &changeHub{subs: make(map[*listener]struct{}), last: make(map[tenant.ID]int)}
}

// announce tells whether it was news. Version 0 says that the tenant is gone.
func (h *changeHub) announce(id tenant.ID, version int) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if last, known := h.last[id]; known && version != 0 && version <= last {
		return false
	}
	h.last[id] = version
	if version == 0 {
		delete(h.last, id)
	}
	for s := range h.subs {
		s.pending[id] = version
		select {
		case s.wake <- struct{}{}:
		default:
		}
	}
	return true
}

func (h *changeHub) join() *listener {
	h.mu.Lock()
	defer h.mu.Unlock()
	s := &listener{pending: make(map[tenant.ID]int), wake: make(chan struct{}, 1)}
	h.subs[s] = struct{}{}
	return s
}

func (h *changeHub) leave(s *listener) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.subs, s)
}

func (h *changeHub) take(s *listener) []TenantChange {
	h.mu.Lock()
	defer h.mu.Unlock()
	out := make([]TenantChange, 0, len(s.pending))
	for id, v := range s.pending {
		out = append(out, TenantChange{id, v})
	}
	clear(s.pending)
	return out
}
