package core

import (
	"cmp"
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/tenantwatch/tenantwatch/core/tenant"
)

// UsageCounts are what a tenant used: events and lines pushed, bytes pushed
// (decompressed), requests to the API, and requests that a limit refused.
type UsageCounts struct{ Events, Bytes, Queries, Refused int64 }

func (u *UsageCounts) add(v UsageCounts) {
	u.Events += v.Events
	u.Bytes += v.Bytes
	u.Queries += v.Queries
	u.Refused += v.Refused
}

// UsageDay is one UTC day of one tenant.
type UsageDay struct {
	Day time.Time // midnight UTC
	UsageCounts
}

// Usage counts what tenants use. Each process adds up in memory and writes
// every 5 seconds and at its end; a crash loses what was not yet written.
type Usage struct {
	c       *Core
	allowed *cache[tenant.ID, Allowance]
	mu      sync.Mutex
	counted map[usageKey]UsageCounts
}

// Quotas bound what a tenant may use; 0 is no bound.
type Quotas struct{ EventsPerSecond, EventsPerDay, BytesPerDay, RequestsPerSecond int64 }

// Allowance is what a tenant may use and what it used of the UTC day so far.
type Allowance struct {
	Quotas
	Today UsageCounts
}

// Allowance reads a tenant's quotas and what was counted of today, by all
// processes up to 5 seconds ago and by this one; it may be 5 seconds old, so
// that a quota of a day may be passed by what comes in within ten.
func (u *Usage) Allowance(ctx context.Context, id tenant.ID) (Allowance, error) {
	if a, ok := u.allowed.get(id); ok {
		return a, nil
	}
	read := u.c.now()
	q, err := u.quotas(ctx, id)
	if err != nil {
		return Allowance{}, err
	}
	a := Allowance{Quotas: q}
	if q.EventsPerDay > 0 || q.BytesPerDay > 0 {
		day := read.UTC().Truncate(24 * time.Hour)
		days, err := u.List(ctx, id, day, day.Add(24*time.Hour))
		if err != nil {
			return Allowance{}, err
		}
		for _, d := range days {
			a.Today.add(d.UsageCounts)
		}
	}
	u.allowed.put(id, a, read)
	return a, nil
}

// quotas are the tenant's own; what it leaves open is the installation's.
func (u *Usage) quotas(ctx context.Context, id tenant.ID) (Quotas, error) {
	s, _, err := u.c.Tenants.Settings(ctx, id)
	if err != nil {
		return Quotas{}, err
	}
	own, all := s.Quotas, u.c.cfg.Quotas
	return Quotas{EventsPerSecond: cmp.Or(int64(own.EventsPerSecond), all.EventsPerSecond), EventsPerDay: cmp.Or(own.EventsPerDay, all.EventsPerDay),
		BytesPerDay: cmp.Or(own.BytesPerDay, all.BytesPerDay), RequestsPerSecond: cmp.Or(int64(own.RequestsPerSecond), all.RequestsPerSecond)}, nil
}

type usageKey struct {
	tenant tenant.ID
	day    string // 2006-01-02, UTC
}

// maxUsage bounds the tenants counted between two flushes; what is beyond it
// is not counted.
const maxUsage = 50_000

// Add counts; it does not wait for anything.
func (u *Usage) Add(id tenant.ID, n UsageCounts) {
	if id.IsZero() {
		return
	}
	k := usageKey{id, u.c.now().UTC().Format(time.DateOnly)}
	u.mu.Lock()
	defer u.mu.Unlock()
	sum, ok := u.counted[k]
	if !ok && len(u.counted) >= maxUsage {
		return
	}
	sum.add(n)
	u.counted[k] = sum
}

// Flush writes what was counted; what fails is kept for the next time.
func (u *Usage) Flush(ctx context.Context) error {
	u.mu.Lock()
	counted := u.counted
	u.counted = make(map[usageKey]UsageCounts, len(counted))
	u.mu.Unlock()
	if len(counted) == 0 {
		return nil
	}
	n := len(counted)
	slugs, days := make([]string, 0, n), make([]string, 0, n)
	var events, bytes, queries, refused []int64
	for k, v := range counted {
		slugs, days = append(slugs, k.tenant.String()), append(days, k.day)
		events, bytes, queries, refused = append(events, v.Events), append(bytes, v.Bytes), append(queries, v.Queries), append(refused, v.Refused)
	}
	err := u.c.InPlatform(ctx, OpMeterUsage, func(tx pgx.Tx) error {
		// In one order everywhere, so that two processes cannot wait for one another.
		_, err := tx.Exec(ctx, `insert into usage_daily as d (tenant_id, day, events, bytes, queries, refused)
			select t.id, v.day::date, v.events, v.bytes, v.queries, v.refused
			from unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[]) v (slug, day, events, bytes, queries, refused)
			join tenants t on t.slug = v.slug order by t.id, v.day
			on conflict (tenant_id, day) do update set events = d.events + excluded.events, bytes = d.bytes + excluded.bytes,
				queries = d.queries + excluded.queries, refused = d.refused + excluded.refused`, slugs, days, events, bytes, queries, refused)
		return err
	})
	if err != nil {
		u.mu.Lock()
		defer u.mu.Unlock()
		for k, v := range counted {
			sum, ok := u.counted[k]
			if ok || len(u.counted) < maxUsage {
				sum.add(v)
				u.counted[k] = sum
			}
		}
		return fmt.Errorf("usage: %w", err)
	}
	return nil
}

func (u *Usage) flushLoop(ctx context.Context) error {
	t := time.NewTicker(5 * time.Second)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
			if err := u.Flush(ctx); err != nil && ctx.Err() == nil {
				u.c.log.Warn("write what tenants used", "error", err)
			}
		}
	}
}

// List reads a tenant's days in [from, to), oldest first. What this process
// has counted is written before.
func (u *Usage) List(ctx context.Context, id tenant.ID, from, to time.Time) (out []UsageDay, err error) {
	if err := u.Flush(ctx); err != nil {
		return nil, err
	}
	whose, err := u.c.owners(ctx, []tenant.ID{id})
	if err != nil {
		return nil, wrap(err, "usage of %s", id)
	}
	err = u.c.InTenantRead(ctx, id, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `select tenant_id::text, day, events, bytes, queries, refused from usage_daily
			where day >= $1::date and day < $2::date order by day limit 4000`, from.UTC().Format(time.DateOnly), to.UTC().Format(time.DateOnly))
		if err != nil {
			return err
		}
		out, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (UsageDay, error) {
			var d UsageDay
			var owner string
			if err := row.Scan(&owner, &d.Day, &d.Events, &d.Bytes, &d.Queries, &d.Refused); err != nil {
				return d, err
			}
			_, err := whose.of(owner)
			return d, err
		})
		return err
	})
	if err != nil {
		out = nil
	}
	return out, wrap(err, "usage of %s", id)
}
