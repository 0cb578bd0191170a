package runner

import (
	"encoding/json"
	"fmt"
	"hash/crc32"
	"maps"
	"slices"

	"github.com/tenantwatch/tenantwatch/core/tenant"
	"github.com/tenantwatch/tenantwatch/detectors/alert"
	"github.com/tenantwatch/tenantwatch/detectors/baseline"
	"github.com/tenantwatch/tenantwatch/detectors/detect"
	"github.com/tenantwatch/tenantwatch/detectors/state"
)

// snapshotVersion changes with the layout; an older one is refused, and the
// runner starts anew from the log.
const snapshotVersion = "tenantwatch detectors 4\n"

var crcTable = crc32.MakeTable(crc32.Castagnoli)

func (r *Runner) tenantIDs() []tenant.ID {
	return slices.SortedFunc(maps.Keys(r.tenants), func(a, b tenant.ID) int {
		if a.String() < b.String() {
			return -1
		}
		return 1
	})
}

// Snapshot is everything the runner remembers, the same bytes for the same
// history: a header with the version and the configuration, the state, a
// CRC-32C.
func (r *Runner) Snapshot() []byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	w := &state.Writer{Buf: make([]byte, 0, 1<<16)}
	w.Buf = append(w.Buf, snapshotVersion...)
	w.Str(r.opt.frame())
	encodeLayout(w, r.dets)
	c := r.count
	for _, v := range []uint64{c.Scored, c.Duplicate, c.TooLate, c.Future, c.Invalid, c.Forgotten} {
		w.U64(v)
	}
	w.F64(r.share)
	tenantIDs := r.tenantIDs()
	w.U64(uint64(len(tenantIDs)))
	place := make(map[*lane][2]int)
	for ti, id := range tenantIDs {
		t := r.tenants[id]
		w.Str(id.String())
		w.Bytes(t.rules.encode())
		t.seen.encode(w)
		w.U64(uint64(len(t.lanes)))
		for li, l := range t.lanes {
			place[l] = [2]int{ti, li}
			l.encode(r, w)
		}
		w.U64(uint64(len(t.of)))
		for _, src := range slices.Sorted(maps.Keys(t.of)) {
			w.Str(src)
			w.I64(t.of[src].mark)
			w.U64(uint64(place[t.of[src].lane][1]))
		}
	}
	w.U64(uint64(r.size))
	if r.lru != nil {
		for e := r.lru.newer; ; e = e.newer {
			at := place[e.lane]
			w.U64(uint64(at[0]))
			w.U64(uint64(at[1]))
			e.encode(r, w)
			if e == r.lru {
				break
			}
		}
	}
	for _, id := range tenantIDs { // these name entities
		for _, l := range r.tenants[id].lanes {
			l.encodeOpen(w)
		}
	}
	w.Buf = append(w.Buf, 0, 0, 0, 0)
	n := len(w.Buf) - 4
	sum := crc32.Checksum(w.Buf[:n], crcTable)
	for i := range 4 {
		w.Buf[n+i] = byte(sum >> (8 * i))
	}
	return w.Buf
}

// Restore replaces all the runner remembers. A snapshot of another version or
// of other detectors, or one that is damaged, is refused, and the runner stays
// as it was.
func (r *Runner) Restore(b []byte) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := len(b) - 4
	if n < len(snapshotVersion) || string(b[:len(snapshotVersion)]) != snapshotVersion {
		return fmt.Errorf("restore detectors: not a snapshot of this version: start from the beginning of the log")
	}
	sum := crc32.Checksum(b[:n], crcTable)
	for i := range 4 {
		if b[n+i] != byte(sum>>(8*i)) {
			return fmt.Errorf("restore detectors: %w: checksum differs", state.ErrCorrupt)
		}
	}
	d := &state.Reader{Buf: b[len(snapshotVersion):n]}
	if c := d.Str(); c != r.opt.frame() {
		return fmt.Errorf("restore detectors: the snapshot was made with other settings (%.100q, now %q)", c, r.opt.frame())
	}
	from := decodeLayout(d, r.dets)
	f := &Runner{from: from, opt: r.opt, config: r.config, dets: r.dets, byRole: r.byRole, tenants: make(map[tenant.ID]*tenantState), asked: -1}
	c := &f.count
	for _, v := range []*uint64{&c.Scored, &c.Duplicate, &c.TooLate, &c.Future, &c.Invalid, &c.Forgotten} {
		*v = d.U64()
	}
	f.share = d.F64()
	var order []*tenantState
	for range d.Len(4) {
		t := &tenantState{id: tenant.Verbatim(d.Str()), of: make(map[string]*clock)}
		u, err := decodeRules(d.Raw(), f.dets)
		if err != nil {
			d.Fail()
		}
		t.rules = u
		t.seen.decode(d)
		for range d.Len(10) {
			l := newLane(f, t, 0)
			l.decode(f, d)
			t.lanes = append(t.lanes, l)
		}
		for range d.Len(3) {
			src, mark, li := d.Str(), d.I64(), d.U64()
			if li >= uint64(len(t.lanes)) {
				d.Fail()
				break
			}
			t.of[src] = &clock{mark: mark, lane: t.lanes[li]}
		}
		f.tenants[t.id] = t
		order = append(order, t)
	}
	for range d.Len(10) {
		ti, li := d.U64(), d.U64()
		if ti >= uint64(len(order)) || li >= uint64(len(order[ti].lanes)) {
			d.Fail()
			break
		}
		l := order[ti].lanes[li]
		e := &entity{lane: l, states: make([]detect.State, len(f.dets))}
		e.decode(f, d)
		l.entities[e.role][e.id] = e
		l.join(f, e)
		f.touch(e)
		f.size++
	}
	for _, t := range order {
		for _, l := range t.lanes {
			l.decodeOpen(f, d)
		}
	}
	if err := d.Err(); err != nil {
		return fmt.Errorf("restore detectors: %w", err)
	}
	r.tenants, r.count, r.size, r.lru, r.share, r.asked = f.tenants, f.count, f.size, f.lru, f.share, -1
	return nil
}

func (s *ids) encode(w *state.Writer) {
	w.U64(uint64(len(s.days)))
	for _, day := range s.sortedDays() {
		w.I64(day)
		hs := s.days[day].sorted()
		w.U64(uint64(len(hs)))
		for _, h := range hs {
			w.Fixed(h)
		}
	}
}

func (s *ids) decode(d *state.Reader) {
	s.days, s.last = make(map[int64]*idSet), nil
	for range d.Len(2) {
		day := d.I64()
		n := d.Len(8)
		set := &idSet{slots: make([]uint64, 64)}
		for range n {
			if h := d.Fixed(); h != 0 {
				set.add(h)
			}
		}
		s.days[day] = set
	}
}

func (l *lane) encode(r *Runner, w *state.Writer) {
	w.I64(l.start)
	w.I64(l.mark)
	l.season.Encode(w)
	l.budget.Encode(w)
	for i := range l.cal {
		for j := range l.cal[i] {
			l.cal[i][j].Encode(w)
		}
	}
	w.U64(uint64(len(l.names)))
	for _, h := range slices.Sorted(maps.Keys(l.names)) {
		w.Fixed(h)
		w.Str(l.names[h])
	}
	keys := slices.SortedFunc(maps.Keys(l.pools), func(a, b poolKey) int {
		if a.role != b.role {
			return int(a.role) - int(b.role)
		}
		if a.cohort < b.cohort {
			return -1
		}
		return 1
	})
	w.U64(uint64(len(keys)))
	for _, k := range keys {
		w.U64(uint64(k.role))
		w.Str(k.cohort)
		for _, s := range l.pools[k] {
			encodeState(w, s)
		}
	}
}

func (l *lane) decode(r *Runner, d *state.Reader) {
	l.start, l.mark = d.I64(), d.I64()
	l.season.Decode(d)
	l.budget.Decode(d)
	for i := range l.cal {
		for _, j := range r.from {
			var c baseline.Calibrator
			c.Decode(d)
			if j >= 0 {
				l.cal[i][j] = c
			}
		}
	}
	for range d.Len(9) {
		h := d.Fixed()
		l.names[h] = d.Str()
	}
	for range d.Len(3) {
		role := d.U64()
		if role >= detect.NumRoles {
			d.Fail()
			return
		}
		p := l.pool(r, poolKey{detect.Role(role), d.Str()})
		for _, j := range r.from {
			if raw := d.Raw(); j >= 0 {
				decodeState(d, raw, p[j])
			}
		}
	}
}

func (e *entity) encode(r *Runner, w *state.Writer) {
	w.U64(uint64(e.role))
	w.Str(e.id)
	w.Str(string(e.typ))
	w.Str(e.cohort)
	w.Bool(e.live)
	w.F64(e.risk.Value)
	w.I64(e.risk.At)
	for i := range e.win {
		v := &e.win[i]
		w.I64(v.hour)
		if v.hour == 0 {
			continue
		}
		w.F64(v.p)
		w.U64(uint64(v.state))
		w.U64(uint64(v.raised))
		w.I64(v.first)
		w.F64s(v.raw...)
		w.F64s(v.det...)
		w.F64s(v.count...)
		encodeStrings(w, v.recent)
		encodeInputs(w, v.inputs)
	}
	w.U64(uint64(len(r.byRole[e.role])))
	for _, i := range r.byRole[e.role] {
		w.U64(uint64(i))
		encodeState(w, e.states[i])
	}
}

func (e *entity) decode(r *Runner, d *state.Reader) {
	role := d.U64()
	if role >= detect.NumRoles {
		d.Fail()
		return
	}
	e.key = key{detect.Role(role), d.Str()}
	e.typ = alert.EntityType(d.Str())
	e.cohort = d.Str()
	e.live = d.Bool()
	e.risk.Value, e.risk.At = d.F64(), d.I64()
	for i := range e.win {
		v := &e.win[i]
		hour := d.I64()
		if hour == 0 {
			continue
		}
		v.open(hour, len(r.dets))
		v.p = d.F64()
		v.state, v.raised, v.first = byte(d.U64()), r.bits(uint32(d.U64())), d.I64()
		for _, list := range [][]float64{v.raw, v.det, v.count} {
			for _, j := range r.from {
				if x := d.F64(); j >= 0 {
					list[j] = x
				}
			}
		}
		v.recent = decodeStrings(d)
		v.inputs = r.inputs(decodeInputs(d, len(r.from)))
	}
	for _, i := range r.byRole[e.role] {
		e.states[i] = r.dets[i].NewState(e.role)
	}
	for range d.Len(2) {
		i, raw := d.U64(), d.Raw()
		if i >= uint64(len(r.from)) {
			d.Fail()
			return
		}
		if j := r.from[i]; j >= 0 && e.states[j] != nil {
			decodeState(d, raw, e.states[j])
		}
	}
}

func encodeStrings(w *state.Writer, list []string) {
	w.U64(uint64(len(list)))
	for _, s := range list {
		w.Str(s)
	}
}

func decodeStrings(d *state.Reader) []string {
	var out []string
	for range d.Len(1) {
		out = append(out, d.Str())
	}
	return out
}

// saved is the form of an episode in a snapshot.
type saved struct {
	ID                    string
	RaisedAt, First, Last int64
	Count, P              float64
	Parts                 uint32
	Part                  []part
	Critical, Changed     bool
	Fruit                 string
	Related               []alert.Entity
	Head, Strong, Tail    []string
	SentAt, Grade         float64
	Hidden                string
	Inputs                []byte
	Sent                  alert.Alert
}

func (l *lane) encodeOpen(w *state.Writer) {
	name := func(e *entity) { w.U64(uint64(e.role)); w.Str(e.id) }
	w.U64(uint64(len(l.live)))
	for _, n := range l.live {
		name(n)
	}
	w.U64(uint64(len(l.open)))
	for _, ep := range l.open {
		name(ep.entity)
		sent := ep.sent
		sent.Tenant = tenant.ID{} // a verbatim id does not survive Parse
		b, err := json.Marshal(saved{
			ep.id, ep.raisedAt, ep.first, ep.last, ep.count, ep.p, ep.parts, ep.part,
			ep.critical, ep.changed, ep.fruit, ep.related, ep.head, ep.strong, ep.tail, ep.sentAt, ep.grade, ep.hidden, inputBytes(ep.inputs), sent,
		})
		if err != nil { // numbers are finite and strings are strings
			panic(fmt.Sprintf("detectors: episode %s does not encode: %v", ep.id, err))
		}
		w.Bytes(b)
	}
}

func (l *lane) decodeOpen(r *Runner, d *state.Reader) {
	find := func() *entity {
		role := d.U64()
		id := d.Str()
		if role >= detect.NumRoles {
			d.Fail()
			return nil
		}
		e := l.entities[role][id]
		if e == nil {
			d.Fail()
		}
		return e
	}
	for range d.Len(2) {
		if e := find(); e != nil {
			l.live = append(l.live, e)
		}
	}
	for range d.Len(3) {
		e, b := find(), d.Raw()
		var s saved
		sent := struct {
			*saved
			Sent struct {
				alert.Alert
				Tenant string `json:"tenant_id"` // hides the id, which is empty here
			}
		}{saved: &s}
		if e == nil || json.Unmarshal(b, &sent) != nil || len(s.Part) != len(r.from) {
			d.Fail()
			return
		}
		s.Sent = sent.Sent.Alert
		s.Part = r.parts(s.Part)
		s.Sent.Tenant = l.tenant
		e.ep = &episode{
			entity: e, id: s.ID, raisedAt: s.RaisedAt, first: s.First, last: s.Last, count: s.Count,
			parts: r.bits(s.Parts), part: s.Part, p: s.P, critical: s.Critical, fruit: s.Fruit, related: s.Related,
			head: s.Head, strong: s.Strong, tail: s.Tail, sent: s.Sent, sentAt: s.SentAt, changed: s.Changed,
			grade: s.Grade, hidden: s.Hidden, inputs: r.inputs(decodeInputs(&state.Reader{Buf: s.Inputs}, len(r.from))),
		}
		l.open = append(l.open, e.ep)
	}
}
