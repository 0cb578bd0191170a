package core

import (
	"sync"
	"time"
)

// cache is a small bounded map whose entries live for ttl. When it is full the
// expired entries go, then arbitrary ones: losing an entry costs a query.
type cache[K comparable, V any] struct {
	mu  sync.Mutex
	ttl time.Duration
	max int
	now func() time.Time
	m   map[K]cached[V]
}

type cached[V any] struct {
	v     V
	until time.Time
}

func newCache[K comparable, V any](maxEntries int, ttl time.Duration, now func() time.Time) *cache[K, V] {
	return &cache[K, V]{ttl: ttl, max: maxEntries, now: now, m: make(map[K]cached[V])}
}

func (c *cache[K, V]) get(k K) (V, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.m[k]
	if !ok || !c.now().Before(e.until) {
		var zero V
		return zero, false
	}
	return e.v, true
}

// put keeps v for ttl counted from read, the moment before v was fetched: an
// entry must not outlive the truth by the time the query took.
func (c *cache[K, V]) put(k K, v V, read time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.m[k]; !ok && len(c.m) >= c.max {
		now := c.now()
		for k, e := range c.m {
			if !now.Before(e.until) {
				delete(c.m, k)
			}
		}
		for k := range c.m {
			if len(c.m) < c.max {
				break
			}
			delete(c.m, k)
		}
	}
	c.m[k] = cached[V]{v, read.Add(c.ttl)}
}

func (c *cache[K, V]) drop(k K) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.m, k)
}

func (c *cache[K, V]) dropIf(match func(V) bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for k, e := range c.m {
		if match(e.v) {
			delete(c.m, k)
		}
	}
}
