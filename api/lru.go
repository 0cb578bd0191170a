package api

import (
	"container/list"
	"sync"
)

// lru is a map of bounded size that forgets what was used longest ago.
type lru[K comparable, V any] struct {
	mu    sync.Mutex
	max   int
	order *list.List // of *lruEntry[K, V], newest in front
	byKey map[K]*list.Element
}

type lruEntry[K comparable, V any] struct {
	key   K
	value V
}

func newLRU[K comparable, V any](max int) *lru[K, V] {
	return &lru[K, V]{max: max, order: list.New(), byKey: make(map[K]*list.Element)}
}

// getOrAdd is the value of k, made by add when there is none; found says which.
// keep, unless nil, decides whether a value that is there still counts.
func (l *lru[K, V]) getOrAdd(k K, add func() V, keep func(V) bool) (v V, found bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if e, ok := l.byKey[k]; ok {
		entry := e.Value.(*lruEntry[K, V])
		l.order.MoveToFront(e)
		if keep == nil || keep(entry.value) {
			return entry.value, true
		}
		entry.value = add()
		return entry.value, false
	}
	v = add()
	l.byKey[k] = l.order.PushFront(&lruEntry[K, V]{k, v})
	if l.order.Len() > l.max {
		oldest := l.order.Back()
		l.order.Remove(oldest)
		delete(l.byKey, oldest.Value.(*lruEntry[K, V]).key)
	}
	return v, false
}

// drop forgets k if same says that its value is the one meant.
func (l *lru[K, V]) drop(k K, same func(V) bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if e, ok := l.byKey[k]; ok && same(e.Value.(*lruEntry[K, V]).value) {
		l.order.Remove(e)
		delete(l.byKey, k)
	}
}
