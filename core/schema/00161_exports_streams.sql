-- Large exports run as jobs, log streams for ever; both are picked up by
-- whichever process is free, under a lease.

-- +goose Up
create table export_jobs (
    tenant_id   uuid        not null default nullif(current_setting('app.tenant_id', true), '')::uuid
                            references tenants (id) on delete cascade,
    id          uuid        not null,
    format      text        not null check (format in ('csv', 'ndjson', 'ocsf', 'parquet')),
    query       text        not null check (length(query) <= 8192),
    from_time   timestamptz,
    to_time     timestamptz,
    state       text        not null default 'queued' check (state in ('queued', 'running', 'done', 'failed', 'cancelled', 'expired')),
    rows        bigint      not null default 0,
    expected    bigint      not null default 0,
    bytes       bigint      not null default 0,
    sha256      text        not null default '',
    error       text        not null default '',
    node        text        not null default '',
    lease_until timestamptz,
    attempts    integer     not null default 0,
    owner_kind  text        not null,
    owner_id    text        not null,
    owner_name  text        not null,
    created_at  timestamptz not null default now(),
    started_at  timestamptz,
    finished_at timestamptz,
    expires_at  timestamptz,
    primary key (tenant_id, id)
);
create index export_jobs_due on export_jobs (created_at) where state in ('queued', 'running');
create index export_jobs_expiry on export_jobs (expires_at) where state = 'done';

-- A tenant's own events, sent on as they come in. position is how far each
-- part of the store has been sent; it moves after the receiver took a batch.
create table log_streams (
    tenant_id     uuid        not null default nullif(current_setting('app.tenant_id', true), '')::uuid
                              references tenants (id) on delete cascade,
    id            uuid        not null,
    name          text        not null check (length(name) between 1 and 200),
    kind          text        not null check (kind in ('http', 'splunk', 's3', 'kafka')),
    config        json        not null,
    secret_sealed bytea,
    query         text        not null default '' check (length(query) <= 8192),
    format        text        not null default 'ndjson' check (format in ('ndjson', 'ocsf')),
    status        text        not null default 'active' check (status in ('active', 'paused')),
    position      json        not null default '{}',
    sent          bigint      not null default 0,
    batches       bigint      not null default 0,
    behind        bigint      not null default 0,
    lag_ms        bigint      not null default 0,
    failures      integer     not null default 0,
    last_error    text        not null default '',
    last_sent_at  timestamptz,
    failing_since timestamptz,
    checked_at    timestamptz,
    next_at       timestamptz not null default '-infinity',
    lease_owner   text,
    lease_until   timestamptz,
    created_by    text        not null default '',
    created_at    timestamptz not null default now(),
    primary key (tenant_id, id)
);
create index log_streams_due on log_streams (next_at) where status = 'active';

-- +goose StatementBegin
do $$
declare
    t text;
    own constant text := 'tenant_id = (select nullif(current_setting(''app.tenant_id'', true), '''')::uuid)';
    granted constant text := 'tenant_id = any ((select nullif(current_setting(''app.granted_tenants'', true), '''')::uuid[])::uuid[])';
begin
    foreach t in array array['export_jobs', 'log_streams'] loop
        execute format('alter table %I enable row level security', t);
        execute format('alter table %I force row level security', t);
        execute format('create policy own_rows on %I for all to tenantwatch_tenant using (%s) with check (%s)', t, own, own);
        execute format('create policy granted_rows on %I for select to tenantwatch_granted using (%s)', t, granted);
        execute format('grant select, insert, update, delete on %I to tenantwatch_tenant', t);
    end loop;
end $$;
-- +goose StatementEnd

create policy run_exports on export_jobs for select to tenantwatch_platform
    using ((select current_setting('app.operation', true)) = 'run_exports');
create policy lease_exports on export_jobs for update to tenantwatch_platform
    using ((select current_setting('app.operation', true)) = 'run_exports')
    with check ((select current_setting('app.operation', true)) = 'run_exports');
create policy run_streams on log_streams for select to tenantwatch_platform
    using ((select current_setting('app.operation', true)) = 'run_streams');
create policy lease_streams on log_streams for update to tenantwatch_platform
    using ((select current_setting('app.operation', true)) = 'run_streams')
    with check ((select current_setting('app.operation', true)) = 'run_streams');

grant select on export_jobs to tenantwatch_granted;
grant select (tenant_id, id, name, kind, config, query, format, status, sent, batches, behind, lag_ms, failures, last_error, last_sent_at,
    failing_since, checked_at, created_by, created_at) on log_streams to tenantwatch_granted;
grant select (tenant_id, id, state, node, lease_until, attempts, created_at, expires_at) on export_jobs to tenantwatch_platform;
grant update (state, node, lease_until, attempts, started_at) on export_jobs to tenantwatch_platform;
grant select (tenant_id, id, status, next_at, lease_owner, lease_until) on log_streams to tenantwatch_platform;
grant update (lease_owner, lease_until) on log_streams to tenantwatch_platform;
