// Package offline is the engine of `score events` and `score series`: the same
// runner and the same statistics as on line, reading from what it is handed
// and writing to what it is handed.
//
// Invariant: one pass, no look-ahead, the same output for the same input. Data
// goes to the writer, and nothing else does. The package must not open files,
// parse log formats, read a clock or log.
package offline
