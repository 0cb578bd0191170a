package core

import (
	"context"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/tenantwatch/tenantwatch/core/tenant"
)

// Notification says that a tenant's feed has grown to Seq: a hint to go and
// read Alerts.After, so one that is lost to a later one costs nothing.
type Notification struct {
	Tenant tenant.ID
	Seq    uint64
}

// hub wakes subscribers. A polled counter rather than LISTEN: it works through
// a pooler in transaction mode and takes no connection.
type hub struct {
	mu   sync.Mutex
	subs map[*subscriber]struct{}
	last map[tenant.ID]uint64 // announced already
}

// subscriber holds what it has not been given yet, one entry a tenant: a slow
// reader costs a bounded map and never blocks anybody.
type subscriber struct {
	pending map[tenant.ID]uint64
	wake    chan struct{}
}

func newHub() *hub {
	return &hub{subs: make(map[*subscriber]struct{}), last: make(map[tenant.ID]uint64)}
}

func (h *hub) announce(n Notification) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if n.Seq <= h.last[n.Tenant] {
		return
	}
	h.last[n.Tenant] = n.Seq
	for s := range h.subs {
		s.pending[n.Tenant] = n.Seq
		select {
		case s.wake <- struct{}{}:
		default:
		}
	}
}

func (h *hub) take(s *subscriber) []Notification {
	h.mu.Lock()
	defer h.mu.Unlock()
	out := make([]Notification, 0, len(s.pending))
	for id, seq := range s.pending {
		out = append(out, Notification{id, seq})
	}
	clear(s.pending)
	return out
}

// Subscribe announces growth of any tenant's feed until ctx is done, when the
// channel is closed. The subscriber filters by the tenants it may see. Growth
// by other processes is seen while Run runs, within Config.Poll.
func (c *Core) Subscribe(ctx context.Context) <-chan Notification {
	s := &subscriber{pending: make(map[tenant.ID]uint64), wake: make(chan struct{}, 1)}
	c.hub.mu.Lock()
	c.hub.subs[s] = struct{}{}
	c.hub.mu.Unlock()
	out := make(chan Notification)
	go func() { // owned by ctx; ends with it and closes out
		defer close(out)
		defer func() {
			c.hub.mu.Lock()
			delete(c.hub.subs, s)
			c.hub.mu.Unlock()
		}()
		for {
			select {
			case <-ctx.Done():
				return
			case <-s.wake:
			}
			for _, n := range c.hub.take(s) {
				select {
				case <-ctx.Done():
					return
				case out <- n:
				}
			}
		}
	}()
	return out
}

// watchOverlap is how far back each poll looks: a transaction's change time is
// taken before it commits, and the server's clock is not ours.
const watchOverlap = 30 * time.Second

func (c *Core) watchLoop(ctx context.Context) error {
	t := time.NewTicker(c.cfg.Poll)
	defer t.Stop()
	var since, changed time.Time // of the server's clock
	for {
		if at, err := c.watchTenants(ctx, changed); err == nil {
			changed = at.Add(-watchOverlap)
		} else if ctx.Err() == nil {
			c.log.Warn("look for changes of tenants", "error", err)
		}
		at, err := c.watch(ctx, since)
		if err == nil {
			since = at.Add(-watchOverlap)
		} else if ctx.Err() == nil {
			c.log.Warn("look for new alerts", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
		}
	}
}

func (c *Core) watch(ctx context.Context, since time.Time) (at time.Time, err error) {
	var grown []Notification
	err = c.InPlatform(ctx, OpWatchAlerts, func(tx pgx.Tx) error {
		if err := tx.QueryRow(ctx, `select clock_timestamp()`).Scan(&at); err != nil {
			return err
		}
		rows, err := tx.Query(ctx, `select t.slug, c.seq from alert_counters c join tenants t on t.id = c.tenant_id
			where c.changed_at >= $1 and c.seq > 0`, since)
		if err != nil {
			return err
		}
		var slug string
		var seq int64
		_, err = pgx.ForEachRow(rows, []any{&slug, &seq}, func() error {
			id, err := tenant.Parse(slug)
			grown = append(grown, Notification{id, uint64(seq)})
			return err
		})
		return err
	})
	if err != nil {
		return at, err
	}
	for _, n := range grown {
		c.hub.announce(n)
	}
	return at, nil
}
