-- Webhooks and what is owed to them.

-- +goose Up
create table webhooks (
    tenant_id       uuid        not null default nullif(current_setting('app.tenant_id', true), '')::uuid
                                references tenants (id) on delete cascade,
    id              uuid        not null,
    name            text        not null check (length(name) between 1 and 200),
    url             text        not null check (length(url) between 8 and 2048),
    secret_sealed   bytea       not null,
    -- gone: the endpoint answered 410 and is left alone until somebody resumes it.
    status          text        not null default 'active' check (status in ('active', 'paused', 'gone')),
    created_by      text        not null default '',
    created_at      timestamptz not null default now(),
    -- Delivery is in order, so back-off belongs to the endpoint, not to a message.
    next_attempt_at timestamptz not null default '-infinity',
    failing_since   timestamptz,
    failures        integer     not null default 0,
    lease_owner     text,
    lease_until     timestamptz,
    primary key (tenant_id, id)
);
create index webhooks_due on webhooks (next_attempt_at) where status = 'active';

-- One row for each revision owed to each endpoint, written with the revision.
create table outbox (
    tenant_id    uuid        not null default nullif(current_setting('app.tenant_id', true), '')::uuid,
    webhook_id   uuid        not null,
    seq          bigint      not null,
    state        text        not null default 'pending' check (state in ('pending', 'delivered', 'dead')),
    attempts     integer     not null default 0,
    created_at   timestamptz not null default now(),
    owed_since   timestamptz not null default now(),
    finished_at  timestamptz,
    last_status  integer,
    last_error   text        not null default '',
    primary key (tenant_id, webhook_id, seq),
    foreign key (tenant_id, webhook_id) references webhooks (tenant_id, id) on delete cascade,
    foreign key (tenant_id, seq) references alert_revisions (tenant_id, seq) on delete cascade
);
create index outbox_pending on outbox (tenant_id, webhook_id, seq) where state = 'pending';
create index outbox_by_revision on outbox (tenant_id, seq);

-- Every attempt. Ids are random in time order: a shared sequence would tell
-- one tenant how busy the others are.
create table delivery_attempts (
    tenant_id  uuid        not null default nullif(current_setting('app.tenant_id', true), '')::uuid,
    id         uuid        not null,
    webhook_id uuid        not null,
    seq        bigint      not null,
    attempt    integer     not null,
    at         timestamptz not null,
    status     integer,
    latency_us bigint      not null,
    error      text        not null default '',
    answer     text        not null default '',
    primary key (tenant_id, id),
    foreign key (tenant_id, webhook_id, seq) references outbox (tenant_id, webhook_id, seq) on delete cascade
);
create index delivery_attempts_of on delivery_attempts (tenant_id, webhook_id, seq, attempt);
create index delivery_attempts_by_age on delivery_attempts (at);
