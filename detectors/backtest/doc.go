// Package backtest runs the detectors over a stored period of a tenant, under
// one policy or several at once, to show what would have been raised, hidden
// and left below the budget.
//
// Invariant: the result is a function of the stored events, the policies and
// the period. The order is event time, then id; a run that was broken off and
// resumed gives the same bytes as one that was not. Nothing of it reaches the
// live state: the runners are its own.
//
// The package reads events through Source and knows no store.
package backtest
