// Package baseline is the statistics under the detectors: value types that
// learn from counts and say how unlikely the next one is.
//
// Invariants. Every p-value is a tail probability in (0,1] of the model's own
// predictive distribution; a discrete one satisfies P(p <= u) <= u. A result
// is the same bit pattern on every architecture: the package brings its own
// Exp, Log and incomplete beta, sums in a fixed order, and rounds every product
// before it is added (an explicit float64 conversion forbids fusing, Go
// specification, "Floating-point operators"). Learning in steps gives what
// learning at once gives, and what is encoded decodes to the same value.
//
// The package must not do I/O, read a clock, draw random numbers, log, or know
// of events, tenants and alerts.
package baseline

// MinP is the smallest p-value ever returned, so that its logarithm is finite.
const MinP = 1e-300
