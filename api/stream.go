package api

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/tenantwatch/tenantwatch/api/internal/rest"
	"github.com/tenantwatch/tenantwatch/core/tenant"
	"github.com/tenantwatch/tenantwatch/detectors/alert"
)

const (
	streamBatch   = 100  // alerts read at a time
	streamBacklog = 1000 // alerts of one tenant replayed; beyond, the client is told how many it missed
	maxEventID    = 4096 // of the id of a message, in bytes
)

// feedPosition is how far a stream has got in each tenant's feed.
type feedPosition struct {
	Seqs map[string]uint64 `json:"q"`
}

// StreamAlerts sends alerts as they are stored.
func (h *handlers) StreamAlerts(ctx context.Context, r rest.StreamAlertsRequestObject) (rest.StreamAlertsResponseObject, error) {
	ctx, k := callOf(ctx)
	st := &stream{h: h, ctx: ctx, k: k, at: feedPosition{map[string]uint64{}}}
	resumed := false
	if id := r.Params.LastEventID; id != nil && *id != "" {
		if err := st.resume(*id); err != nil {
			return nil, err
		}
		resumed = true
	}
	select {
	case h.s.streams <- struct{}{}:
	default:
		return nil, tooMany(10*time.Second, "streams at once")
	}
	// Listen first and look at the feeds then: what is stored in between is
	// announced.
	listening, stop := context.WithCancel(ctx)
	st.stop, st.growth = stop, h.s.opts.Alerts.Subscribe(listening)
	if !k.empty() {
		heads, err := h.s.opts.Alerts.Heads(ctx, k.scope)
		if err != nil {
			st.close()
			return nil, err
		}
		if resumed {
			st.heads = heads
		} else {
			for id, seq := range heads {
				st.at.Seqs[id.String()] = seq
			}
		}
	}
	return st, nil
}

type stream struct {
	h      *handlers
	ctx    context.Context
	k      *call
	at     feedPosition
	heads  map[tenant.ID]uint64 // to catch up with
	growth <-chan Growth
	stop   context.CancelFunc
	w      http.ResponseWriter
}

// resume reads the id of the last message a client has seen.
func (st *stream) resume(id string) error {
	if !st.k.one.IsZero() {
		seq, err := strconv.ParseUint(id, 10, 63)
		if err != nil {
			return badField("Last-Event-ID", "is no id of this stream")
		}
		st.at.Seqs[st.k.one.String()] = seq
		return nil
	}
	if !st.h.s.cursors.open(st.k.bind(), id, &st.at) {
		return newProblem(kindInvalidCursor, "Last-Event-ID is no id of this stream.")
	}
	if st.at.Seqs == nil {
		st.at.Seqs = map[string]uint64{}
	}
	return nil
}

// close ends the subscription and gives the slot back.
func (st *stream) close() {
	st.stop()
	for range st.growth { // until the store has let go
	}
	<-st.h.s.streams
}

// VisitStreamAlertsResponse writes until the client goes, the credential ends
// or the server stops.
func (st *stream) VisitStreamAlertsResponse(w http.ResponseWriter) error {
	defer st.close()
	s := st.h.s
	s.metrics.streams.Inc()
	defer s.metrics.streams.Dec()
	st.w = w
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("X-Accel-Buffering", "no")
	w.WriteHeader(http.StatusOK)
	if st.send("retry: 2000\n\n") != nil {
		return nil
	}
	for _, id := range st.k.scope {
		if err := st.catchUp(Growth{id, st.heads[id]}); err != nil {
			return st.ended(err)
		}
	}
	beat := time.NewTicker(s.opts.Limits.Heartbeat)
	defer beat.Stop()
	for {
		select {
		case <-st.ctx.Done():
			return nil
		case <-s.drain:
			return nil
		case g, ok := <-st.growth:
			if !ok {
				return nil
			}
			if err := st.catchUp(g); err != nil {
				return st.ended(err)
			}
		case <-beat.C:
			if !st.stillAllowed() || st.send(": still here\n\n") != nil {
				return nil
			}
		}
	}
}

// ended logs why a stream broke, unless the client simply went.
func (st *stream) ended(err error) error {
	if st.ctx.Err() == nil {
		st.h.s.log.WarnContext(st.ctx, "stream ended", "request_id", requestID(st.k.gin), "error", err)
	}
	return nil // the answer is under way: there is no problem to write any more
}

// stillAllowed asks for the credential again: a stream must not outlive it,
// nor a change of what it may see.
func (st *stream) stillAllowed() bool {
	var now call
	if err := st.h.s.resolve(st.k.gin, &now); err != nil {
		return false
	}
	was, is := st.k.principal, now.principal
	return was.Role == is.Role && was.Tenant == is.Tenant && slices.Equal(was.Tenants, is.Tenants) && is.Can(st.k.route.Permission)
}

// catchUp sends what a tenant's feed has grown by.
func (st *stream) catchUp(g Growth) error {
	if !slices.Contains(st.k.scope, g.Tenant) {
		return nil
	}
	name := g.Tenant.String()
	if at := st.at.Seqs[name]; g.Seq > at && g.Seq-at > streamBacklog {
		st.at.Seqs[name] = g.Seq
		return st.message("missed", g.Seq, rest.StreamMissed{Missed: int64(g.Seq - at)})
	}
	for st.at.Seqs[name] < g.Seq {
		alerts, err := st.h.s.opts.Alerts.After(st.ctx, g.Tenant, st.at.Seqs[name], streamBatch)
		if err != nil {
			return err
		}
		if len(alerts) == 0 {
			return nil // announced before it can be read; the next announcement brings it
		}
		for _, a := range alerts {
			st.at.Seqs[name] = a.Seq
			if err := st.message("alert", a.Seq, streamView(a)); err != nil {
				return err
			}
		}
	}
	return nil
}

func streamView(a alert.Alert) rest.StreamAlert {
	return rest.StreamAlert{Id: a.ID, TenantId: a.Tenant.String(), Seq: int64(a.Seq), Revision: int64(a.Revision),
		State: rest.AlertState(a.State), Severity: rest.Severity(a.Severity)}
}

func (st *stream) message(kind string, seq uint64, data any) error {
	b, err := json.Marshal(data)
	if err != nil {
		return err
	}
	id := strconv.FormatUint(seq, 10)
	if st.k.one.IsZero() {
		id = st.h.s.cursors.seal(st.k.bind(), st.at)
	}
	head := "id: " + id + "\n"
	if len(id) > maxEventID { // too many tenants to say where we are: no replay
		head = ""
	}
	return st.send(fmt.Sprintf("%sevent: %s\ndata: %s\n\n", head, kind, b))
}

func (st *stream) send(text string) error {
	st.h.s.extend(st.k.gin)
	if _, err := st.w.Write([]byte(text)); err != nil {
		return err
	}
	return http.NewResponseController(st.w).Flush()
}
