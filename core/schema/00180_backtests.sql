-- Backtests: what a tenant's detectors would have done under other policies.

-- +goose Up
create table backtests (
    tenant_id   uuid        not null default nullif(current_setting('app.tenant_id', true), '')::uuid
                            references tenants (id) on delete cascade,
    id          uuid        not null,
    name        text        not null check (length(name) <= 200),
    period_from timestamptz not null,
    period_to   timestamptz not null check (period_to > period_from),
    -- [{"label", "policy"}], the first is what the others are compared with.
    policies    json        not null,
    status      text        not null default 'queued' check (status in ('queued', 'running', 'done', 'failed')),
    done        bigint      not null default 0,
    total       bigint      not null default 0,
    attempts    integer     not null default 0,
    -- Where a run that was broken off goes on; compressed.
    state       bytea,
    results     json,
    error       text        not null default '',
    created_by  text        not null default '',
    created_at  timestamptz not null default now(),
    started_at  timestamptz,
    finished_at timestamptz,
    lease_owner text,
    lease_until timestamptz,
    primary key (tenant_id, id)
);
create index backtests_due on backtests (tenant_id, created_at) where status in ('queued', 'running');

-- +goose StatementBegin
do $$
declare
    own constant text := 'tenant_id = (select nullif(current_setting(''app.tenant_id'', true), '''')::uuid)';
    granted constant text := 'tenant_id = any ((select nullif(current_setting(''app.granted_tenants'', true), '''')::uuid[])::uuid[])';
begin
    alter table backtests enable row level security;
    alter table backtests force row level security;
    execute format('create policy own_rows on backtests for all to tenantwatch_tenant using (%s) with check (%s)', own, own);
    execute format('create policy granted_rows on backtests for select to tenantwatch_granted using (%s)', granted);
end $$;
-- +goose StatementEnd
create policy claim_backtests on backtests for select to tenantwatch_platform
    using ((select current_setting('app.operation', true)) = 'claim_backtests');
create policy lease_backtests on backtests for update to tenantwatch_platform
    using ((select current_setting('app.operation', true)) = 'claim_backtests')
    with check ((select current_setting('app.operation', true)) = 'claim_backtests');

grant select, insert, update, delete on backtests to tenantwatch_tenant;
grant select (tenant_id, id, name, period_from, period_to, policies, status, done, total, results, error, created_by, created_at, started_at, finished_at)
    on backtests to tenantwatch_granted;
grant select (tenant_id, id, status, created_at, lease_owner, lease_until) on backtests to tenantwatch_platform;
grant update (lease_owner, lease_until) on backtests to tenantwatch_platform;
