/* People: a tenant's members, or the operator's own with the tenants granted to them. */
import "@mantine/core/styles/Pill.layer.css";
import "@mantine/core/styles/PillsInput.layer.css";
import { Button, Menu, Modal, MultiSelect, Select, TextInput } from "@mantine/core";
import { useInfiniteQuery, useMutation, useQueryClient } from "@tanstack/react-query";
import { getRouteApi } from "@tanstack/react-router";
import { useState } from "react";
import { attempt, body, client } from "../api/client";
import { asApiError } from "../api/problem";
import { usersQuery } from "../api/queries";
import type { Role, User, UserCreated } from "../api/types";
import { ROLE_NAMES } from "../lib/roles";
import { visible } from "../lib/text";
import { useCan, useScope, useSession } from "../session";
import { Confirm, More, Secret } from "../ui/admin";
import { IconDown, IconPlus, IconUsers } from "../ui/icons";
import { Denied, Empty, Failed, SkeletonRows } from "../ui/states";
import { Txt } from "../ui/text";
import { Time } from "../ui/time";
import { useTitle } from "../ui/title";
import { useToast } from "../ui/toast";

const route = getRouteApi("/in/users");
const MEMBERS: Role[] = ["tenant_admin", "tenant_auditor"];
const OPERATORS: Role[] = ["platform_admin", "soc_analyst", "soc_reader"];

export default function Users() {
  const search = route.useSearch();
  const session = useSession();
  const { multi, tenant, param } = useScope(search.tenant);
  const may = useCan("users:read");
  const manage = useCan("users:manage");
  const list = useInfiniteQuery({ ...usersQuery(param), enabled: may });
  const rows = list.data?.pages.flatMap((p) => p.items) ?? [];
  const [editing, setEditing] = useState<User | "new">();
  const [doomed, setDoomed] = useState<User>();
  const [made, setMade] = useState<UserCreated>();
  const queries = useQueryClient();
  const say = useToast();
  useTitle("Users");
  const own = multi && !tenant;
  const ref = multi && tenant ? { tenant_id: tenant } : {};
  const refresh = () => void queries.invalidateQueries({ queryKey: ["users"] });
  const patch = useMutation({
    mutationFn: (p: { user: User; disabled: boolean }) => body(client.PATCH("/api/v1/users/{id}", { params: { path: { id: p.user.id } }, body: { ...ref, disabled: p.disabled } })),
    onSuccess: (_u, p) => {
      say(p.disabled ? "Disabled: signed out everywhere, and nobody signs in as them" : "Enabled");
      refresh();
    },
    onError: (e) => say(`Not changed: ${e.message}`, { bad: true }),
  });
  const reset = useMutation({
    mutationFn: (u: User) => body(client.POST("/api/v1/users/{id}/reset", { params: { path: { id: u.id } }, body: { ...ref, second_factor: u.second_factor } })),
    onSuccess: (m) => {
      setMade(m);
      refresh();
    },
    onError: (e) => say(`Not reset: ${e.message}`, { bad: true }),
  });
  const remove = useMutation({
    mutationFn: (u: User) => body(client.DELETE("/api/v1/users/{id}", { params: { path: { id: u.id }, query: multi && tenant ? { tenant_id: tenant } : {} } })),
    onSuccess: () => {
      setDoomed(undefined);
      say("Removed");
      refresh();
    },
    onError: (e) => say(`Not removed: ${e.message}`, { bad: true }),
  });
  if (!may) return <Denied what="Users" />;
  return (
    <div className="doc">
      <header className="dochead">
        <div className="grow">
          <h1>Users</h1>
          <p className="dim">
            {own ? "The operator's own people. Analysts and readers see the tenants granted to them." : "People of this tenant. An administrator manages, an auditor reads; neither sees another tenant."}
          </p>
        </div>
        {manage && (
          <Button leftSection={<IconPlus size={14} />} onClick={() => setEditing("new")}>
            New user
          </Button>
        )}
      </header>
      <section className="panel">
        {list.isPending ? (
          <SkeletonRows rows={6} />
        ) : list.isError ? (
          <Failed what="The users could not be read" error={list.error} retry={() => void list.refetch()} />
        ) : rows.length === 0 ? (
          <Empty icon={IconUsers} title="Nobody yet">{manage && <Button onClick={() => setEditing("new")}>Add the first</Button>}</Empty>
        ) : (
          <div className="tscroll" tabIndex={0} role="region" aria-label="Users">
            <table className="plain">
              <thead>
                <tr>
                  <th>Person</th>
                  <th>Role</th>
                  {own && <th>Tenants</th>}
                  <th>Second factor</th>
                  <th>Last sign-in</th>
                  <th>State</th>
                  <th>
                    <span className="sr">Actions</span>
                  </th>
                </tr>
              </thead>
              <tbody>
                {rows.map((u) => (
                  <tr key={u.id}>
                    <th scope="row">
                      <Txt value={u.name || u.email} className="cut blk" />
                      {u.name && <Txt value={u.email} className="dim cut blk" />}
                    </th>
                    <td>{ROLE_NAMES[u.role]}</td>
                    {own && <td className="wrap">{u.role === "platform_admin" ? "every one" : u.tenants.length ? u.tenants.join(", ") : <span className="dim">none granted</span>}</td>}
                    <td>{u.provider ? `by ${u.provider}` : u.second_factor ? "on" : <span className="dim">off</span>}</td>
                    <td>
                      <Time at={u.last_sign_in_at} />
                    </td>
                    <td>{u.disabled ? "Disabled" : u.locked_until && Date.parse(u.locked_until) > Date.now() ? <>Locked, opens <Time at={u.locked_until} /></> : u.must_change_password ? "Must choose a password" : "Active"}</td>
                    <td className="right">
                      {manage && (
                        <Menu position="bottom-end">
                          <Menu.Target>
                            <Button size="compact-xs" variant="subtle" color="gray" rightSection={<IconDown size={13} />} aria-label={`Change ${visible(u.email)}`}>
                              Change
                            </Button>
                          </Menu.Target>
                          <Menu.Dropdown>
                            <Menu.Item onClick={() => setEditing(u)}>Name, role{own ? ", tenants" : ""}…</Menu.Item>
                            {!u.provider && <Menu.Item onClick={() => reset.mutate(u)}>Reset the password{u.second_factor ? " and second factor" : ""}</Menu.Item>}
                            {u.id !== session.user.id && <Menu.Item onClick={() => patch.mutate({ user: u, disabled: !u.disabled })}>{u.disabled ? "Enable" : "Disable"}</Menu.Item>}
                            {u.id !== session.user.id && (
                              <>
                                <Menu.Divider />
                                <Menu.Item color="red" onClick={() => setDoomed(u)}>
                                  Remove…
                                </Menu.Item>
                              </>
                            )}
                          </Menu.Dropdown>
                        </Menu>
                      )}
                    </td>
                  </tr>
                ))}
              </tbody>
            </table>
            <More has={list.hasNextPage} loading={list.isFetchingNextPage} load={() => void list.fetchNextPage()} />
          </div>
        )}
      </section>
      <Modal opened={editing !== undefined || made !== undefined} onClose={() => (setEditing(undefined), setMade(undefined))} title={made ? "One-time password" : editing === "new" ? "New user" : "Change a user"} closeButtonProps={{ "aria-label": "Close" }} closeOnClickOutside={false}>
        {made ? (
          <div className="stack" style={{ gap: 16 }}>
            {made.once_password ? (
              <Secret secret={made.once_password} label="one-time password">
                <p className="dim wrap">
                  Give it to <Txt value={made.user.email} />. It works once: signing in with it asks for a password of their own.
                </p>
              </Secret>
            ) : (
              <p>Done. They sign in with the password you set.</p>
            )}
            <div className="row" style={{ justifyContent: "flex-end" }}>
              <Button onClick={() => setMade(undefined)}>Close</Button>
            </div>
          </div>
        ) : editing ? (
          <Edit
            user={editing === "new" ? undefined : editing}
            own={own}
            ref_={ref}
            close={() => setEditing(undefined)}
            created={(m) => {
              setEditing(undefined);
              setMade(m);
              refresh();
            }}
            saved={() => {
              setEditing(undefined);
              say("Saved");
              refresh();
            }}
          />
        ) : null}
      </Modal>
      <Confirm opened={doomed !== undefined} close={() => setDoomed(undefined)} run={() => doomed && remove.mutate(doomed)} pending={remove.isPending} title="Remove this user?" verb="Remove">
        <b>
          <Txt value={doomed?.email ?? ""} />
        </b>{" "}
        is signed out everywhere and cannot sign in again. What they did stays in the audit log.
      </Confirm>
    </div>
  );
}

interface EditProps {
  user: User | undefined;
  own: boolean;
  ref_: { tenant_id?: string };
  close: () => void;
  created: (m: UserCreated) => void;
  saved: () => void;
}

function Edit({ user, own, ref_, close, created, saved }: EditProps) {
  const session = useSession();
  const roles = own ? OPERATORS : MEMBERS;
  const [email, setEmail] = useState(user?.email ?? "");
  const [name, setName] = useState(user?.name ?? "");
  const [role, setRole] = useState<Role>(user?.role ?? roles[1] ?? "tenant_auditor");
  const [tenants, setTenants] = useState<string[]>(user?.tenants ?? []);
  const [once, setOnce] = useState(attempt);
  const grants = own && role !== "platform_admin" ? { tenants } : {};
  const make = useMutation({
    mutationFn: async () => {
      if (user) {
        await body(client.PATCH("/api/v1/users/{id}", { params: { path: { id: user.id } }, body: { ...ref_, name: name.trim(), role, ...grants } }));
        return undefined;
      }
      return body(client.POST("/api/v1/users", { params: { header: { "Idempotency-Key": once } }, body: { ...ref_, email: email.trim(), ...(name.trim() ? { name: name.trim() } : {}), role, ...grants } }));
    },
    onSuccess: (m) => (m ? created(m) : saved()),
    onError: () => setOnce(attempt()),
  });
  const error = make.error ? asApiError(make.error) : undefined;
  return (
    <form
      className="stack"
      style={{ gap: 14 }}
      onSubmit={(e) => {
        e.preventDefault();
        make.mutate();
      }}
    >
      <TextInput label="E-mail" type="email" required disabled={Boolean(user)} data-autofocus={!user} value={email} onChange={(e) => setEmail(e.currentTarget.value)} error={error?.field("email")?.message} />
      <TextInput label="Name" maxLength={200} value={name} onChange={(e) => setName(e.currentTarget.value)} />
      <Select label="Role" size="sm" allowDeselect={false} value={role} onChange={(v) => v && setRole(v as Role)} data={roles.map((r) => ({ value: r, label: ROLE_NAMES[r] }))} />
      {own && role !== "platform_admin" && (
        <MultiSelect label="Tenants" size="sm" searchable placeholder={tenants.length ? undefined : "Which may they see?"} value={tenants} onChange={setTenants} data={session.tenants.map((t) => ({ value: t.id, label: visible(t.name) }))} />
      )}
      {error && (
        <div role="alert" className="formerror wrap">
          {error.title}. {error.detail}
        </div>
      )}
      <div className="row" style={{ justifyContent: "flex-end" }}>
        <Button variant="default" onClick={close}>
          Cancel
        </Button>
        <Button type="submit" loading={make.isPending}>
          {user ? "Save" : "Create"}
        </Button>
      </div>
    </form>
  );
}
