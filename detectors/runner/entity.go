package runner

import (
	"github.com/tenantwatch/tenantwatch/detectors/alert"
	"github.com/tenantwatch/tenantwatch/detectors/baseline"
	"github.com/tenantwatch/tenantwatch/detectors/detect"
	"github.com/tenantwatch/tenantwatch/pipeline/event"
)

// maxRecent is how many ids of suspicious events an entity keeps of a window,
// so that an alert can name what happened before it was raised.
const maxRecent = 24

type key struct {
	role detect.Role
	id   string
}

// win is one open window of an entity.
type win struct {
	hour   int64     // 0: not open
	p      float64   // combined, recalibrated
	raw    []float64 // smallest p by detector of the table, 0: not tested
	det    []float64 // the same, recalibrated
	count  []float64 // evidence by detector
	state  byte      // see the dispositions
	raised uint32    // bit per detector that went into the raised alert
	first  int64     // time of the first piece of evidence
	recent []string  // ids of suspicious events
	inputs []input   // what the recalibrated p-values came from
}

// Dispositions of a window's findings.
const (
	below byte = iota
	alerted
	folded
	suppressed
)

type entity struct {
	key
	typ    alert.EntityType
	cohort string
	lane   *lane
	states []detect.State   // by detector of the table, nil where it does not look
	pools  [][]detect.State // by detector, nearest first
	win    [2]win
	ep     *episode // open episode
	risk   baseline.Risk
	live   bool    // on the lane's list of entities with findings
	newer  *entity // least recently used list
	older  *entity
}

func (e *entity) public() alert.Entity { return alert.Entity{Type: e.typ, ID: e.id} }

func (w *win) open(hour int64, n int) {
	raw, det, count := w.raw, w.det, w.count
	if det == nil {
		all := make([]float64, 3*n)
		raw, det, count = all[:n:n], all[n:2*n:2*n], all[2*n:]
	}
	clear(raw)
	clear(det)
	clear(count)
	*w = win{hour: hour, p: 1, raw: raw, det: det, count: count, recent: w.recent[:0], inputs: w.inputs[:0]}
}

// entityFor finds or makes the entity of a role, or nil if the event has none.
func (l *lane) entityFor(r *Runner, role detect.Role, e *event.Event) *entity {
	var id string
	typ := alert.Tenant
	switch role {
	case detect.Actor:
		if e.Actor == e.SrcIP {
			return nil // nobody is named: the address acts for itself, and is looked at as one
		}
		id, typ = e.Actor, alert.User
		if e.ActorType == "service" {
			typ = alert.Service
		}
	case detect.Address:
		id, typ = e.SrcIP, alert.Address
	case detect.Tenant:
		id = l.tenant.String()
	}
	if id == "" {
		return nil
	}
	n := l.entities[role][id]
	if n == nil {
		n = &entity{key: key{role, id}, typ: typ, lane: l, states: make([]detect.State, len(r.dets))}
		for _, i := range r.byRole[role] {
			n.states[i] = r.dets[i].NewState(role)
		}
		l.entities[role][id] = n
		r.size++
		r.touch(n)
		r.forget()
	} else {
		r.touch(n)
	}
	if role == detect.Actor {
		if e.ActorType == "service" && n.typ != alert.Service || e.Cohort != "" && e.Cohort != n.cohort {
			if e.ActorType == "service" {
				n.typ = alert.Service
			}
			if e.Cohort != "" {
				n.cohort = e.Cohort
			}
			n.pools = nil
		}
	}
	if n.pools == nil {
		l.join(r, n)
	}
	return n
}

// touch makes e the most recently seen.
func (r *Runner) touch(e *entity) {
	if r.lru == e {
		return
	}
	if e.newer != nil {
		e.newer.older, e.older.newer = e.older, e.newer
	}
	if r.lru == nil {
		e.newer, e.older = e, e
	} else { // the newest's "newer" is the oldest: a ring
		e.older, e.newer = r.lru, r.lru.newer
		r.lru.newer.older = e
		r.lru.newer = e
	}
	r.lru = e
}

// forget drops the entities unseen for longest while there are too many. One
// with an open episode or a window under suspicion stays.
func (r *Runner) forget() {
	for tries := 0; r.size > r.opt.MaxEntities && tries < 64; tries++ {
		e := r.lru.newer // the oldest
		if e == r.lru {
			return
		}
		if e.ep != nil || e.live || e.role == detect.Tenant {
			r.touch(e)
			continue
		}
		e.lane.roll(r, e, e.win[0].hour+2) // its pools keep what it taught
		e.newer.older, e.older.newer = e.older, e.newer
		e.newer, e.older = nil, nil
		delete(e.lane.entities[e.role], e.id)
		r.size--
		r.count.Forgotten++
	}
}
