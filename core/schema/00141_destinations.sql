-- Destinations of more kinds than the webhook, with a least severity, a second
-- secret while one rotates, and a token of the other side's.

-- +goose Up
alter table webhooks
    add column kind             text not null default 'webhook' check (length(kind) between 1 and 32),
    add column settings         json not null default '{}',
    add column min_severity     text not null default 'informational'
                                check (min_severity in ('informational', 'low', 'medium', 'high', 'critical')),
    add column token_sealed     bytea,
    add column old_secret       bytea,
    add column old_secret_until timestamptz;
grant select (kind, settings, min_severity) on webhooks to tenantwatch_granted;

-- Delivered rows are kept as long as their attempts.
create index outbox_finished on outbox (finished_at) where state = 'delivered';
create policy prune_outbox on outbox for delete to tenantwatch_platform
    using ((select current_setting('app.operation', true)) = 'prune');
create policy prune_outbox_read on outbox for select to tenantwatch_platform
    using ((select current_setting('app.operation', true)) = 'prune');
grant select (finished_at), delete on outbox to tenantwatch_platform;
