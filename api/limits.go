package api

import (
	"fmt"
	"math"
	"net/http"
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

// takeAt is take for a key that has a rate of its own, in bursts of four
// seconds' worth.
func (l *limiter) takeAt(key string, perSecond float64) (wait time.Duration, ok bool) {
	now, burst := l.now(), int(4*perSecond)+1
	b, _ := l.keys.getOrAdd(key, func() *rate.Limiter { return rate.NewLimiter(rate.Limit(perSecond), burst) }, nil)
	if float64(b.Limit()) != perSecond {
		b.SetLimitAt(now, rate.Limit(perSecond))
		b.SetBurstAt(now, burst)
	}
	if b.AllowN(now, 1) {
		return 0, true
	}
	return l.wait(b, now), false
}

// tell adds what is left of a limit to the answer: RateLimit and
// RateLimit-Policy as the Internet draft of the HTTP API working group has
// them, in requests and seconds.
func (l *limiter) tell(h http.Header, name, key string) {
	b, now := l.bucket(key), l.now()
	burst, left := b.Burst(), max(b.TokensAt(now), 0)
	per := max(float64(b.Limit()), 1e-9)
	add := func(header, value string) {
		if was := h.Get(header); was != "" {
			value = was + ", " + value
		}
		h.Set(header, value)
	}
	add("RateLimit-Policy", fmt.Sprintf("%q;q=%d;w=%d", name, burst, int(math.Ceil(float64(burst)/per))))
	add("RateLimit", fmt.Sprintf("%q;r=%d;t=%d", name, int(left), int(math.Ceil(max(float64(burst)-left, 0)/per))))
}

func (l *limiter) wait(b *rate.Limiter, now time.Time) time.Duration {
	missing := max(1-b.TokensAt(now), 0)
	return max(time.Duration(missing/float64(b.Limit())*float64(time.Second)), time.Second)
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
