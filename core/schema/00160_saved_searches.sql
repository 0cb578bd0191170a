-- Queries that people keep, each of one tenant's events. A shared one is seen
-- by everybody who reads them; only its owner changes it.

-- +goose Up
create table saved_searches (
    tenant_id  uuid        not null default nullif(current_setting('app.tenant_id', true), '')::uuid
                           references tenants (id) on delete cascade,
    id         uuid        not null,
    name       text        not null check (length(name) between 1 and 200),
    query      text        not null check (length(query) <= 4096),
    range      text        not null default '' check (length(range) <= 80),
    shared     boolean     not null default false,
    owner_kind text        not null,
    owner_id   text        not null,
    owner_name text        not null,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    primary key (tenant_id, id)
);
create index saved_searches_of on saved_searches (tenant_id, owner_kind, owner_id);

alter table saved_searches enable row level security;
alter table saved_searches force row level security;
create policy own_rows on saved_searches for all to tenantwatch_tenant
    using (tenant_id = (select nullif(current_setting('app.tenant_id', true), '')::uuid))
    with check (tenant_id = (select nullif(current_setting('app.tenant_id', true), '')::uuid));
create policy granted_rows on saved_searches for select to tenantwatch_granted
    using (tenant_id = any ((select nullif(current_setting('app.granted_tenants', true), '')::uuid[])::uuid[]));
grant select, insert, update, delete on saved_searches to tenantwatch_tenant;
grant select on saved_searches to tenantwatch_granted;
