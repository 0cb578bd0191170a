/* Home: what needs me now. Every figure links to what it counts. */
import "../styles/entity.css";
import { Skeleton } from "@mantine/core";
import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { getRouteApi, Link, useNavigate } from "@tanstack/react-router";
import { useMemo } from "react";
import { activityQuery, alertsQuery, histogramQuery, overviewQuery } from "../api/queries";
import type { Overview as Data } from "../api/types";
import { compact, count, plural, stamp } from "../lib/format";
import { dayOf } from "../lib/investigate";
import { SEVERITIES, type AlertsSearch } from "../lib/urlstate";
import { useCan, useScope, useSession } from "../session";
import { EntityMark, SeverityMark, StatusMark, TenantMark } from "../ui/badges";
import { Histogram } from "../ui/plots";
import { Heat } from "../ui/heat";
import { IconBuilding, IconDone } from "../ui/icons";
import { usePrefs } from "../ui/prefs";
import { Empty, Failed, SkeletonRows } from "../ui/states";
import { Txt } from "../ui/text";
import { Time } from "../ui/time";
import { useTitle } from "../ui/title";

const route = getRouteApi("/in/");

export default function Overview() {
  const search = route.useSearch();
  const { zone } = usePrefs();
  const session = useSession();
  const { multi, tenant, param } = useScope(search.tenant);
  const found = useQuery(overviewQuery(param));
  const filters = useMemo<AlertsSearch>(() => (param ? { tenant: param } : {}), [param]);
  const alerts = useInfiniteQuery(alertsQuery(filters));
  const audit = useCan("events:read");
  useTitle("Overview");
  const keep = param ? { tenant: param } : {};
  const day = tenant && found.data?.events.latest ? dayOf(found.data.events.latest) : {};

  if (found.isError && !found.data) return <Failed what="The overview could not be read" error={found.error} retry={() => void found.refetch()} />;
  const d = found.data;
  if (d && session.tenants.length === 0 && d.tenants.length === 0)
    return (
      <Empty page icon={IconBuilding} title="No tenant yet">
        <p>Push the first log lines; the tenant is created with them, and its first alerts appear here by themselves.</p>
        <pre className="code">tenantwatch ingest /var/log/auth.log --tenant acme --create</pre>
      </Empty>
    );
  const top = alerts.data?.pages[0]?.items.slice(0, 10) ?? [];
  // The 24 hours that end with the latest event: said, where that is not today.
  const old = tenant && d?.events.latest && Date.now() - Date.parse(d.events.latest) > 2 * 86_400_000 ? stamp(d.events.latest, zone).slice(0, 10) : "";
  const day24 = old ? `24 h to ${old}` : "24 h";
  const many = d?.tenants.length ?? 0;
  return (
    <div className="doc">
      <h1 className="sr">Overview</h1>
      <section className="figures" aria-label="Figures">
        <div className="figure wide">
          <h2>Open alerts</h2>
          {d ? (
            <>
              <Link to="/alerts" search={keep} className="big num">
                {count(d.alerts.open)}
              </Link>
              <div className="sevcounts">
                {SEVERITIES.map((s) => (
                  <Link key={s} to="/alerts" search={{ ...keep, severity: s }} className={d.alerts.by_severity[s] === 0 ? "zero" : ""}>
                    <SeverityMark value={s} />
                    <b className="num">{count(d.alerts.by_severity[s])}</b>
                  </Link>
                ))}
              </div>
            </>
          ) : (
            <Skeleton h={56} />
          )}
        </div>
        <Figure
          name={`Events, ${day24}`}
          to={audit ? "/audit" : "/alerts"}
          search={audit ? { ...keep, ...day } : keep}
          value={d && compact(d.events.last_24h)}
          note={d && `${compact(d.events.last_24h / 24)} an hour`}
        />
        <Figure
          name={`Failures, ${day24}`}
          to={audit ? "/audit" : "/alerts"}
          search={audit ? { ...keep, ...day, q: "outcome:failure" } : keep}
          value={d && compact(d.events.failures_24h)}
          note={d && `${share(d.events.failures_24h, d.events.last_24h)} of all events`}
        />
        <Figure
          name="Alert budget used, 24 h"
          to="/alerts"
          search={{ ...keep, status: "any" }}
          value={d && budget(d)}
          note={d && `${overBudget(d) ? "over" : "within"} the ceiling of ${d.budget.per_tenant_per_day} per tenant and day`}
        />
        <Figure name="Latest event" to={audit ? "/audit" : "/alerts"} search={audit ? { ...keep, ...day } : keep} value={d && (d.events.latest ? <Time at={d.events.latest} /> : "none yet")} note={d?.events.latest ? <Time at={d.events.latest} as="stamp" /> : "in event time"} />
      </section>

      <div className="homecols">
        <section className="panel">
          <header>
            <h2>Newest open alerts</h2>
            <span className="grow" />
            <Link to="/alerts" search={keep} className="link">
              All {d ? count(d.alerts.open) : ""}
            </Link>
          </header>
          {alerts.isPending ? (
            <SkeletonRows rows={6} />
          ) : alerts.isError ? (
            <Failed what="The alerts could not be read" error={alerts.error} retry={() => void alerts.refetch()} />
          ) : top.length === 0 ? (
            <Empty icon={IconDone} title="Nothing is open">
              <p>New alerts appear here by themselves.</p>
            </Empty>
          ) : (
            <ul className="mini">
              {top.map((a) => (
                <li key={a.id}>
                  <Link to="/alerts/$id" params={{ id: a.id }} search={keep}>
                    <SeverityMark value={a.severity} iconOnly />
                    <span className="num strong">{a.score.toFixed(0)}</span>
                    <span className="grow">
                      <Txt value={a.title} className="cut blk strong" />
                      <span className="row dim" style={{ gap: 10 }}>
                        <EntityMark value={a.entity} />
                        {multi && !param && (
                          <span className="row" style={{ gap: 5, flex: "none" }}>
                            <TenantMark id={a.tenant_id} size={14} />
                            <span className="cut" style={{ maxWidth: 110 }}>{a.tenant_id}</span>
                          </span>
                        )}
                      </span>
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
        <div className="stack">
          {tenant && audit && d?.events.latest ? <Rate tenant={tenant} param={param} latest={d.events.latest} /> : null}
          {multi && !param && many > 0 && audit && <Hours />}
          {multi && !param && (
            <section className="panel">
              <header>
                <h2>Tenants</h2>
                <span className="dim num">{d ? plural(many, "tenant") : ""}, most open alerts first</span>
              </header>
              {d ? <Tenants d={d} /> : <SkeletonRows rows={6} />}
            </section>
          )}
        </div>
      </div>
    </div>
  );
}

function budget(d: Data): string {
  const allowed = d.budget.per_tenant_per_day * Math.max(1, d.tenants.length);
  return allowed > 0 ? `${count(d.budget.raised_24h)} of ${count(allowed)}` : count(d.budget.raised_24h);
}

const overBudget = (d: Data) => d.budget.raised_24h > d.budget.per_tenant_per_day * Math.max(1, d.tenants.length);

function share(part: number, whole: number): string {
  if (whole <= 0) return "none";
  const p = (part / whole) * 100;
  return p > 0 && p < 0.1 ? "<0.1 %" : `${p < 10 ? p.toFixed(1) : p.toFixed(0)} %`;
}

function Figure({ name, value, note, to, search }: { name: string; value: React.ReactNode; note: React.ReactNode; to: "/alerts" | "/audit"; search: object }) {
  return (
    <div className="figure">
      <h2>{name}</h2>
      {value === undefined ? (
        <Skeleton h={28} w={90} />
      ) : (
        <Link to={to} search={search} className="big num">
          {value}
        </Link>
      )}
      <div className="dim note2">{note}</div>
    </div>
  );
}

function Tenants({ d }: { d: Data }) {
  const worst = Math.max(1, ...d.tenants.map((t) => t.open_alerts));
  return (
    <div className="tscroll" tabIndex={0} role="region" aria-label="Tenants">
      <table className="plain num">
        <thead>
          <tr>
            <th>Tenant</th>
            <th className="right">Open alerts</th>
            <th className="right">Events, 24 h</th>
            <th className="right">Failed</th>
            <th className="right">Budget</th>
            <th>Latest</th>
          </tr>
        </thead>
        <tbody>
          {d.tenants.map((t) => (
            <tr key={t.tenant_id}>
              <th scope="row">
                <Link to="/" search={{ tenant: t.tenant_id }} className="row rowlink" style={{ gap: 8 }}>
                  <TenantMark id={t.tenant_id} /> <span className="cut" style={{ maxWidth: 150 }} title={t.tenant_id}>{t.tenant_id}</span>
                </Link>
              </th>
              <td className="right">
                <Link to="/alerts" search={{ tenant: t.tenant_id }} className="meter rowlink">
                  <i style={{ width: `${(t.open_alerts / worst) * 52}px` }} aria-hidden />
                  <span>{count(t.open_alerts)}</span>
                </Link>
              </td>
              <td className="right">
                <Link to="/audit" search={{ tenant: t.tenant_id, ...(t.latest ? dayOf(t.latest) : {}) }} className="rowlink">
                  {compact(t.events_24h)}
                </Link>
              </td>
              <td className="right">{share(t.failures_24h, t.events_24h)}</td>
              <td className="right" title="Alerts raised in 24 h of the budget">
                {count(t.raised_24h)}
                <span className="dim">/{t.alert_budget ?? d.budget.per_tenant_per_day}</span>
              </td>
              <td>
                <Time at={t.latest} />
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Rate({ tenant, param, latest }: { tenant: string; param: string | undefined; latest: string }) {
  const navigate = useNavigate();
  const range = dayOf(latest);
  const found = useQuery(histogramQuery({ tenant: param, q: undefined, ...range }, 48));
  return (
    <section className="panel">
      <header>
        <h2>Events over the last 24 hours seen</h2>
        <span className="grow" />
        <Link to="/audit" search={{ ...(param ? { tenant: param } : {}), ...range }} className="link">
          Open in the audit log
        </Link>
      </header>
      <div className="body">
        {found.data ? (
          <Histogram data={found.data} onBrush={(from, to) => void navigate({ to: "/audit", search: { ...(param ? { tenant: param } : {}), from, to } })} />
        ) : found.isError ? (
          <button type="button" className="link plain" onClick={() => void found.refetch()}>
            The events of {tenant} could not be counted. Try again
          </button>
        ) : (
          <Skeleton h={104} />
        )}
      </div>
    </section>
  );
}

const SHOWN = 12;

/** Which tenant was busy when, most at risk first; a dot is an hour in which an alert was raised. */
function Hours() {
  const navigate = useNavigate();
  const { zone } = usePrefs();
  const found = useQuery(activityQuery(undefined));
  const d = found.data;
  const from = d?.from ? Date.parse(d.from) : 0;
  if (found.isError || (d && (!from || d.tenants.length === 0))) return null;
  const columns = d?.tenants[0]?.events.length ?? 0;
  const step = (d?.step_seconds ?? 3600) * 1000;
  const at = (c: number) => new Date(from + c * step);
  const rows = [...(d?.tenants ?? [])].sort((a, b) => b.risk - a.risk || a.tenant_id.localeCompare(b.tenant_id)).slice(0, SHOWN);
  return (
    <section className="panel">
      <header>
        <h2>Tenants by risk</h2>
        <span className="dim num">hours up to the latest event; darker: more events</span>
        <span className="grow" />
        <span className="key">
          <i className="k-out" /> alert
        </span>
      </header>
      <div className="body" style={{ ["--heat-label" as string]: "148px" }}>
        {d ? (
          <Heat
            name="Events by hour and tenant"
            rows={rows.map((t) => ({
              key: t.tenant_id,
              label: (
                <Link to="/" search={{ tenant: t.tenant_id }} className="row rowlink" style={{ gap: 6 }} title={`Risk ${t.risk.toFixed(0)}, ${plural(t.open_alerts, "open alert")}`}>
                  <TenantMark id={t.tenant_id} size={14} />
                  <span className="cut grow">{t.tenant_id}</span>
                  <b className="num" style={{ color: t.risk >= 70 ? "var(--tw-critical)" : t.risk >= 30 ? "var(--tw-medium)" : "var(--tw-dim)" }}>
                    {t.risk.toFixed(0)}
                  </b>
                </Link>
              ),
              values: t.events,
              marks: t.alerts.map((n) => n > 0),
            }))}
            say={(r, c) => {
              const t = rows[r];
              return `${t?.tenant_id ?? ""}, ${stamp(at(c), zone).slice(0, 16)}\n${plural(t?.events[c] ?? 0, "event")}, ${count(t?.failures[c] ?? 0)} failed${t?.alerts[c] ? `\n${plural(t.alerts[c] ?? 0, "alert")} raised` : ""}`;
            }}
            onOpen={(r, c) => {
              const t = rows[r];
              if (t) void navigate({ to: "/audit", search: { tenant: t.tenant_id, from: at(c).toISOString(), to: at(c + 1).toISOString() } });
            }}
            ticks={Array.from({ length: columns }, (_, c) => c)
              .filter((c) => (zone === "utc" ? at(c).getUTCHours() : at(c).getHours()) % 12 === 0)
              .map((c) => ({ at: c, text: (zone === "utc" ? at(c).getUTCHours() : at(c).getHours()) === 0 ? stamp(at(c), zone).slice(5, 10) : "12h" }))}
          />
        ) : (
          <Skeleton h={160} />
        )}
        {d && d.tenants.length > SHOWN && <p className="dim" style={{ margin: "6px 0 0" }}>and {plural(d.tenants.length - SHOWN, "more tenant")}, with less risk</p>}
      </div>
    </section>
  );
}
