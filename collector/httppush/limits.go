package httppush

import (
	"math"
	"sync"
	"time"
)

// gate bounds the requests in flight, in all and by key.
type gate struct {
	mu        sync.Mutex
	n         int
	bytes     int64
	byKey     map[string]int
	maxN      int
	maxPerKey int
	maxBytes  int64
}

// enter takes a place and size bytes; false when there is no room.
func (g *gate) enter(size int64) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.n >= g.maxN || g.bytes+size > g.maxBytes {
		return false
	}
	g.n++
	g.bytes += size
	return true
}

func (g *gate) leave(size int64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.n--
	g.bytes -= size
}

// take takes room for what a request turned out to need besides its own.
func (g *gate) take(size int64) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.bytes+size > g.maxBytes {
		return false
	}
	g.bytes += size
	return true
}

func (g *gate) give(size int64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.bytes -= size
}

// enterKey takes one of the key's places; the map holds only keys in flight.
func (g *gate) enterKey(key string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.byKey[key] >= g.maxPerKey {
		return false
	}
	g.byKey[key]++
	return true
}

func (g *gate) leaveKey(key string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.byKey[key]--; g.byKey[key] == 0 {
		delete(g.byKey, key)
	}
}

// maxBuckets bounds the memory of quotas. A bucket that is full again says
// nothing and is let go of first.
const maxBuckets = 10_000

// quota is a token bucket per key (or tenant, or address), in bytes and in events. What was used is
// only known while a body is read, so a key may go into debt within a request
// and has to wait until it is paid off.
type quota struct {
	mu          sync.Mutex
	buckets     map[string]*bucket
	bytesPerSec float64
	perSec      float64
	burst       float64 // seconds
	now         func() time.Time
}

type bucket struct {
	bytes, events float64 // used and not yet paid off
	at            time.Time
	perSec        float64 // of this bucket alone; 0: the quota's
}

func (q *quota) off() bool { return q.bytesPerSec == 0 && q.perSec == 0 }

func (q *quota) rate(b *bucket) float64 {
	if b.perSec > 0 {
		return b.perSec
	}
	return q.perSec
}

// at brings a key's bucket up to now. The caller holds the lock.
func (q *quota) at(key string) *bucket {
	now := q.now()
	b := q.buckets[key]
	if b == nil {
		if len(q.buckets) >= maxBuckets {
			q.evict(now)
		}
		b = &bucket{at: now}
		q.buckets[key] = b
		return b
	}
	q.drain(b, now)
	return b
}

func (q *quota) drain(b *bucket, now time.Time) {
	if d := now.Sub(b.at).Seconds(); d > 0 {
		b.bytes = max(0, b.bytes-d*q.bytesPerSec)
		b.events = max(0, b.events-d*q.rate(b))
		b.at = now
	}
}

// evict lets go of all buckets that are paid off and, if need be, of others
// until a tenth is free, so that it is not called again at once.
func (q *quota) evict(now time.Time) {
	for k, b := range q.buckets {
		if q.drain(b, now); b.bytes == 0 && b.events == 0 {
			delete(q.buckets, k)
		}
	}
	for k := range q.buckets {
		if len(q.buckets) <= maxBuckets*9/10 {
			return
		}
		delete(q.buckets, k)
	}
}

// use adds what a key used.
func (q *quota) use(key string, bytes, events int) {
	if q.off() {
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	b := q.at(key)
	b.bytes += float64(bytes)
	b.events += float64(events)
}

// wait is how long until the key is below its burst; 0 is now.
func (q *quota) wait(key string) time.Duration {
	if q.off() {
		return 0
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.until(q.at(key))
}

func (q *quota) until(b *bucket) time.Duration {
	var seconds float64
	if q.bytesPerSec > 0 {
		seconds = b.bytes/q.bytesPerSec - q.burst
	}
	if rate := q.rate(b); rate > 0 {
		seconds = max(seconds, b.events/rate-q.burst)
	}
	return time.Duration(max(0, seconds) * float64(time.Second))
}

// at its own rate: what a bucket whose rate is not everybody's used, and how
// long it has to wait.
func (q *quota) own(key string, perSec float64, events int) time.Duration {
	q.mu.Lock()
	defer q.mu.Unlock()
	b := q.at(key)
	b.perSec = perSec
	b.events += float64(events)
	return q.until(b)
}

// left is how many events a key may still send at once, how many that is at
// most, and in how many seconds it is that many again.
func (q *quota) left(key string, perSec float64) (events, most int, seconds int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	b := q.at(key)
	if perSec > 0 {
		b.perSec = perSec
	}
	rate := q.rate(b)
	most = int(rate * q.burst)
	return max(0, most-int(math.Ceil(b.events))), most, int(math.Ceil(b.events / max(rate, 1e-9)))
}
