package core

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
)

//go:embed schema/*.sql
var schemaFiles embed.FS

//go:embed roles.sql
var rolesSQL string

// RolesSQL is what an administrator runs once per server when Migrate may not
// create roles.
func RolesSQL() string { return rolesSQL }

// migrations are the numbered files.
func migrations() (fs.FS, error) { return fs.Sub(schemaFiles, "schema") }

// schemaVersions are the numbers of the migrations, ascending.
func schemaVersions() ([]int64, error) {
	entries, err := schemaFiles.ReadDir("schema")
	if err != nil {
		return nil, fmt.Errorf("core: migrations: %w", err)
	}
	var all []int64
	for _, e := range entries {
		v, err := goose.NumericComponent(e.Name())
		if err != nil {
			return nil, fmt.Errorf("core: migrations: %w", err)
		}
		all = append(all, v)
	}
	slices.Sort(all)
	return all, nil
}

// MigrateConfig is what Migrate needs.
type MigrateConfig struct {
	// DSN signs in as somebody who may act as tenantwatch_owner, or who may
	// create it. Not through a transaction pooler.
	DSN string
	// ServicePassword is given to tenantwatch_service when the connection may
	// alter roles; empty leaves the password as it is.
	ServicePassword Secret
	Logger          *slog.Logger
}

// Migrate makes roles, schema and tables, or brings them up to date. Repeating
// it, also from several processes at once, changes nothing.
func Migrate(ctx context.Context, cfg MigrateConfig) (err error) {
	log := cfg.Logger
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	cc, err := pgx.ParseConfig(cfg.DSN)
	if err != nil {
		return fmt.Errorf("core: migrate: DSN: %w", err)
	}
	conn, err := pgx.ConnectConfig(ctx, cc)
	if err != nil {
		return fmt.Errorf("core: migrate: connect: %w", err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	info, err := serverInfo(ctx, conn)
	if err != nil {
		return fmt.Errorf("core: migrate: %w", err)
	}
	if info.Num < minServer {
		return fmt.Errorf("core: migrate: PostgreSQL %s is too old: 15 or later is needed", info.Version)
	}
	if err := prepareAlone(ctx, conn, cfg.ServicePassword); err != nil {
		return fmt.Errorf("core: migrate: %w", err)
	}

	db := stdlib.OpenDB(*cc, stdlib.OptionAfterConnect(func(ctx context.Context, c *pgx.Conn) error {
		_, err := c.Exec(ctx, `set role tenantwatch_owner; set search_path = tenantwatch, pg_temp`)
		return err
	}))
	defer func() { err = errors.Join(err, db.Close()) }()
	return applyMigrations(ctx, db, log)
}

func applyMigrations(ctx context.Context, db *sql.DB, log *slog.Logger) error {
	files, err := migrations()
	if err != nil {
		return fmt.Errorf("core: migrate: %w", err)
	}
	locker, err := lock.NewPostgresSessionLocker()
	if err != nil {
		return fmt.Errorf("core: migrate: %w", err)
	}
	p, err := goose.NewProvider(goose.DialectPostgres, db, files,
		goose.WithSessionLocker(locker), goose.WithDisableGlobalRegistry(true),
		// A number left free by one release may be filled by the next.
		goose.WithAllowOutofOrder(true))
	if err != nil {
		return fmt.Errorf("core: migrate: %w", err)
	}
	done, err := p.Up(ctx)
	if err != nil {
		return fmt.Errorf("core: migrate: %w", err)
	}
	for _, r := range done {
		log.Info("migrated", "file", r.Source.Path, "took", r.Duration)
	}
	return nil
}

// prepareAlone lets one migration of a database prepare at a time. Roles are
// the whole server's, and another database's migration may be changing them:
// that shows as an error of its own, after which one tries again.
func prepareAlone(ctx context.Context, conn *pgx.Conn, password Secret) error {
	const key = 0x74656e616e7477 // "tenantw"
	if _, err := conn.Exec(ctx, `select pg_advisory_lock($1)`, key); err != nil {
		return fmt.Errorf("wait for other migrations: %w", err)
	}
	for try := 1; ; try++ {
		err := prepare(ctx, conn, password)
		var pg *pgconn.PgError
		if !errors.As(err, &pg) || pg.Code != "XX000" || try == 10 { // tuple concurrently updated
			_, unlock := conn.Exec(ctx, `select pg_advisory_unlock($1)`, key)
			return errors.Join(err, unlock)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Duration(try) * 20 * time.Millisecond):
		}
	}
}

// prepare makes the roles and the schema, or says what an administrator must
// run when the connection may not.
func prepare(ctx context.Context, conn *pgx.Conn, password Secret) error {
	var mayRoles, maySchema, haveSchema bool
	var roles, memberships int
	const state = `select
		(select rolsuper or rolcreaterole from pg_catalog.pg_roles where rolname = current_user),
		has_database_privilege(current_database(), 'create'),
		exists (select from pg_catalog.pg_namespace where nspname = 'tenantwatch'),
		(select count(*) from pg_catalog.pg_roles where rolname in
			('tenantwatch_owner', 'tenantwatch_tenant', 'tenantwatch_granted', 'tenantwatch_platform', 'tenantwatch_service')),
		(select count(distinct m.roleid) from pg_catalog.pg_auth_members m
			join pg_catalog.pg_roles g on g.oid = m.roleid join pg_catalog.pg_roles w on w.oid = m.member
			where w.rolname = 'tenantwatch_service'
			and g.rolname in ('tenantwatch_tenant', 'tenantwatch_granted', 'tenantwatch_platform'))`
	if err := conn.QueryRow(ctx, state).Scan(&mayRoles, &maySchema, &haveSchema, &roles, &memberships); err != nil {
		return fmt.Errorf("look at roles: %w", err)
	}
	if roles < 5 || memberships < 3 {
		if !mayRoles {
			return fmt.Errorf("the roles are missing and this connection may not create them; an administrator runs once:\n%s", RolesSQL())
		}
		if _, err := conn.Exec(ctx, RolesSQL()); err != nil {
			return fmt.Errorf("create roles: %w", err)
		}
	}
	if mayRoles {
		if err := letServiceIn(ctx, conn, password); err != nil {
			return err
		}
	}
	if haveSchema {
		return nil
	}
	if !maySchema {
		return errors.New("this connection may not create a schema; an administrator runs once: " +
			"create schema tenantwatch authorization tenantwatch_owner")
	}
	if _, err := conn.Exec(ctx, `create schema if not exists tenantwatch authorization tenantwatch_owner`); err != nil {
		return fmt.Errorf("create schema: %w", err)
	}
	return nil
}

func letServiceIn(ctx context.Context, conn *pgx.Conn, password Secret) error {
	var can bool
	if err := conn.QueryRow(ctx, `select rolcanlogin from pg_catalog.pg_roles where rolname = 'tenantwatch_service'`).Scan(&can); err != nil {
		return fmt.Errorf("look at tenantwatch_service: %w", err)
	}
	stmt := "alter role tenantwatch_service login"
	if password != "" {
		// ALTER ROLE takes no parameters: the server itself quotes the value.
		if err := conn.QueryRow(ctx, `select format('alter role tenantwatch_service login password %L', $1::text)`,
			password.Reveal()).Scan(&stmt); err != nil {
			return fmt.Errorf("quote the service's password: %w", err)
		}
	} else if can {
		return nil
	}
	if _, err := conn.Exec(ctx, stmt); err != nil {
		return fmt.Errorf("let tenantwatch_service sign in: %w", err) // the server's error does not quote the statement
	}
	return nil
}
