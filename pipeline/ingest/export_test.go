package ingest

import "sync/atomic"

// Break takes parts of the recipe away.
func (o *Options) Break(idCheck, intent, token bool) {
	o.withoutIDCheck, o.withoutIntent, o.withoutToken = idCheck, intent, token
}

// Filter is the filter of known ids.
type Filter = filter

// NewFilter makes one with a budget of its own.
func NewFilter(n int, bytes int64) (*Filter, *atomic.Int64) {
	var b atomic.Int64
	b.Store(bytes)
	return newFilter(n, &b), &b
}

// The filter's methods.
func (f *filter) Has(h uint64) bool { return f.has(h) }
func (f *filter) Add(h uint64) bool { return f.add(h) }
func (f *filter) Release()          { f.release() }
