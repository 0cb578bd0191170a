-- Tenants, people and keys. Everything lives in the schema "tenantwatch",
-- which the migration's search_path names first.
--
-- tenant_id in a tenant table defaults to the transaction's own tenant, so a
-- statement cannot forget it; the policies of 00004 refuse any other.

-- +goose Up
create table tenants (
    id           uuid primary key,
    slug         text        not null unique check (slug ~ '^[a-z0-9][a-z0-9-]{0,62}$'),
    name         text        not null check (length(name) between 1 and 200),
    status       text        not null default 'active' check (status in ('active', 'suspended')),
    placement    text        not null default 'pooled' check (placement in ('pooled', 'dedicated')),
    alert_budget integer     not null default 5 check (alert_budget between 0 and 10000),
    time_zone    text        not null default 'UTC' check (length(time_zone) between 1 and 64),
    retention_days integer   not null default 365 check (retention_days between 1 and 2557),
    version      integer     not null default 1,
    created_at   timestamptz not null default now(),
    updated_at   timestamptz not null default now()
);

-- People of the operator: they see the tenants granted to them.
create table operators (
    id              uuid primary key,
    email           text        not null unique check (length(email) between 3 and 254),
    name            text        not null check (length(name) <= 200),
    role            text        not null check (role in ('platform_admin', 'soc_analyst', 'soc_reader')),
    password_hash   text        not null,
    status          text        not null default 'active' check (status in ('active', 'disabled')),
    failures        integer     not null default 0,
    locked_until    timestamptz,
    last_sign_in_at timestamptz,
    created_at      timestamptz not null default now()
);

create table operator_grants (
    operator_id uuid not null references operators (id) on delete cascade,
    tenant_id   uuid not null references tenants (id) on delete cascade,
    granted_at  timestamptz not null default now(),
    primary key (operator_id, tenant_id)
);

create table operator_tokens (
    id           text primary key,
    operator_id  uuid        not null references operators (id) on delete cascade,
    name         text        not null check (length(name) <= 200),
    secret_hash  bytea       not null check (length(secret_hash) = 32),
    expires_at   timestamptz,
    last_used_at timestamptz,
    revoked_at   timestamptz,
    created_at   timestamptz not null default now()
);

-- What the operator's people did that concerns no single tenant.
create table operator_audit (
    id         uuid primary key,
    at         timestamptz not null default now(),
    actor_kind text        not null,
    actor_id   text        not null,
    actor_name text        not null,
    action     text        not null,
    target     text        not null,
    detail     json        not null
);

-- People of one tenant.
create table users (
    tenant_id       uuid        not null default nullif(current_setting('app.tenant_id', true), '')::uuid
                                references tenants (id) on delete cascade,
    id              uuid        not null,
    email           text        not null check (length(email) between 3 and 254),
    name            text        not null check (length(name) <= 200),
    role            text        not null check (role in ('tenant_admin', 'tenant_auditor')),
    password_hash   text        not null,
    status          text        not null default 'active' check (status in ('active', 'disabled')),
    failures        integer     not null default 0,
    locked_until    timestamptz,
    last_sign_in_at timestamptz,
    created_at      timestamptz not null default now(),
    primary key (tenant_id, id),
    unique (tenant_id, email)
);
-- Signing in starts from an address alone, before any tenant is known.
create index users_by_email on users (email);

-- A session's cookie is resolved before any tenant is known, hence one table
-- for both kinds of people. Only the token's hash is kept.
create table sessions (
    token_hash  bytea primary key check (length(token_hash) = 32),
    operator_id uuid references operators (id) on delete cascade,
    tenant_id   uuid,
    user_id     uuid,
    address     text        not null default '',
    user_agent  text        not null default '',
    created_at  timestamptz not null,
    seen_at     timestamptz not null,
    idle_until  timestamptz not null,
    expires_at  timestamptz not null,
    foreign key (tenant_id, user_id) references users (tenant_id, id) on delete cascade,
    check (num_nonnulls(operator_id, user_id) = 1 and num_nonnulls(tenant_id, user_id) in (0, 2))
);
create index sessions_by_operator on sessions (operator_id);
create index sessions_by_user on sessions (tenant_id, user_id);
create index sessions_by_expiry on sessions (expires_at);

-- Ingest keys and API tokens of one tenant.
create table api_keys (
    tenant_id    uuid        not null default nullif(current_setting('app.tenant_id', true), '')::uuid
                             references tenants (id) on delete cascade,
    id           text        not null check (length(id) between 8 and 64),
    kind         text        not null check (kind in ('ingest', 'api')),
    role         text        not null check (role in ('ingest', 'tenant_admin', 'tenant_auditor')),
    name         text        not null check (length(name) between 1 and 200),
    secret_hash  bytea       not null check (length(secret_hash) = 32),
    scopes       text[]      not null default '{}',
    created_by   text        not null default '',
    created_at   timestamptz not null default now(),
    expires_at   timestamptz,
    last_used_at timestamptz,
    revoked_at   timestamptz,
    primary key (tenant_id, id),
    check ((kind = 'ingest') = (role = 'ingest'))
);
-- A credential is resolved by its id, before any tenant is known.
create index api_keys_by_id on api_keys (id);

-- The tenant's own trail of what people and keys did to it: appended, never
-- changed.
create table audit_log (
    tenant_id  uuid        not null default nullif(current_setting('app.tenant_id', true), '')::uuid
                           references tenants (id) on delete cascade,
    id         uuid        not null,
    at         timestamptz not null default now(),
    actor_kind text        not null,
    actor_id   text        not null,
    actor_name text        not null,
    action     text        not null,
    target     text        not null,
    detail     json        not null,
    primary key (tenant_id, id)
);
