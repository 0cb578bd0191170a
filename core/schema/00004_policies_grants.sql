-- Who may see what. The three roles are made before the migrations run; the
-- service connects as a fourth, which may only step into one of them for the
-- length of a transaction and holds nothing itself.

-- +goose Up
-- +goose StatementBegin
do $$
declare
    t text;
    own constant text := 'tenant_id = (select nullif(current_setting(''app.tenant_id'', true), '''')::uuid)';
    granted constant text := 'tenant_id = any ((select nullif(current_setting(''app.granted_tenants'', true), '''')::uuid[])::uuid[])';
begin
    foreach t in array array['users', 'api_keys', 'audit_log', 'alert_counters', 'alerts', 'alert_revisions',
        'alert_history', 'findings_ledger', 'webhooks', 'outbox', 'delivery_attempts'] loop
        execute format('alter table %I enable row level security', t);
        execute format('alter table %I force row level security', t);
        execute format('create policy own_rows on %I for all to tenantwatch_tenant using (%s) with check (%s)', t, own, own);
    end loop;
    foreach t in array array['api_keys', 'audit_log', 'alert_counters', 'alerts', 'alert_revisions', 'alert_history',
        'findings_ledger', 'webhooks'] loop
        execute format('create policy granted_rows on %I for select to tenantwatch_granted using (%s)', t, granted);
    end loop;
end $$;
-- +goose StatementEnd

-- What a named operation may see of the tenants' tables. The grants below
-- narrow each to the columns it needs.
create policy resolve_key on api_keys for select to tenantwatch_platform
    using ((select current_setting('app.operation', true)) in ('resolve_key', 'touch_keys'));
create policy touch_keys on api_keys for update to tenantwatch_platform
    using ((select current_setting('app.operation', true)) = 'touch_keys')
    with check ((select current_setting('app.operation', true)) = 'touch_keys');
create policy sign_in on users for select to tenantwatch_platform
    using ((select current_setting('app.operation', true)) in ('sign_in', 'resolve_session'));
create policy watch_alerts on alert_counters for select to tenantwatch_platform
    using ((select current_setting('app.operation', true)) = 'watch_alerts');
create policy claim_deliveries on webhooks for select to tenantwatch_platform
    using ((select current_setting('app.operation', true)) = 'claim_deliveries');
create policy lease_deliveries on webhooks for update to tenantwatch_platform
    using ((select current_setting('app.operation', true)) = 'claim_deliveries')
    with check ((select current_setting('app.operation', true)) = 'claim_deliveries');
create policy claim_deliveries on outbox for select to tenantwatch_platform
    using ((select current_setting('app.operation', true)) = 'claim_deliveries');
create policy prune_attempts on delivery_attempts for delete to tenantwatch_platform
    using ((select current_setting('app.operation', true)) = 'prune');
create policy prune_attempts_read on delivery_attempts for select to tenantwatch_platform
    using ((select current_setting('app.operation', true)) = 'prune');

grant usage on schema tenantwatch to tenantwatch_tenant, tenantwatch_granted, tenantwatch_platform;

grant select, insert, update on users to tenantwatch_tenant;
grant select, insert, update on api_keys to tenantwatch_tenant;
grant select, insert on audit_log to tenantwatch_tenant;
grant select, insert, update on alert_counters to tenantwatch_tenant;
grant select, insert, update on alerts to tenantwatch_tenant;
grant select, insert on alert_revisions to tenantwatch_tenant;
grant select, insert on alert_history to tenantwatch_tenant;
grant select, insert, update on findings_ledger to tenantwatch_tenant;
grant select, insert, update, delete on webhooks to tenantwatch_tenant;
grant select, insert, update on outbox to tenantwatch_tenant;
grant select, insert on delivery_attempts to tenantwatch_tenant;

grant select on audit_log, alert_counters, alerts, alert_revisions, alert_history, findings_ledger to tenantwatch_granted;
grant select (tenant_id, id, kind, role, name, scopes, created_by, created_at, expires_at, last_used_at, revoked_at)
    on api_keys to tenantwatch_granted;
grant select (tenant_id, id, name, url, status, created_by, created_at, next_attempt_at, failing_since, failures)
    on webhooks to tenantwatch_granted;

grant select, insert, update on tenants to tenantwatch_platform;
grant select, insert, update on operators to tenantwatch_platform;
grant select, insert, delete on operator_grants to tenantwatch_platform;
grant select, insert, update on operator_tokens to tenantwatch_platform;
grant select, insert on operator_audit to tenantwatch_platform;
grant select, insert, update, delete on sessions to tenantwatch_platform;
grant select on goose_db_version to tenantwatch_platform;
grant select (tenant_id, id, kind, role, name, scopes, secret_hash, expires_at, revoked_at, last_used_at) on api_keys to tenantwatch_platform;
grant update (last_used_at) on api_keys to tenantwatch_platform;
grant select (tenant_id, id, email, name, role, password_hash, status, failures, locked_until, created_at) on users to tenantwatch_platform;
grant select (tenant_id, seq, changed_at) on alert_counters to tenantwatch_platform;
grant select (tenant_id, id, status, next_attempt_at, failures, lease_owner, lease_until) on webhooks to tenantwatch_platform;
grant update (lease_owner, lease_until) on webhooks to tenantwatch_platform;
grant select (tenant_id, webhook_id, seq, state, owed_since) on outbox to tenantwatch_platform;
grant select (at), delete on delivery_attempts to tenantwatch_platform;
