// Package grafana holds the operator's dashboards and alert rules over the
// program's own metrics, and the provisioning that loads them.
//
// The tables in this package are the source; the files beside it are made of
// them by `go test ./dashboards/grafana -update`. A test holds the files to the
// tables and parses every query with Prometheus' own parser; another, on the
// running program, holds every metric they name to what /metrics serves.
// Nothing imports this package.
package grafana
