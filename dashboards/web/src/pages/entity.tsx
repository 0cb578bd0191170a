/* One entity: what it is, what is normal for it, what it did, and what was held against it. */
import "../styles/entity.css";
import { Button, Skeleton } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { getRouteApi, Link, useNavigate } from "@tanstack/react-router";
import { asApiError } from "../api/problem";
import { baselineQuery, entityQuery, histogramQuery } from "../api/queries";
import type { Baseline, EntityKind, EntitySummary, FieldValues } from "../api/types";
import { amount, compact, count, odds, plural, quantity, span } from "../lib/format";
import { entityTerm } from "../lib/investigate";
import { term } from "../lib/querylang";
import { ENTITY_KINDS } from "../lib/urlstate";
import { useCan, useScope } from "../session";
import { EntityMark, SeverityMark, StatusMark } from "../ui/badges";
import { ChooseTenant } from "../ui/choosetenant";
import { CopyIcon } from "../ui/copy";
import { Heat } from "../ui/heat";
import { IconDone, IconSearch, IconUser } from "../ui/icons";
import { Histogram } from "../ui/plots";
import { Denied, Empty, Failed, SkeletonRows } from "../ui/states";
import { Txt } from "../ui/text";
import { Time } from "../ui/time";
import { useTitle } from "../ui/title";

const route = getRouteApi("/in/entities/$type/$id");
const DAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];

export const FIELD_NAMES: Record<string, string> = {
  country: "Countries", city: "Cities", device: "Devices", user_agent: "User agents", asn: "Networks", action: "Actions", cohort: "Roles",
  source: "Sources", src_ip: "Addresses", resource: "Resources", actor: "Actors", session: "Sessions", outcome: "Outcomes", actor_type: "Kinds",
};

export default function EntityPage() {
  const { type, id } = route.useParams();
  const search = route.useSearch();
  const { multi, tenant, param } = useScope(search.tenant);
  const may = useCan("events:read");
  useTitle(id);
  const kind = ENTITY_KINDS.find((k) => k === type);
  if (!may) return <Denied what="Entities" />;
  if (!kind)
    return (
      <Empty page icon={IconUser} title="There is no such kind of entity">
        <p>Known are {ENTITY_KINDS.join(", ")}.</p>
      </Empty>
    );
  if (multi && !tenant) return <ChooseTenant what="The same name may mean somebody else at another tenant, so an entity is looked at in one." />;
  return <Loaded key={`${tenant} ${kind} ${id}`} kind={kind} id={id} param={param} />;
}

function Loaded({ kind, id, param }: { kind: EntityKind; id: string; param: string | undefined }) {
  const found = useQuery(entityQuery(param, kind, id));
  const normal = useQuery(baselineQuery(param, kind, id));
  const keep = param ? { tenant: param } : {};
  const q = entityTerm({ type: kind, id });
  if (found.isPending)
    return (
      <div className="doc">
        <Skeleton h={24} w="30%" />
        <Skeleton h={120} mt={24} />
        <SkeletonRows rows={6} />
      </div>
    );
  if (found.isError) {
    if (asApiError(found.error).status === 404)
      return (
        <Empty page icon={IconUser} title="Nothing is known of this entity">
          <p>It has no event that is still kept, and no alert.</p>
        </Empty>
      );
    return <Failed what="The entity could not be read" error={found.error} retry={() => void found.refetch()} />;
  }
  const e = found.data;
  return (
    <div className="doc">
      <header className="alerthead">
        <div className="headline" style={{ marginTop: 0 }}>
          <div className="grow" style={{ minWidth: 0 }}>
            <h1 className="row" style={{ gap: 8 }}>
              <EntityMark value={{ type: kind, id }} />
              <CopyIcon text={id} label="Copy the name" />
            </h1>
            <p className="dim">
              {/^[aeiou]/.test(kind) && kind !== "user" ? "An" : "A"} {kind} · first seen <Time at={e.totals.first} as="stamp" /> · last seen <Time at={e.totals.last} />
            </p>
            <dl className="kpis num">
              <Kpi name="Events" value={count(e.totals.events)} />
              <Kpi name="Failed" value={count(e.totals.failures)} />
              <Kpi name="Active days" value={count(e.totals.days)} />
              {kind !== "address" && <Kpi name="Addresses" value={compact(e.totals.addresses)} />}
              {kind !== "user" && kind !== "service" && <Kpi name="Actors" value={compact(e.totals.actors)} />}
              <Kpi name="Resources" value={compact(e.totals.resources)} />
              <Kpi name="Sent" value={amount(e.totals.bytes_out, "bytes")} />
              <Kpi name="Open alerts" value={count(e.open_alerts)} />
            </dl>
          </div>
          <div className="bigscore" title="The scores of its open alerts, each halved for every three days since it was last seen">
            <b className="num" style={{ color: e.risk >= 70 ? "var(--tw-critical)" : e.risk >= 30 ? "var(--tw-medium)" : undefined }}>
              {quantity(e.risk)}
            </b>
            <span className="dim">risk</span>
          </div>
        </div>
        <div className="triage">
          <Button variant="default" leftSection={<IconSearch size={14} />} renderRoot={(p) => <Link to="/audit" search={{ ...keep, ...(q ? { q } : {}), range: "all" as const }} {...p} />}>
            View in audit
          </Button>
          {q && (
            <Button variant="default" renderRoot={(p) => <Link to="/audit" search={{ ...keep, q: `${q} outcome:failure`, range: "all" as const }} {...p} />}>
              Its failures
            </Button>
          )}
        </div>
      </header>
      <div className="alertcols">
        <div className="stack">
          <Timeline e={e} param={param} q={q} />
          <WeekMap e={e} />
          <div className="cards">
            {e.fields
              .filter((f) => f.values.length > 0)
              .map((f) => (
                <Values key={f.field} f={f} of={e.totals.events} link={(v) => ({ ...keep, q: [q, fieldTerm(f.field, v)].filter(Boolean).join(" "), range: "all" as const })} />
              ))}
          </div>
        </div>
        <div className="stack">
          <Alerts e={e} keep={keep} />
          {normal.data ? <Normal b={normal.data} /> : normal.isPending ? <Skeleton h={180} /> : null}
          <Related e={e} keep={keep} />
        </div>
      </div>
    </div>
  );
}

const fieldTerm = (field: string, value: string) => (field === "asn" ? `asn:${value}` : term(field, value));

function Kpi({ name, value }: { name: string; value: string }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd style={{ margin: 0 }}>
        <b>{value}</b>
      </dd>
    </div>
  );
}

function Timeline({ e, param, q }: { e: EntitySummary; param: string | undefined; q: string | undefined }) {
  const navigate = useNavigate();
  const first = e.totals.first;
  const last = e.totals.last;
  const range = { from: first ?? undefined, to: last ? new Date(Date.parse(last) + 1000).toISOString() : undefined };
  const hist = useQuery({ ...histogramQuery({ tenant: param, q, ...range } as Parameters<typeof histogramQuery>[0], 90), enabled: Boolean(first) });
  return (
    <section className="panel">
      <header>
        <h2>Timeline</h2>
        <span className="grow" />
        <span className="key">
          <i className="k-count" /> events
        </span>
        <span className="key">
          <i className="k-fail" /> failures
        </span>
      </header>
      <div className="body">
        {hist.data ? (
          <Histogram data={hist.data} onBrush={(from, to) => void navigate({ to: "/audit", search: { ...(param ? { tenant: param } : {}), ...(q ? { q } : {}), from, to } })} />
        ) : hist.isError ? (
          <Failed what="The timeline could not be read" error={hist.error} retry={() => void hist.refetch()} />
        ) : (
          <Skeleton h={104} />
        )}
      </div>
    </section>
  );
}

function WeekMap({ e }: { e: EntitySummary }) {
  const w = e.week;
  if (w.events.length !== 168) return null;
  return (
    <section className="panel">
      <header>
        <h2>Hours of the week</h2>
        <span className="dim">UTC; darker: more events</span>
      </header>
      <div className="body" style={{ ["--heat-label" as string]: "76px" }}>
        <Heat
          name="Events by hour of the week"
          scale="all"
          rows={DAYS.map((d, i) => ({ key: d, label: <span className="dim">{d}</span>, values: w.events.slice(i * 24, i * 24 + 24) }))}
          say={(r, c) => {
            const k = r * 24 + c;
            return `${DAYS[r] ?? ""} ${String(c).padStart(2, "0")}:00\n${plural(w.events[k] ?? 0, "event")}, ${count(w.failures[k] ?? 0)} failed\nactive in ${plural(w.hours[k] ?? 0, "such hour")}`;
          }}
          ticks={[0, 6, 12, 18, 23].map((h) => ({ at: h, text: `${String(h).padStart(2, "0")}h` }))}
        />
      </div>
    </section>
  );
}

function Values({ f, of, link }: { f: FieldValues; of: number; link: (v: string) => object }) {
  const most = Math.max(1, ...f.values.map((v) => v.events));
  return (
    <section className="panel">
      <header>
        <h2>{FIELD_NAMES[f.field] ?? f.field}</h2>
        <span className="dim num">{f.values.length}</span>
      </header>
      <ul className="shares num">
        {f.values.slice(0, 8).map((v) => (
          <li key={v.value}>
            <Link to="/audit" search={link(v.value)} className="link cut" title={v.value}>
              {v.value ? <Txt value={v.value} title="" /> : <span className="dim">(none)</span>}
              {v.new && <span className="newtag" style={{ marginLeft: 6 }}>new</span>}
            </Link>
            <span className="bar" aria-hidden>
              <i style={{ width: `${(v.events / most) * 100}%` }} />
            </span>
            <span style={{ textAlign: "right" }} title={`${count(v.events)} events, ${count(v.failures)} failed`}>
              {compact(v.events)} <span className="dim">{of > 0 ? `${Math.round((v.events / of) * 100)} %` : ""}</span>
            </span>
          </li>
        ))}
      </ul>
    </section>
  );
}

function Alerts({ e, keep }: { e: EntitySummary; keep: { tenant?: string } }) {
  return (
    <section className="panel">
      <header>
        <h2>Alerts</h2>
        <span className="dim num">{e.alerts.length > 0 ? `${count(e.open_alerts)} open` : ""}</span>
      </header>
      {e.alerts.length === 0 ? (
        <Empty icon={IconDone} title="Never alerted" />
      ) : (
        <ul className="mini">
          {e.alerts.slice(0, 12).map((a) => (
            <li key={a.id}>
              <Link to="/alerts/$id" params={{ id: a.id }} search={keep}>
                <SeverityMark value={a.severity} iconOnly />
                <span className="num strong">{a.score.toFixed(0)}</span>
                <span className="grow" style={{ minWidth: 0 }}>
                  <Txt value={a.title} className="cut blk" />
                </span>
                <span className="when dim">
                  <Time at={a.raised_at_event_time} />
                  <StatusMark value={a.triage.status} />
                </span>
              </Link>
            </li>
          ))}
        </ul>
      )}
    </section>
  );
}

function Normal({ b }: { b: Baseline }) {
  return (
    <section className="panel">
      <header>
        <h2>What is normal</h2>
        <span className="dim num">{plural(b.active_hours, "active hour")}</span>
      </header>
      {b.norms.length === 0 ? (
        <Empty title="Too little was seen to say" />
      ) : (
        <div className="tscroll" tabIndex={0} role="region" aria-label="Norms">
          <table className="plain tight num">
            <thead>
              <tr>
                <th>Usual</th>
                <th className="right">median</th>
                <th className="right">95 %</th>
                <th className="right">most</th>
              </tr>
            </thead>
            <tbody>
              {b.norms.map((n) => (
                <tr key={n.name}>
                  <th scope="row" title={`Looked at by the detector ${n.detector}`} style={{ whiteSpace: "normal" }}>
                    {NORMS[n.name] ?? n.name.replaceAll("_", " ")}
                  </th>
                  <td className="right">{value(n.p50, n.unit)}</td>
                  <td className="right">{value(n.p95, n.unit)}</td>
                  <td className="right">{value(n.max, n.unit)}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
      {b.known.length > 0 && (
        <div className="body">
          <p className="dim" style={{ margin: "0 0 6px" }}>
            Chance that its next event brings something new
          </p>
          <dl className="kpis num" style={{ marginTop: 0 }}>
            {b.known.map((k) => (
              <div key={k.field} title={`${plural(k.distinct, "value")} known`}>
                <dt>{FIELD_NAMES[k.field] ?? k.field}</dt>
                <dd style={{ margin: 0 }}>{k.chance_of_new > 0 ? odds(k.chance_of_new) : "none so far"}</dd>
              </div>
            ))}
          </dl>
        </div>
      )}
    </section>
  );
}

const NORMS: Record<string, string> = {
  events_per_hour: "Events an hour", failures_per_hour: "Failures an hour", bytes_out_per_hour: "Sent an hour", bytes_out_per_event: "Sent an event",
  resources_per_hour: "Resources an hour", gap: "Between events",
};

const value = (n: number, unit: string) => (/^bytes\b/.test(unit) ? amount(n, "bytes") : /^s(econds)?$/.test(unit) ? span(n * 1000) : quantity(n));

function Related({ e, keep }: { e: EntitySummary; keep: { tenant?: string } }) {
  if (e.related.length === 0) return null;
  return (
    <section className="panel">
      <header>
        <h2>Seen together with</h2>
      </header>
      <ul className="mini num">
        {e.related.slice(0, 20).map((r) => (
          <li key={`${r.type} ${r.id}`}>
            <Link to="/entities/$type/$id" params={{ type: r.type, id: r.id }} search={keep}>
              <span className="grow" style={{ minWidth: 0 }}>
                <EntityMark value={{ type: r.type as EntityKind, id: r.id }} />
              </span>
              <span className="dim">{compact(r.events)} events</span>
            </Link>
          </li>
        ))}
      </ul>
    </section>
  );
}
