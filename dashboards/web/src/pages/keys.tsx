import { Button, Modal, SegmentedControl, Select, TextInput } from "@mantine/core";
import { useInfiniteQuery, useMutation, useQueryClient } from "@tanstack/react-query";
import { getRouteApi } from "@tanstack/react-router";
import { useState } from "react";
import { attempt, body, client } from "../api/client";
import { asApiError } from "../api/problem";
import { keysQuery } from "../api/queries";
import type { Key, KeyCreated } from "../api/types";
import { useCan, useScope } from "../session";
import { Confirm, More, Secret, useTenantField } from "../ui/admin";
import { TenantMark } from "../ui/badges";
import { CopyButton } from "../ui/copy";
import { IconKey, IconPlus, IconRefresh, IconTrash } from "../ui/icons";
import { Denied, Empty, Failed, SkeletonRows } from "../ui/states";
import { Txt } from "../ui/text";
import { Time } from "../ui/time";
import { useTitle } from "../ui/title";
import { useToast } from "../ui/toast";

const route = getRouteApi("/in/keys");

export default function Keys() {
  const search = route.useSearch();
  const { multi, param } = useScope(search.tenant);
  const may = useCan("keys:read");
  const manage = useCan("keys:manage");
  const list = useInfiniteQuery({ ...keysQuery(param), enabled: may });
  const rows = list.data?.pages.flatMap((p) => p.items) ?? [];
  const [creating, setCreating] = useState(false);
  const [doomed, setDoomed] = useState<Key>();
  const [turning, setTurning] = useState<Key>();
  const queries = useQueryClient();
  const say = useToast();
  useTitle("Keys");
  const revoke = useMutation({
    mutationFn: (k: Key) => body(client.DELETE("/api/v1/keys/{id}", { params: { path: { id: k.id }, query: multi ? { tenant_id: k.tenant_id } : {} } })),
    onSuccess: () => {
      setDoomed(undefined);
      say("Key revoked");
      void queries.invalidateQueries({ queryKey: ["keys"] });
    },
    onError: (e) => say(`Not revoked: ${e.message}`, { bad: true }),
  });

  if (!may) return <Denied what="Keys" />;
  return (
    <div className="doc">
      <header className="dochead">
        <div className="grow">
          <h1>Keys</h1>
          <p className="dim">Ingest keys push events to the collector; API tokens read this API. A key belongs to one tenant, and its events cannot land anywhere else.</p>
        </div>
        {manage && (
          <Button leftSection={<IconPlus size={14} />} onClick={() => setCreating(true)}>
            New key
          </Button>
        )}
      </header>
      <section className="panel">
        {list.isPending ? (
          <SkeletonRows rows={5} />
        ) : list.isError ? (
          <Failed what="The keys could not be read" error={list.error} retry={() => void list.refetch()} />
        ) : rows.length === 0 ? (
          <Empty icon={IconKey} title="No key yet">
            <p>Create an ingest key to send the first events; you get a curl line that works as it is.</p>
            {manage && <Button onClick={() => setCreating(true)}>Create an ingest key</Button>}
          </Empty>
        ) : (
          <div className="tscroll" tabIndex={0} role="region" aria-label="Keys">
            <table className="plain">
              <thead>
                <tr>
                  <th>Name</th>
                  {multi && <th>Tenant</th>}
                  <th>Kind</th>
                  <th>Id, a part of the secret</th>
                  <th>Created</th>
                  <th>Last used</th>
                  <th>Expires</th>
                  <th>
                    <span className="sr">Actions</span>
                  </th>
                </tr>
              </thead>
              <tbody>
                {rows.map((k) => (
                  <tr key={k.id}>
                    <th scope="row">
                      <Txt value={k.name} className="wrap" />
                    </th>
                    {multi && (
                      <td>
                        <span className="row" style={{ gap: 6 }}>
                          <TenantMark id={k.tenant_id} /> {k.tenant_id}
                        </span>
                      </td>
                    )}
                    <td>{k.kind === "ingest" ? "Ingest" : `API, ${k.role.replace("_", " ")}`}</td>
                    <td className="mono dim">{k.id}</td>
                    <td>
                      <Time at={k.created_at} />
                    </td>
                    <td>
                      <Time at={k.last_used_at} />
                    </td>
                    <td>
                      <Time at={k.expires_at} />
                    </td>
                    <td className="right">
                      {manage && (
                        <span className="row" style={{ justifyContent: "flex-end", gap: 2 }}>
                          {!k.replaced_by && (
                            <Button size="compact-xs" variant="subtle" color="gray" leftSection={<IconRefresh size={13} />} onClick={() => setTurning(k)}>
                              Rotate
                            </Button>
                          )}
                          <Button size="compact-xs" variant="subtle" color="gray" leftSection={<IconTrash size={13} />} onClick={() => setDoomed(k)}>
                            Revoke
                          </Button>
                        </span>
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
      <Modal opened={creating} onClose={() => setCreating(false)} title="New key" size="lg" closeButtonProps={{ "aria-label": "Close" }} closeOnClickOutside={false}>
        {creating && <Create tenant={search.tenant} close={() => setCreating(false)} />}
      </Modal>
      <Modal opened={turning !== undefined} onClose={() => setTurning(undefined)} title="Rotate a key" size="lg" closeButtonProps={{ "aria-label": "Close" }} closeOnClickOutside={false}>
        {turning && <Rotate of={turning} multi={multi} close={() => setTurning(undefined)} />}
      </Modal>
      <Confirm opened={doomed !== undefined} close={() => setDoomed(undefined)} run={() => doomed && revoke.mutate(doomed)} pending={revoke.isPending} title="Revoke this key?" verb="Revoke the key">
        <b>
          <Txt value={doomed?.name ?? ""} />
        </b>{" "}
        stops working at once. Whatever still uses it gets 401 and keeps its events until it has another key.
      </Confirm>
    </div>
  );
}

const OVERLAPS = [
  { value: "0", label: "At once" },
  { value: "3600", label: "In an hour" },
  { value: "86400", label: "In a day" },
  { value: "604800", label: "In a week" },
];

/** A successor with the same rights; the old key ends a while later, so that nothing stops in between. */
function Rotate({ of, multi, close }: { of: Key; multi: boolean; close: () => void }) {
  const [overlap, setOverlap] = useState("86400");
  const queries = useQueryClient();
  const turn = useMutation({
    mutationFn: () => body(client.POST("/api/v1/keys/{id}/rotate", { params: { path: { id: of.id } }, body: { ...(multi ? { tenant_id: of.tenant_id } : {}), overlap_seconds: Number(overlap) } })),
    onSuccess: () => void queries.invalidateQueries({ queryKey: ["keys"] }),
  });
  if (turn.data) return <Created made={turn.data} close={close} />;
  const error = turn.error ? asApiError(turn.error) : undefined;
  return (
    <form
      className="stack"
      style={{ gap: 14 }}
      onSubmit={(e) => {
        e.preventDefault();
        turn.mutate();
      }}
    >
      <p style={{ margin: 0 }} className="wrap">
        <b>
          <Txt value={of.name} />
        </b>{" "}
        gets a new secret. Put it in place while the old one still works.
      </p>
      <Select label="The old secret ends" size="sm" allowDeselect={false} value={overlap} onChange={(v) => setOverlap(v ?? "86400")} data={OVERLAPS} />
      {error && (
        <div role="alert" className="formerror wrap">
          {error.title}. {error.detail}
        </div>
      )}
      <div className="row" style={{ justifyContent: "flex-end" }}>
        <Button variant="default" onClick={close}>
          Cancel
        </Button>
        <Button type="submit" loading={turn.isPending}>
          Rotate
        </Button>
      </div>
    </form>
  );
}

function Create({ tenant, close }: { tenant: string | undefined; close: () => void }) {
  const [kind, setKind] = useState<"ingest" | "api">("ingest");
  const [name, setName] = useState("");
  const [role, setRole] = useState<"tenant_auditor" | "tenant_admin">("tenant_auditor");
  const [once, setOnce] = useState(attempt);
  const t = useTenantField(tenant);
  const queries = useQueryClient();
  const make = useMutation({
    mutationFn: () =>
      body(
        client.POST("/api/v1/keys", {
          params: { header: { "Idempotency-Key": once } },
          body: { ...t.body, name: name.trim(), kind, ...(kind === "api" ? { role } : {}) },
        }),
      ),
    onSuccess: () => void queries.invalidateQueries({ queryKey: ["keys"] }),
    onError: () => setOnce(attempt()),
  });
  if (make.data) return <Created made={make.data} close={close} />;
  const error = make.error ? asApiError(make.error) : undefined;
  return (
    <form
      className="stack"
      style={{ gap: 14 }}
      onSubmit={(e) => {
        e.preventDefault();
        if (t.value) make.mutate();
      }}
    >
      <SegmentedControl
        aria-label="Kind"
        value={kind}
        onChange={(v) => setKind(v === "api" ? "api" : "ingest")}
        data={[
          { value: "ingest", label: "Ingest key: sends events" },
          { value: "api", label: "API token: reads" },
        ]}
      />
      {t.field}
      <TextInput label="Name" placeholder="production web servers" required maxLength={200} data-autofocus value={name} onChange={(e) => setName(e.currentTarget.value)} error={error?.field("name")?.message} />
      {kind === "api" && (
        <Select
          label="Role"
          size="sm"
          allowDeselect={false}
          value={role}
          onChange={(v) => setRole(v === "tenant_admin" ? "tenant_admin" : "tenant_auditor")}
          data={[
            { value: "tenant_auditor", label: "Tenant auditor: reads" },
            { value: "tenant_admin", label: "Tenant admin: reads and administers" },
          ]}
        />
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
        <Button type="submit" loading={make.isPending} disabled={!t.value}>
          Create
        </Button>
      </div>
    </form>
  );
}

function Created({ made, close }: { made: KeyCreated; close: () => void }) {
  const collector = `${location.protocol}//${location.hostname}:8081`;
  const now = new Date().toISOString();
  const curl =
    made.key.kind === "ingest"
      ? `curl -sS ${collector}/v1/events \\\n  -H 'Authorization: Bearer ${made.secret}' \\\n  --data-binary '{"time":"${now}","actor":"alice@example.com","action":"login","outcome":"success","src_ip":"203.0.113.7"}'`
      : `curl -sS '${location.origin}/api/v1/audit/events?limit=10' \\\n  -H 'Authorization: Bearer ${made.secret}'`;
  return (
    <div className="stack" style={{ gap: 16 }}>
      <Secret secret={made.secret} label={made.key.kind === "ingest" ? "ingest key" : "API token"}>
        <div>
          <h3 style={{ margin: "0 0 6px" }}>Try it</h3>
          <pre className="code">{curl}</pre>
          <div className="row" style={{ marginTop: 8, flexWrap: "wrap" }}>
            <CopyButton text={curl}>Copy the command</CopyButton>
            {made.key.kind === "ingest" && <span className="dim">Change the address if the collector does not listen on port 8081 of this host.</span>}
          </div>
        </div>
      </Secret>
      <div className="row" style={{ justifyContent: "flex-end" }}>
        <Button onClick={close}>I have copied it</Button>
      </div>
    </div>
  );
}
