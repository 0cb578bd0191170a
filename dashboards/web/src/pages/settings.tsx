/* What a tenant can be set to, what it uses, and its state. */
import { Button, NumberInput, Select, TagsInput, TextInput, Switch } from "@mantine/core";
import "../styles/entity.css";
import "@mantine/core/styles/NumberInput.layer.css";
import "@mantine/core/styles/Pill.layer.css";
import "@mantine/core/styles/PillsInput.layer.css";
import "@mantine/core/styles/InlineInput.layer.css";
import "@mantine/core/styles/Switch.layer.css";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { getRouteApi } from "@tanstack/react-router";
import { lazy, Suspense, useMemo, useState } from "react";
import { answer, client } from "../api/client";
import { asApiError } from "../api/problem";
import { settingsQuery, tenantQuery, usageQuery, type SettingsWithTag } from "../api/queries";
import type { TenantSettingsPatch } from "../api/types";
import { bytes, compact, count, plural } from "../lib/format";
import { useCan, useScope } from "../session";
import { ChooseTenant } from "../ui/choosetenant";
import { IconPlus, IconX } from "../ui/icons";
import { Failed, SkeletonRows } from "../ui/states";
import { useTitle } from "../ui/title";
import { useToast } from "../ui/toast";

const State = lazy(() => import("../ui/tenantlife"));
const NewTenant = lazy(() => import("../ui/tenantlife").then((m) => ({ default: m.NewTenant })));
const route = getRouteApi("/in/settings");
const KINDS = ["office", "vpn", "mobile", "cloud", "partner"] as const;

export default function SettingsPage() {
  const search = route.useSearch();
  const { multi, tenant } = useScope(search.tenant);
  useTitle(tenant ? `Settings of ${tenant}` : "Settings");
  if (multi && !tenant)
    return (
      <>
        <ChooseTenant what="Settings are each tenant's own." />
        <Suspense><NewTenant /></Suspense>
      </>
    );
  return tenant ? <Loaded key={tenant} tenant={tenant} multi={multi} /> : null;
}

function Loaded({ tenant, multi }: { tenant: string; multi: boolean }) {
  const settings = useQuery(settingsQuery(tenant));
  const row = useQuery(tenantQuery(tenant));
  const operator = useCan("tenants:manage");
  if (settings.isPending) return <SkeletonRows rows={8} />;
  if (settings.isError) return <Failed what="The settings could not be read" error={settings.error} retry={() => void settings.refetch()} />;
  return (
    <div className="doc narrowdoc" style={{ maxWidth: 860 }}>
      <header className="dochead">
        <div className="grow">
          <h1>Settings</h1>
          <p className="dim">The detectors heed a new budget, time zone, calendar or network within seconds. Who changed what is in the audit log.</p>
        </div>
      </header>
      <div className="stack">
        <Form key={settings.data.etag} tenant={tenant} seen={settings.data} operator={operator} />
        <Usage param={multi ? tenant : undefined} />
        {operator && row.data && <Suspense><State t={row.data} /></Suspense>}
      </div>
    </div>
  );
}

function Form({ tenant, seen, operator }: { tenant: string; seen: SettingsWithTag; operator: boolean }) {
  const may = useCan("settings:manage");
  const s = seen.settings;
  const [budget, setBudget] = useState<number | string>(s.alert_budget);
  const [zone, setZone] = useState(s.time_zone);
  const [days, setDays] = useState<number | string>(s.retention_days);
  const [hold, setHold] = useState(s.legal_hold);
  const [holidays, setHolidays] = useState(s.calendar.holidays.map((h) => h.date));
  const [networks, setNetworks] = useState(s.networks);
  const queries = useQueryClient();
  const say = useToast();
  const zones = useMemo(() => ["UTC", ...(typeof Intl.supportedValuesOf === "function" ? Intl.supportedValuesOf("timeZone").filter((z) => z !== "UTC") : [])], []);
  const patch: TenantSettingsPatch = {};
  if (Number(budget) !== s.alert_budget) patch.alert_budget = Number(budget);
  if (zone !== s.time_zone) patch.time_zone = zone;
  if (Number(days) !== s.retention_days) patch.retention_days = Number(days);
  if (hold !== s.legal_hold) patch.legal_hold = hold;
  if (holidays.join() !== s.calendar.holidays.map((h) => h.date).join()) patch.calendar = { holidays: holidays.map((d) => ({ date: d, name: s.calendar.holidays.find((h) => h.date === d)?.name ?? "" })) };
  if (JSON.stringify(networks) !== JSON.stringify(s.networks)) patch.networks = networks;
  const changed = Object.keys(patch).length > 0;
  const save = useMutation({
    mutationFn: async () => {
      const { data, response } = await answer(client.PATCH("/api/v1/tenants/{id}/settings", { params: { path: { id: tenant }, header: { "If-Match": seen.etag } }, body: patch }));
      return { settings: data, etag: response.headers.get("ETag") ?? "" };
    },
    onSuccess: (now) => {
      queries.setQueryData(settingsQuery(tenant).queryKey, now);
      void queries.invalidateQueries({ queryKey: ["overview"] });
      say("Settings saved");
    },
  });
  const error = save.error ? asApiError(save.error) : undefined;
  return (
    <form
      className="stack"
      onSubmit={(e) => {
        e.preventDefault();
        save.mutate();
      }}
    >
      <section className="panel">
        <header>
          <h2>Detection</h2>
        </header>
        <div className="body stack" style={{ gap: 14 }}>
          <NumberInput label="Alert budget" description="The number of alerts a day that is not exceeded, on average, without an attack. A ceiling, never a quota." min={0} max={10000} allowDecimal={false} clampBehavior="none" size="sm" w={340} disabled={!may} value={budget} onChange={setBudget} />
          <Select label="Time zone" description="Whose mornings and evenings count." searchable size="sm" w={340} allowDeselect={false} disabled={!may} value={zone} onChange={(v) => v && setZone(v)} data={zones.includes(zone) ? zones : [zone, ...zones]} nothingFoundMessage="No such zone" />
          <TagsInput label="Holidays" description="Days that behave like a Sunday, as 2026-12-25." size="sm" disabled={!may} value={holidays} onChange={(v) => setHolidays([...new Set(v.filter((d) => /^\d{4}-\d\d-\d\d$/.test(d)))].sort())} placeholder={holidays.length ? "" : "2026-12-25"} />
        </div>
      </section>
      <section className="panel">
        <header>
          <h2>Networks of your own</h2>
          <span className="dim">offices and VPN exits: moving within and between them is no travel</span>
          <span className="grow" />
          {may && (
            <Button size="compact-xs" variant="default" leftSection={<IconPlus size={13} />} onClick={() => setNetworks([...networks, { name: "", prefix: "", kind: "office" }])}>
              Add
            </Button>
          )}
        </header>
        <div className="body stack" style={{ gap: 8 }}>
          {networks.length === 0 && <span className="dim">None named.</span>}
          {networks.map((n, i) => (
            <div key={i} className="row" style={{ gap: 8, flexWrap: "wrap" }}>
              <TextInput aria-label="Name" placeholder="Berlin office" required disabled={!may} value={n.name} onChange={(e) => setNetworks(networks.map((x, k) => (k === i ? { ...x, name: e.currentTarget.value } : x)))} />
              <TextInput aria-label="Range of addresses" className="mono" placeholder="203.0.113.0/24" required disabled={!may} value={n.prefix} onChange={(e) => setNetworks(networks.map((x, k) => (k === i ? { ...x, prefix: e.currentTarget.value } : x)))} />
              <Select aria-label="Kind" size="sm" w={120} allowDeselect={false} disabled={!may} value={n.kind} onChange={(v) => setNetworks(networks.map((x, k) => (k === i ? { ...x, kind: (v ?? "office") as (typeof KINDS)[number] } : x)))} data={[...KINDS]} />
              {may && (
                <Button variant="subtle" color="gray" aria-label={`Remove ${n.name}`} onClick={() => setNetworks(networks.filter((_, k) => k !== i))}>
                  <IconX size={14} />
                </Button>
              )}
            </div>
          ))}
        </div>
      </section>
      <section className="panel">
        <header>
          <h2>Data</h2>
          {!operator && <span className="dim">decided by the operator of the platform</span>}
        </header>
        <div className="body stack" style={{ gap: 14 }}>
          <NumberInput label="Retention" description="Days for which events are kept from when they came in; 1 to 2,557." min={1} max={2557} allowDecimal={false} clampBehavior="none" size="sm" w={340} suffix=" days" disabled={!operator} value={days} onChange={setDays} />
          <Switch label="Legal hold: nothing is removed, whatever its age" disabled={!operator} checked={hold} onChange={(e) => setHold(e.currentTarget.checked)} />
        </div>
      </section>
      {error && (
        <div role="alert" className="formerror wrap">
          {error.status === 412 ? "Somebody else changed the settings meanwhile. Reload to see theirs." : `${error.title}. ${error.detail}`}
        </div>
      )}
      {may && (
        <div className="row" style={{ justifyContent: "flex-end" }}>
          <Button type="submit" disabled={!changed} loading={save.isPending}>
            Save
          </Button>
        </div>
      )}
    </form>
  );
}

function Usage({ param }: { param: string | undefined }) {
  const found = useQuery(usageQuery(param));
  if (!found.data) return null;
  const { total, days, stored_days: kept } = found.data;
  const most = Math.max(1, ...days.map((d) => d.counts.events));
  return (
    <section className="panel">
      <header>
        <h2>Usage</h2>
        <span className="dim num">
          {plural(days.length, "day")}; events of {plural(kept, "day")} are stored
        </span>
      </header>
      <div className="body stack" style={{ gap: 12 }}>
        <dl className="kpis num" style={{ margin: 0 }}>
          {(
            [
              ["Events pushed", compact(total.events), count(total.events)],
              ["Bytes pushed", bytes(total.bytes), count(total.bytes)],
              ["Requests to the API", compact(total.queries), count(total.queries)],
              ["Refused by a limit", compact(total.refused), count(total.refused)],
            ] as const
          ).map(([k, v, t]) => (
            <div key={k} title={t}>
              <dt>{k}</dt>
              <dd style={{ margin: 0 }}>
                <b>{v}</b>
              </dd>
            </div>
          ))}
        </dl>
        <div className="spark" role="img" aria-label={`Events a day: ${days.map((d) => d.counts.events).join(", ")}`}>
          {days.map((d) => (
            <span key={d.day} title={`${d.day}: ${plural(d.counts.events, "event")}`}>
              <i style={{ height: `${(d.counts.events / most) * 100}%` }} />
            </span>
          ))}
        </div>
      </div>
    </section>
  );
}
