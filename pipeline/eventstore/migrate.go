package eventstore

import (
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
)

//go:embed schema/*.sql
var schemaFiles embed.FS

type migration struct {
	version  uint32
	name     string
	checksum string
	body     string
}

// migrations are the embedded files in the order of their numbers. Gaps are
// allowed, a number twice is not.
func migrations() ([]migration, error) {
	entries, err := schemaFiles.ReadDir("schema")
	if err != nil {
		return nil, fmt.Errorf("read the embedded schema: %w", err)
	}
	var out []migration
	for _, e := range entries {
		number, _, ok := strings.Cut(e.Name(), "_")
		v, err := strconv.ParseUint(number, 10, 32)
		if !ok || err != nil || v == 0 || len(out) > 0 && uint32(v) <= out[len(out)-1].version {
			return nil, fmt.Errorf("schema file %s: want NNNN_name.sql with a number of its own", e.Name())
		}
		b, err := schemaFiles.ReadFile(path.Join("schema", e.Name()))
		if err != nil {
			return nil, fmt.Errorf("read the embedded schema: %w", err)
		}
		sum := sha256.Sum256(b)
		out = append(out, migration{uint32(v), e.Name(), hex.EncodeToString(sum[:]), string(b)})
	}
	return out, nil
}

// Migrate makes the database and brings its schema to what this program needs.
// Every statement may run twice, so that a crash in the middle, or two
// programs at once, do no harm. A migration that was applied with another
// content, or that this program does not know, is an error.
func (s *Store) Migrate(ctx context.Context) error {
	want, err := migrations()
	if err != nil {
		return err
	}
	admin, err := clickhouse.Open(s.cfg.options("default"))
	if err != nil {
		return fmt.Errorf("migrate the event store: %w", err)
	}
	defer admin.Close() //nolint:errcheck // nothing is written through it any more
	if err := admin.Exec(ctx, "CREATE DATABASE IF NOT EXISTS "+s.cfg.Database); err != nil {
		return fmt.Errorf("make database %s: %w", s.cfg.Database, err)
	}
	if err := s.conn.Exec(ctx, `CREATE TABLE IF NOT EXISTS schema_migrations
		(version UInt32, name String, checksum String, applied_at DateTime('UTC'))
		ENGINE = MergeTree ORDER BY version SETTINGS fsync_after_insert = 1`); err != nil {
		return fmt.Errorf("make the table of migrations: %w", err)
	}
	applied, err := s.applied(ctx)
	if err != nil {
		return err
	}
	known := map[uint32]bool{}
	for _, m := range want {
		known[m.version] = true
	}
	for v := range applied {
		// A newer program may have run: its additions are made so that this
		// one still works (a skew of one version), so it is only said.
		if !known[v] {
			s.log.Warn("the event store's schema has a migration that this program does not know", "version", v)
		}
	}
	for _, m := range want {
		if sum, ok := applied[m.version]; ok {
			if sum != m.checksum {
				return fmt.Errorf("migration %s was applied with another content: an applied file must never change, add a new one", m.name)
			}
			continue
		}
		for _, stmt := range statements(m.body) {
			if err := s.conn.Exec(ctx, stmt); err != nil {
				return fmt.Errorf("migration %s: %w", m.name, err)
			}
		}
		if err := s.conn.Exec(ctx, "INSERT INTO schema_migrations SELECT {v:UInt32}, {n:String}, {c:String}, now()",
			clickhouse.Named("v", strconv.Itoa(int(m.version))), clickhouse.Named("n", m.name), clickhouse.Named("c", m.checksum)); err != nil {
			return fmt.Errorf("note migration %s: %w", m.name, err)
		}
		s.log.Info("event store migrated", "migration", m.name)
	}
	return nil
}

func (s *Store) applied(ctx context.Context) (map[uint32]string, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	rows, err := s.conn.Query(ctx, "SELECT version, any(checksum) FROM schema_migrations GROUP BY version")
	if err != nil {
		return nil, fmt.Errorf("read the applied migrations: %w", err)
	}
	defer rows.Close() //nolint:errcheck // Err is checked
	out := map[uint32]string{}
	for rows.Next() {
		var v uint32
		var sum string
		if err := rows.Scan(&v, &sum); err != nil {
			return nil, fmt.Errorf("read the applied migrations: %w", err)
		}
		out[v] = sum
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read the applied migrations: %w", err)
	}
	return out, nil
}

// statements splits a file at semicolons that end a line.
func statements(body string) []string {
	var out []string
	for part := range strings.SplitSeq(body, ";\n") {
		if s := strings.TrimSpace(part); s != "" {
			out = append(out, s)
		}
	}
	return out
}
