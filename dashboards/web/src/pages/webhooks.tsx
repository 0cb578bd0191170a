import "@mantine/core/styles/PasswordInput.layer.css";
import { Button, Modal, NativeSelect, PasswordInput, TextInput } from "@mantine/core";
import { useInfiniteQuery, useMutation, useQueryClient } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { useState } from "react";
import { attempt, body, client } from "../api/client";
import { asApiError } from "../api/problem";
import { webhooksQuery } from "../api/queries";
import type { Webhook } from "../api/types";
import { DESTINATIONS } from "../lib/destinations";
import { SEVERITIES, type Severity } from "../lib/urlstate";
import { useCan, useScope } from "../session";
import { Confirm, More, Secret, useTenantField } from "../ui/admin";
import { severityName, TenantMark } from "../ui/badges";
import { IconPlus, IconTrash, IconWebhook } from "../ui/icons";
import { Denied, Empty, Failed, SkeletonRows } from "../ui/states";
import { Txt } from "../ui/text";
import { Time } from "../ui/time";
import { useTitle } from "../ui/title";
import { HookState } from "../ui/hookstate";
import { useToast } from "../ui/toast";

const route = getRouteApi("/in/webhooks");

export default function Webhooks() {
  const search = route.useSearch();
  const { multi, param } = useScope(search.tenant);
  const may = useCan("webhooks:read");
  const manage = useCan("webhooks:manage");
  const list = useInfiniteQuery({ ...webhooksQuery(param), enabled: may });
  const rows = list.data?.pages.flatMap((p) => p.items) ?? [];
  const [creating, setCreating] = useState(false);
  const [doomed, setDoomed] = useState<Webhook>();
  const queries = useQueryClient();
  const say = useToast();
  useTitle("Webhooks");
  const remove = useMutation({
    mutationFn: (w: Webhook) => body(client.DELETE("/api/v1/webhooks/{id}", { params: { path: { id: w.id }, query: multi ? { tenant_id: w.tenant_id } : {} } })),
    onSuccess: () => {
      setDoomed(undefined);
      say("Webhook removed");
      void queries.invalidateQueries({ queryKey: ["webhooks"] });
    },
    onError: (e) => say(`Not removed: ${e.message}`, { bad: true }),
  });
  if (!may) return <Denied what="Webhooks" />;
  return (
    <div className="doc">
      <header className="dochead">
        <div className="grow">
          <h1>Webhooks</h1>
          <p className="dim">Every alert of a tenant goes to these destinations: a signed webhook, a SIEM, a chat, a pager or a ticket. At least once and in order; a failed delivery is tried again.</p>
        </div>
        {manage && (
          <Button leftSection={<IconPlus size={14} />} onClick={() => setCreating(true)}>
            New webhook
          </Button>
        )}
      </header>
      <section className="panel">
        {list.isPending ? (
          <SkeletonRows rows={4} />
        ) : list.isError ? (
          <Failed what="The webhooks could not be read" error={list.error} retry={() => void list.refetch()} />
        ) : rows.length === 0 ? (
          <Empty icon={IconWebhook} title="No webhook yet">
            <p>Register the address of your SIEM and keep the signing secret; deliveries can be watched here.</p>
            {manage && <Button onClick={() => setCreating(true)}>Register a webhook</Button>}
          </Empty>
        ) : (
          <div className="tscroll" tabIndex={0} role="region" aria-label="Webhooks">
            <table className="plain">
              <thead>
                <tr>
                  <th>Name and address</th>
                  {multi && <th>Tenant</th>}
                  <th>State</th>
                  <th>Created</th>
                  <th>
                    <span className="sr">Actions</span>
                  </th>
                </tr>
              </thead>
              <tbody>
                {rows.map((w) => (
                  <tr key={w.id}>
                    <th scope="row">
                      <Link to="/webhooks/$id" params={{ id: w.id }} search={param ? { tenant: param } : {}} className="link">
                        <Txt value={w.name || "Webhook"} />
                      </Link>
                      <div className="dim wrap" style={{ fontWeight: 400 }}>
                        <Txt value={w.url} mono />
                      </div>
                    </th>
                    {multi && (
                      <td>
                        <span className="row" style={{ gap: 6 }}>
                          <TenantMark id={w.tenant_id} /> {w.tenant_id}
                        </span>
                      </td>
                    )}
                    <td>
                      {w.kind && w.kind !== "webhook" && <span className="tag">{w.kind}</span>}
                      <HookState hook={w} />
                    </td>
                    <td>
                      <Time at={w.created_at} />
                    </td>
                    <td className="right">
                      {manage && (
                        <Button size="compact-xs" variant="subtle" color="gray" leftSection={<IconTrash size={13} />} onClick={() => setDoomed(w)}>
                          Remove
                        </Button>
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
      <Modal opened={creating} onClose={() => setCreating(false)} title="New webhook" size="lg" closeButtonProps={{ "aria-label": "Close" }} closeOnClickOutside={false}>
        {creating && <Create tenant={search.tenant} close={() => setCreating(false)} />}
      </Modal>
      <Confirm opened={doomed !== undefined} close={() => setDoomed(undefined)} run={() => doomed && remove.mutate(doomed)} pending={remove.isPending} title="Remove this webhook?" verb="Remove the webhook">
        Nothing more is sent to <Txt value={doomed?.url ?? ""} mono />, and its deliveries are forgotten.
      </Confirm>
    </div>
  );
}

function Create({ tenant, close }: { tenant: string | undefined; close: () => void }) {
  const [url, setURL] = useState("");
  const [name, setName] = useState("");
  const [kind, setKind] = useState("webhook");
  const [token, setToken] = useState("");
  const [least, setLeast] = useState<Severity>("informational");
  const [given, setGiven] = useState<Record<string, string>>({});
  const dest = DESTINATIONS.find((d) => d.kind === kind) ?? DESTINATIONS[0];
  const [once, setOnce] = useState(attempt);
  const t = useTenantField(tenant);
  const queries = useQueryClient();
  const make = useMutation({
    mutationFn: () =>
      body(
        client.POST("/api/v1/webhooks", {
          params: { header: { "Idempotency-Key": once } },
          body: { ...t.body, url: url.trim(), ...(name.trim() ? { name: name.trim() } : {}),
            ...(kind === "webhook" ? {} : { kind, ...(token ? { token } : {}) }),
            ...(least === "informational" ? {} : { min_severity: least }),
            settings: (dest?.settings ?? []).flatMap((s) => (given[s.name]?.trim() ? [{ name: s.name, value: given[s.name]?.trim() ?? "" }] : [])),
          },
        }),
      ),
    onSuccess: () => void queries.invalidateQueries({ queryKey: ["webhooks"] }),
    onError: () => setOnce(attempt()),
  });
  if (make.data && kind !== "webhook")
    return (
      <div className="stack" style={{ gap: 16 }}>
        <p style={{ margin: 0 }}>Registered. Its secret is sealed and is not shown again; send a test from its page to see the whole exchange.</p>
        <div className="row" style={{ justifyContent: "flex-end" }}>
          <Button variant="default" onClick={close}>
            Close
          </Button>
          <Button renderRoot={(p) => <Link to="/webhooks/$id" params={{ id: make.data.webhook.id }} search={tenant ? { tenant } : {}} {...p} />}>Open its page</Button>
        </div>
      </div>
    );
  if (make.data)
    return (
      <div className="stack" style={{ gap: 16 }}>
        <Secret secret={make.data.secret} label="signing secret">
          <p className="dim" style={{ margin: 0 }}>
            Check each delivery with any Standard Webhooks library: the headers <span className="mono">webhook-id</span>, <span className="mono">webhook-timestamp</span> and <span className="mono">webhook-signature</span>.
          </p>
        </Secret>
        <div className="row" style={{ justifyContent: "flex-end" }}>
          <Button onClick={close}>I have copied it</Button>
        </div>
      </div>
    );
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
      {t.field}
      <NativeSelect label="Kind" size="sm" value={kind} onChange={(e) => setKind(e.currentTarget.value)} data={DESTINATIONS.map((d) => ({ value: d.kind, label: d.name }))} error={error?.field("kind")?.message} />
      <TextInput label="Address" placeholder={dest?.address ?? ""} required maxLength={2048} data-autofocus value={url} onChange={(e) => setURL(e.currentTarget.value)} error={error?.field("url")?.message} />
      <TextInput label="Name" description="Optional" maxLength={200} value={name} onChange={(e) => setName(e.currentTarget.value)} />
      {dest?.settings.map((s) => (
        <TextInput key={s.name} label={s.label} required={s.required ?? false} placeholder={s.placeholder ?? ""} maxLength={4096} value={given[s.name] ?? ""} onChange={(e) => setGiven({ ...given, [s.name]: e.currentTarget.value })} />
      ))}
      {dest?.token && <PasswordInput size="sm" label={dest.token} description="Sealed at rest and never shown again" maxLength={4096} autoComplete="off" value={token} onChange={(e) => setToken(e.currentTarget.value)} error={error?.field("token")?.message} />}
      <NativeSelect label="Severity" size="sm" value={least} onChange={(e) => setLeast(e.currentTarget.value as Severity)} data={[...SEVERITIES].reverse().map((s) => ({ value: s, label: s === "informational" ? "All alerts" : s === "critical" ? "Only critical" : `${severityName(s)} and graver` }))} />
      {error && !error.field("url") && (
        <div role="alert" className="formerror wrap">
          {error.title}. {error.detail}
        </div>
      )}
      <div className="row" style={{ justifyContent: "flex-end" }}>
        <Button variant="default" onClick={close}>
          Cancel
        </Button>
        <Button type="submit" loading={make.isPending} disabled={!t.value}>
          Register
        </Button>
      </div>
    </form>
  );
}
