package httppush

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/tenantwatch/tenantwatch/collector"
)

// Refused credentials by network: a burst of a minute's worth, then one a
// second.
const (
	refusedPerSecond = 1
	refusedBurst     = 60 // seconds
)

// network is what an address is limited by: IPv4 whole, IPv6 by /64.
func network(remote string) string {
	host, _, err := net.SplitHostPort(remote)
	if err != nil {
		host = remote
	}
	a, err := netip.ParseAddr(host)
	if err != nil {
		return host
	}
	if a = a.Unmap().WithZone(""); a.Is6() {
		p, _ := a.Prefix(64)
		return p.String()
	}
	return a.String()
}

// use counts what was read of a request, for the key's quota, the tenant's and
// the meter, and says how long the sender should pause.
func (h *Handler) use(key collector.IngestKey, bytes, events int) time.Duration {
	h.quota.use(key.ID, bytes, events)
	if h.meter != nil {
		h.meter.Pushed(key.Tenant, events, bytes)
	}
	wait := h.quota.wait(key.ID)
	if rate := key.Limits.EventsPerSecond; rate > 0 {
		wait = max(wait, h.tenants.own(key.Tenant.String(), float64(rate), events))
	}
	return wait
}

// allow refuses a request over a quota with 429 and the time to wait, and
// tells every sender what is left (RateLimit and RateLimit-Policy as the
// Internet draft of the HTTP API working group has them; q and r are events).
func (h *Handler) allow(w http.ResponseWriter, key collector.IngestKey) int {
	var policy, left []string
	say := func(name string, q *quota, id string, rate float64) {
		r, most, t := q.left(id, rate)
		policy = append(policy, fmt.Sprintf("%q;q=%d;w=%d", name, most, int(q.burst)))
		left = append(left, fmt.Sprintf("%q;r=%d;t=%d", name, r, t))
	}
	wait, why := h.quota.wait(key.ID), "this key is over its quota: slow down or ask for a larger one"
	if h.quota.perSec > 0 {
		say("key", &h.quota, key.ID, 0)
	}
	l := key.Limits
	if l.EventsPerSecond > 0 {
		say("tenant", &h.tenants, key.Tenant.String(), float64(l.EventsPerSecond))
		if d := h.tenants.own(key.Tenant.String(), float64(l.EventsPerSecond), 0); d > wait {
			wait, why = d, "the tenant is over its quota of events a second"
		}
	}
	now := h.now().UTC()
	midnight := now.Truncate(24 * time.Hour).Add(24 * time.Hour).Sub(now)
	day := func(name string, most, used int64) {
		if most <= 0 {
			return
		}
		policy = append(policy, fmt.Sprintf("%q;q=%d;w=86400", name, most))
		left = append(left, fmt.Sprintf("%q;r=%d;t=%d", name, max(0, most-used), int(midnight.Seconds())+1))
		if used >= most {
			wait, why = midnight, "the tenant has used its quota of the UTC day"
		}
	}
	day("tenant-day", l.EventsPerDay, l.EventsToday)
	day("tenant-day-bytes", l.BytesPerDay, l.BytesToday)
	if len(policy) > 0 {
		w.Header().Set("RateLimit-Policy", strings.Join(policy, ", "))
		w.Header().Set("RateLimit", strings.Join(left, ", "))
	}
	if wait <= 0 {
		return 0
	}
	if h.meter != nil {
		h.meter.Refused(key.Tenant)
	}
	return busy(w, http.StatusTooManyRequests, wait, why)
}
