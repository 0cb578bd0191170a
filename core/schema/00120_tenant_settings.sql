-- Settings that have no column of their own, the states a tenant goes through
-- on its way out, and what proves that it is gone.

-- +goose Up
alter table tenants
    -- calendar, quotas, region and networks, as core/tenant.Settings writes them
    add column settings     json        not null default '{}',
    -- the last word about why it is suspended or deleted, for people
    add column state_reason text        not null default '' check (length(state_reason) <= 500),
    -- deleting: refuses everything like suspended, and is purged at delete_after
    add column delete_after timestamptz;
alter table tenants drop constraint tenants_status_check;
alter table tenants add constraint tenants_status_check check (status in ('active', 'suspended', 'deleting'));
alter table tenants add constraint tenants_delete_after check ((status = 'deleting') = (delete_after is not null));
create index tenants_by_change on tenants (updated_at);
create index tenants_to_purge on tenants (delete_after) where delete_after is not null;

-- A tenant that was purged: its slug is never given again, and the counts are
-- the proof of what was removed.
create table purged_tenants (
    slug         text        primary key,
    tenant_id    uuid        not null,
    name         text        not null,
    requested_by text        not null,
    requested_at timestamptz not null,
    started_at   timestamptz not null default now(),
    finished_at  timestamptz,
    -- rows by store and table: before, removed, left
    proof        json        not null default '{}'
);

grant delete on tenants to tenantwatch_platform;
grant select, insert, update on purged_tenants to tenantwatch_platform;
