-- The rest of an alert's life: tags, links, a severity that people set, the
-- clocks that service levels are held against, comments and undo in the
-- history, and the tenant's own targets.

-- +goose Up
alter table alerts
    add column tags              text[]      not null default '{}' check (cardinality(tags) <= 50),
    add column links             json        not null default '[]',
    add column severity_override text        check (severity_override in ('informational', 'low', 'medium', 'high', 'critical')),
    add column acknowledged_at   timestamptz,
    add column closed_at         timestamptz;
create index alerts_by_tag on alerts using gin (tags);
create index alerts_by_storing on alerts (tenant_id, stored_at);

-- Tags, links and severity before and after stand in two documents beside the
-- columns there are; batch names one bulk action, undoes the version taken back.
alter table alert_history
    add column comment     text    not null default '' check (length(comment) <= 8192),
    add column from_more   json    not null default '{}',
    add column to_more     json    not null default '{}',
    add column batch       uuid,
    add column undoes      integer;
create index alert_history_by_batch on alert_history (tenant_id, batch) where batch is not null;

-- Minutes until an alert of a severity should be acknowledged and closed.
create table sla_targets (
    tenant_id     uuid    not null default nullif(current_setting('app.tenant_id', true), '')::uuid
                          references tenants (id) on delete cascade,
    severity      text    not null check (severity in ('informational', 'low', 'medium', 'high', 'critical')),
    ack_minutes   integer not null check (ack_minutes between 1 and 525600),
    close_minutes integer not null check (close_minutes between 1 and 525600),
    primary key (tenant_id, severity)
);

-- Suppressions: policy.Suppression with who owns it, why, and what it hid.
-- A row is never removed, only ended, so that what was hidden stays explained.
create table suppressions (
    tenant_id   uuid        not null default nullif(current_setting('app.tenant_id', true), '')::uuid
                            references tenants (id) on delete cascade,
    id          uuid        not null,
    detector    text        not null default '' check (length(detector) <= 100),
    entity_type text        not null default '' check (length(entity_type) <= 64),
    entity_id   text        not null default '' check (length(entity_id) <= 2048),
    action      text        not null default '' check (length(action) <= 256),
    network     text        not null default '' check (length(network) <= 64),
    label       text        not null default '' check (length(label) <= 512),
    valid_from  timestamptz not null,
    valid_until timestamptz not null,
    owner       text        not null check (length(owner) between 1 and 254),
    reason      text        not null check (length(reason) between 1 and 2000),
    override    text        not null default '' check (length(override) <= 2000),
    preview     json        not null default '{}',
    created_by  text        not null,
    created_at  timestamptz not null default now(),
    ended_at    timestamptz,
    ended_by    text        not null default '',
    primary key (tenant_id, id),
    check (valid_until > valid_from),
    check (entity_id <> '' or action <> '' or network <> '' or label <> '')
);

-- What a suppression kept from being an alert: counted and searchable.
create table hidden_alerts (
    tenant_id      uuid        not null default nullif(current_setting('app.tenant_id', true), '')::uuid,
    suppression_id uuid        not null,
    alert_id       text        not null check (length(alert_id) between 1 and 128),
    revision       bigint      not null,
    raised_at      timestamptz not null,
    title          text        not null,
    entity_id      text        not null,
    document       json        not null,
    stored_at      timestamptz not null default now(),
    primary key (tenant_id, suppression_id, alert_id),
    foreign key (tenant_id, suppression_id) references suppressions (tenant_id, id) on delete cascade
);
create index hidden_alerts_newest on hidden_alerts (tenant_id, raised_at desc);

-- +goose StatementBegin
do $$
declare
    t text;
begin
    foreach t in array array['sla_targets', 'suppressions', 'hidden_alerts'] loop
        execute format('alter table %I enable row level security', t);
        execute format('alter table %I force row level security', t);
        execute format('create policy own_rows on %I for all to tenantwatch_tenant
            using (tenant_id = (select nullif(current_setting(''app.tenant_id'', true), '''')::uuid))
            with check (tenant_id = (select nullif(current_setting(''app.tenant_id'', true), '''')::uuid))', t);
        execute format('create policy granted_rows on %I for select to tenantwatch_granted
            using (tenant_id = any ((select nullif(current_setting(''app.granted_tenants'', true), '''')::uuid[])::uuid[]))', t);
    end loop;
end $$;
-- +goose StatementEnd
grant select, insert, update, delete on sla_targets to tenantwatch_tenant;
grant select on sla_targets to tenantwatch_granted;
grant select, insert, update on suppressions to tenantwatch_tenant;
grant select on suppressions to tenantwatch_granted;
grant select, insert, update on hidden_alerts to tenantwatch_tenant;
grant select on hidden_alerts to tenantwatch_granted;

-- All tenants' suppressions in force, for the detectors.
create policy read_policies on suppressions for select to tenantwatch_platform
    using ((select current_setting('app.operation', true)) = 'read_policies');
grant select on suppressions to tenantwatch_platform;
