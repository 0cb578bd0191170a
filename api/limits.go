package api

import (
	"net/netip"
	"time"

	"golang.org/x/time/rate"
)

// limiter holds one token bucket a key. Its memory is bounded: what was used
// longest ago is forgotten, and starts with a full bucket when it comes back.
type limiter struct {
	every rate.Limit
	burst int
	keys  *lru[string, *rate.Limiter]
	now   func() time.Time
}

const limiterKeys = 16384

func newLimiter(perSecond float64, burst int, now func() time.Time) *limiter {
	return &limiter{rate.Limit(perSecond), burst, newLRU[string, *rate.Limiter](limiterKeys), now}
}

func (l *limiter) bucket(key string) *rate.Limiter {
	b, _ := l.keys.getOrAdd(key, func() *rate.Limiter { return rate.NewLimiter(l.every, l.burst) }, nil)
	return b
}

// take uses one token; when there is none it says how long until there is.
func (l *limiter) take(key string) (wait time.Duration, ok bool) {
	now := l.now()
	b := l.bucket(key)
	if b.AllowN(now, 1) {
		return 0, true
	}
	return l.wait(b, now), false
}

func (l *limiter) wait(b *rate.Limiter, now time.Time) time.Duration {
	missing := max(1-b.TokensAt(now), 0)
	return max(time.Duration(missing/float64(l.every)*float64(time.Second)), time.Second)
}

// network is what an address is limited by: IPv4 whole, IPv6 by /64, since one
// machine commonly has so many.
func network(address string) string {
	a, err := netip.ParseAddr(address)
	if err != nil {
		return address
	}
	if a = a.Unmap().WithZone(""); a.Is6() {
		p, _ := a.Prefix(64)
		return p.String()
	}
	return a.String()
}
