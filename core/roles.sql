-- The roles of tenantwatch. Run once per server by a role that may create
-- roles; running it again changes nothing. `migrate` runs it by itself when
-- its connection is allowed to.
--
--   tenantwatch_owner     owns the schema; only migrations act as it
--   tenantwatch_tenant    one tenant's transaction
--   tenantwatch_granted   reads over the tenants granted to an analyst
--   tenantwatch_platform  the named operations across tenants
--   tenantwatch_service   what the program signs in as: it holds no privilege
--                         of its own (NOINHERIT) and steps into one of the
--                         three above for the length of a transaction
do $$
declare r text;
begin
    foreach r in array array['tenantwatch_owner', 'tenantwatch_tenant', 'tenantwatch_granted', 'tenantwatch_platform', 'tenantwatch_service'] loop
        if not exists (select from pg_catalog.pg_roles where rolname = r) then
            begin
                execute format('create role %I nologin noinherit nosuperuser nobypassrls nocreatedb nocreaterole', r);
            exception when duplicate_object or unique_violation then
                null; -- somebody else was faster
            end;
        end if;
    end loop;
    foreach r in array array['tenantwatch_tenant', 'tenantwatch_granted', 'tenantwatch_platform'] loop
        if not exists (select from pg_catalog.pg_auth_members m
                       join pg_catalog.pg_roles g on g.oid = m.roleid and g.rolname = r
                       join pg_catalog.pg_roles w on w.oid = m.member and w.rolname = 'tenantwatch_service') then
            execute format('grant %I to tenantwatch_service', r);
        end if;
    end loop;
end $$;
