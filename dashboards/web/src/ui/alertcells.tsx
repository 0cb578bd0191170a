/* What the queue shows of an alert, and of a group of them. */
import type { Alert } from "../api/types";
import { plural } from "../lib/format";
import type { Head } from "../lib/grouping";
import { techniqueName } from "../lib/technique";
import { EntityMark, SeverityMark, StatusMark, TenantMark } from "./badges";
import { IconDown, IconRight } from "./icons";
import { PickBox } from "./pick";
import { Txt } from "./text";
import { Time } from "./time";

export function Score({ value }: { value: number }) {
  return (
    <span className="num strong" title={`Score ${value} of 100`}>
      {value.toFixed(1)}
    </span>
  );
}

export function What({ a }: { a: Alert }) {
  return (
    <div style={{ lineHeight: 1.35 }}>
      <div className="cut" style={{ fontWeight: 550 }}>
        {a.state === "retracted" && <span className="tag">retracted</span>}
        <Txt value={a.title} />
      </div>
      <div className="cut dim">
        <Txt value={a.reason} />
      </div>
    </div>
  );
}

export function Compact({ a, tenant, may }: { a: Alert; tenant: boolean; may: boolean }) {
  return (
    <div style={{ display: "grid", gap: 4, lineHeight: 1.35 }}>
      <div className="row" style={{ height: 22 }}>
        {may && <PickBox id={a.id} label={`Select: ${a.title}`} />}
        <SeverityMark value={a.severity} />
        <span className="num dim">{a.score.toFixed(1)}</span>
        <span className="grow" />
        <Time at={a.raised_at_event_time} />
      </div>
      <div className="cut" style={{ fontWeight: 550 }}>
        <Txt value={a.title} />
      </div>
      <div className="row dim">
        <EntityMark value={a.entity} />
        <span className="grow" />
        {tenant && (
          <span className="row" style={{ gap: 5, flex: "none" }}>
            <TenantMark id={a.tenant_id} /> <span className="cut" style={{ maxWidth: 90 }}>{a.tenant_id}</span>
          </span>
        )}
        <span style={{ flex: "none" }}>
          <StatusMark value={a.triage.status} verdict={a.triage.verdict} />
        </span>
      </div>
    </div>
  );
}

/** A group: what its alerts share, how many, how grave, how new. */
export function GroupHead({ h, tenant, may, toggle }: { h: Head; tenant: boolean; may: boolean; toggle: () => void }) {
  const Icon = h.open ? IconDown : IconRight;
  const name = h.by === "technique" ? (h.name ? (techniqueName(h.name) ?? h.name) : "No technique") : h.name;
  return (
    <div className="grouphead">
      {may && <PickBox id={h.key} label={`Select the ${h.alerts.length} alerts of ${name}`} />}
      <button type="button" className="groupbtn" tabIndex={-1} aria-expanded={h.open} aria-label={`${name}: ${plural(h.alerts.length, "alert")}`} onClick={toggle}>
        <Icon size={16} aria-hidden />
      </button>
      <SeverityMark value={h.worst} />
      <span className="cut strong" style={{ minWidth: 60 }}>
        {h.by === "tenant" ? (
          <span className="row" style={{ gap: 6 }}>
            <TenantMark id={h.name} /> <span className="cut">{h.name}</span>
          </span>
        ) : h.entity ? (
          <EntityMark value={h.entity} />
        ) : (
          <>
            {name} {h.name && <span className="mono dim">{h.name}</span>}
          </>
        )}
      </span>
      {h.by === "entity" && tenant && (
        <span className="row dim wide-only" style={{ gap: 6, flex: "none" }}>
          <TenantMark id={h.tenant} /> {h.tenant}
        </span>
      )}
      <span className="grow" />
      <span className="num dim" style={{ flex: "none" }}>
        {plural(h.alerts.length, "alert")}
      </span>
      <span className="wide-only" style={{ flex: "none", width: 92 }}>
        <Time at={h.newest} />
      </span>
    </div>
  );
}
