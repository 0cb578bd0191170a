package core

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

const minServer = 150000

// fixedReleases are the first releases of each line that close the leak of
// other tenants' rows through INSERT … ON CONFLICT under row-level security.
// All lines are released on the same day; 15.20 is the one the design names.
var fixedReleases = map[int]int{15: 20, 16: 16, 17: 12, 18: 6}

// ServerInfo tells what the database server is.
type ServerInfo struct {
	Version string // e.g. "15.20 (Debian 15.20-0+deb12u1)"
	Num     int    // server_version_num, e.g. 150020
	Warning string // what is wrong with it; empty when nothing is
}

type querier interface {
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
}

func serverInfo(ctx context.Context, q querier) (ServerInfo, error) {
	var i ServerInfo
	err := q.QueryRow(ctx, `select current_setting('server_version'), current_setting('server_version_num')::int`).Scan(&i.Version, &i.Num)
	if err != nil {
		return ServerInfo{}, fmt.Errorf("ask the server's version: %w", err)
	}
	i.Warning = serverWarning(i.Num, i.Version)
	return i, nil
}

func serverWarning(num int, version string) string {
	major, minor := num/10000, num%10000
	fixed, known := fixedReleases[major]
	if !known || minor >= fixed {
		return ""
	}
	return fmt.Sprintf("PostgreSQL %s leaks rows of other tenants through ON CONFLICT under row-level security: upgrade to %d.%d or later",
		version, major, fixed)
}
