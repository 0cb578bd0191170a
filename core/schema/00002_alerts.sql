-- Alerts, their revisions as a gap-free hash-chained feed, triage, and the
-- ledger of findings.
--
-- Documents are json, not jsonb: an entity id is the event's value verbatim
-- and may hold U+0000, which jsonb refuses, and the chain's hash is over the
-- very bytes.

-- +goose Up

-- One row a tenant, locked by whoever appends to that tenant's feed: this is
-- what makes seq gap-free and visible in order.
create table alert_counters (
    tenant_id  uuid        not null default nullif(current_setting('app.tenant_id', true), '')::uuid
                           references tenants (id) on delete cascade,
    seq        bigint      not null default 0,
    last_hash  bytea       not null default decode(repeat('00', 32), 'hex') check (length(last_hash) = 32),
    changed_at timestamptz not null default clock_timestamp(),
    primary key (tenant_id)
);
create index alert_counters_by_change on alert_counters (changed_at);

-- The latest revision of each alert, and its triage.
create table alerts (
    tenant_id      uuid        not null default nullif(current_setting('app.tenant_id', true), '')::uuid
                               references tenants (id) on delete cascade,
    id             text        not null check (length(id) between 1 and 128),
    revision       bigint      not null check (revision > 0),
    seq            bigint      not null,
    state          text        not null check (state in ('raised', 'amended', 'retracted')),
    severity       text        not null check (severity in ('informational', 'low', 'medium', 'high', 'critical')),
    score          integer     not null check (score between 0 and 100000),
    entity_type    text        not null,
    entity_id      text        not null,
    title          text        not null,
    reason         text        not null,
    raised_at      timestamptz not null,
    first_seen     timestamptz not null,
    last_seen      timestamptz not null,
    document       json        not null,
    stored_at      timestamptz not null default now(),
    updated_at     timestamptz not null default now(),
    status         text        not null default 'new' check (status in ('new', 'in_progress', 'closed')),
    verdict        text        check (verdict in ('true_positive', 'benign', 'false_positive', 'duplicate')),
    assignee       text        check (length(assignee) between 1 and 254),
    triage_version integer     not null default 1,
    triaged_at     timestamptz,
    primary key (tenant_id, id)
);
create index alerts_newest on alerts (tenant_id, raised_at desc, id desc);
create index alerts_open on alerts (tenant_id, severity) where status <> 'closed' and state <> 'retracted';
-- An analyst's list runs over many tenants; the granted policy filters it.
create index alerts_newest_granted on alerts (raised_at desc, id desc);
create index alerts_by_id on alerts (id);

-- Every stored revision, in feed order: the record that webhooks send.
-- hash = SHA-256(prev_hash || document's bytes).
create table alert_revisions (
    tenant_id uuid        not null default nullif(current_setting('app.tenant_id', true), '')::uuid,
    seq       bigint      not null check (seq > 0),
    alert_id  text        not null,
    revision  bigint      not null,
    document  json        not null,
    prev_hash bytea       not null check (length(prev_hash) = 32),
    hash      bytea       not null check (length(hash) = 32),
    stored_at timestamptz not null default now(),
    primary key (tenant_id, seq),
    unique (tenant_id, alert_id, revision),
    foreign key (tenant_id, alert_id) references alerts (tenant_id, id) on delete cascade
);

create table alert_history (
    tenant_id     uuid        not null default nullif(current_setting('app.tenant_id', true), '')::uuid,
    alert_id      text        not null,
    version       integer     not null,
    at            timestamptz not null default now(),
    actor_kind    text        not null,
    actor_id      text        not null,
    actor_name    text        not null,
    from_status   text        not null,
    to_status     text        not null,
    from_verdict  text,
    to_verdict    text,
    from_assignee text,
    to_assignee   text,
    primary key (tenant_id, alert_id, version),
    foreign key (tenant_id, alert_id) references alerts (tenant_id, id) on delete cascade
);

-- findings = alerted + folded + suppressed + below_budget, always. Values are
-- absolute and carry the position they stand for, so that a replay from a
-- checkpoint can only repeat what is already there.
create table findings_ledger (
    tenant_id    uuid        not null default nullif(current_setting('app.tenant_id', true), '')::uuid
                             references tenants (id) on delete cascade,
    detector     text        not null check (length(detector) between 1 and 100),
    hour         timestamptz not null,
    partition    integer     not null check (partition >= 0),
    position     bigint      not null,
    findings     bigint      not null check (findings >= 0),
    alerted      bigint      not null check (alerted >= 0),
    folded       bigint      not null check (folded >= 0),
    suppressed   bigint      not null check (suppressed >= 0),
    below_budget bigint      not null check (below_budget >= 0),
    updated_at   timestamptz not null default now(),
    primary key (tenant_id, detector, hour, partition),
    check (findings = alerted + folded + suppressed + below_budget)
);
create index findings_ledger_by_hour on findings_ledger (tenant_id, hour);
