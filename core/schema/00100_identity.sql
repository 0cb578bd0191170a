-- People's second factor and recovery, external identities, the list of
-- sessions, keys that follow one another, the trail's way into the event
-- pipeline, and what tenants use.

-- +goose Up
-- A row of a trail becomes an event; relayed_at says that the log has it.
alter table audit_log add column relayed_at timestamptz;
create index audit_unrelayed on audit_log (tenant_id, id) where relayed_at is null;
alter table operator_audit add column relayed_at timestamptz;
create index operator_audit_unrelayed on operator_audit (id) where relayed_at is null;

create policy relay_trail on audit_log for select to tenantwatch_platform
    using ((select current_setting('app.operation', true)) = 'relay_trail');
create policy relay_trail_mark on audit_log for update to tenantwatch_platform
    using ((select current_setting('app.operation', true)) = 'relay_trail')
    with check ((select current_setting('app.operation', true)) = 'relay_trail');
-- What an operator does to a tenant lands in that tenant's own trail.
create policy record_trail on audit_log for insert to tenantwatch_platform
    with check ((select current_setting('app.operation', true)) in ('record_trail', 'operators', 'tenants', 'resolve_session'));
grant select, insert, update (relayed_at) on audit_log to tenantwatch_platform;
grant update (relayed_at) on operator_audit to tenantwatch_platform;

-- +goose StatementBegin
do $$
declare t text;
begin
    foreach t in array array['users', 'operators'] loop
        execute format($sql$alter table %I
            add column totp_secret bytea,                               -- sealed; of an enrolment when totp_since is null
            add column totp_since timestamptz,                          -- null: no second factor
            add column totp_step bigint not null default 0,             -- the last 30-second step that was used
            add column recovery_codes bytea[] not null default '{}',    -- SHA-256, each used once
            add column must_change boolean not null default false,      -- the password is an administrator's
            add column oidc_issuer text check (length(oidc_issuer) between 1 and 500),
            add column oidc_subject text check (length(oidc_subject) between 1 and 255),
            add check ((oidc_issuer is null) = (oidc_subject is null))$sql$, t);
    end loop;
end $$;
-- +goose StatementEnd
create unique index users_by_subject on users (tenant_id, oidc_issuer, oidc_subject) where oidc_subject is not null;
create unique index operators_by_subject on operators (oidc_issuer, oidc_subject) where oidc_subject is not null;
grant delete on users to tenantwatch_tenant;
grant delete on operators to tenantwatch_platform;
grant select (totp_secret, totp_since, totp_step, recovery_codes, must_change, oidc_issuer, oidc_subject) on users to tenantwatch_platform;

alter table sessions
    add column id uuid not null default gen_random_uuid(),
    add column method text not null default 'password' check (method in ('password', 'totp', 'recovery', 'oidc')),
    add column view_tenant uuid references tenants (id) on delete cascade,
    add column view_role text check (view_role in ('tenant_admin', 'tenant_auditor')),
    add column view_reason text check (length(view_reason) between 1 and 1000),
    add column view_since timestamptz,
    add check (num_nonnulls(view_tenant, view_role, view_reason, view_since) in (0, 4)),
    add check (view_tenant is null or operator_id is not null);
create unique index sessions_by_id on sessions (id);

-- A key's successor, while both are good.
alter table api_keys add column replaced_by text;
grant select (replaced_by) on api_keys to tenantwatch_granted;

create table usage_daily (
    tenant_id   uuid   not null default nullif(current_setting('app.tenant_id', true), '')::uuid
                       references tenants (id) on delete cascade,
    day         date   not null,
    events      bigint not null default 0 check (events >= 0),
    bytes       bigint not null default 0 check (bytes >= 0),
    queries     bigint not null default 0 check (queries >= 0),
    refused     bigint not null default 0 check (refused >= 0),
    primary key (tenant_id, day)
);
alter table usage_daily enable row level security;
alter table usage_daily force row level security;
create policy own_rows on usage_daily for all to tenantwatch_tenant
    using (tenant_id = (select nullif(current_setting('app.tenant_id', true), '')::uuid))
    with check (tenant_id = (select nullif(current_setting('app.tenant_id', true), '')::uuid));
create policy granted_rows on usage_daily for select to tenantwatch_granted
    using (tenant_id = any ((select nullif(current_setting('app.granted_tenants', true), '')::uuid[])::uuid[]));
create policy meter_usage on usage_daily for select to tenantwatch_platform
    using ((select current_setting('app.operation', true)) = 'meter_usage');
create policy meter_usage_add on usage_daily for insert to tenantwatch_platform
    with check ((select current_setting('app.operation', true)) = 'meter_usage');
create policy meter_usage_more on usage_daily for update to tenantwatch_platform
    using ((select current_setting('app.operation', true)) = 'meter_usage')
    with check ((select current_setting('app.operation', true)) = 'meter_usage');
grant select on usage_daily to tenantwatch_tenant, tenantwatch_granted;
grant select, insert, update on usage_daily to tenantwatch_platform;
