/* Events in a table, wide and narrow. */
import type { Event } from "../api/types";
import { count } from "../lib/format";
import { IconDone, IconX } from "./icons";
import type { Column } from "./table";
import { Txt } from "./text";
import { Time } from "./time";

export function OutcomeMark({ value }: { value: Event["outcome"] }) {
  if (value === "failure")
    return (
      <span className="row" style={{ gap: 5, color: "var(--tw-critical)" }}>
        <IconX size={14} aria-hidden /> failure
      </span>
    );
  if (value === "success")
    return (
      <span className="row" style={{ gap: 5 }}>
        <IconDone size={14} color="var(--tw-good)" aria-hidden /> success
      </span>
    );
  return <span className="dim">–</span>;
}

const dash = <span className="dim">–</span>;
const origin = (e: Event) => [e.src_ip, e.country].filter(Boolean).join(" · ");

export const eventColumns: Column<Event>[] = [
  { id: "time", header: "Time", width: "176px", cell: (e) => <Time at={e.time} as="stamp" millis /> },
  {
    id: "action",
    header: "Action",
    width: "minmax(130px, 1.1fr)",
    cell: (e) => (
      <span className="row" style={{ gap: 6 }}>
        <Txt value={e.action} className="cut strong" />
        {(e.count ?? 1) > 1 && (
          <span className="times num" title={`The line says it was repeated: ${e.count ?? 1} times`}>
            ×{count(e.count ?? 1)}
          </span>
        )}
      </span>
    ),
  },
  { id: "outcome", header: "Outcome", width: "84px", cell: (e) => <OutcomeMark value={e.outcome} /> },
  { id: "actor", header: "Actor", width: "minmax(120px, 1.2fr)", cell: (e) => (e.actor ? <Txt value={e.actor} className="cut" /> : dash) },
  { id: "resource", header: "Resource", width: "minmax(120px, 1.5fr)", wide: true, cell: (e) => (e.resource ? <Txt value={e.resource} className="cut" /> : dash) },
  { id: "src", header: "From", width: "minmax(152px, .9fr)", cell: (e) => (e.src_ip ? <Txt value={origin(e)} mono className="cut" /> : dash) },
  { id: "status", header: "Status", width: "52px", align: "right", wide: true, cell: (e) => (e.status ? <span className="num">{e.status}</span> : dash) },
];

/** The same in the narrower place beside an alert's details. */
const NARROWER: Record<string, string> = { action: "minmax(84px, 1fr)", outcome: "76px", actor: "minmax(84px, 1.2fr)", resource: "minmax(72px, 1fr)", src: "minmax(166px, 1fr)" };
const HAS: Record<string, (e: Event) => unknown> = { actor: (e) => e.actor, resource: (e) => e.resource, src: (e) => e.src_ip, outcome: (e) => e.outcome && e.outcome !== "unknown" };

/** The audit log's columns: the resource and the status only where some event has one. */
export const auditColumns = (rows: Event[]): Column<Event>[] =>
  eventColumns.filter((c) => (c.id !== "resource" || rows.some((e) => e.resource)) && (c.id !== "status" || rows.some((e) => e.status)));

/** Without the columns in which none of them has a value. */
export const evidenceColumns = (rows: Event[]): Column<Event>[] =>
  eventColumns.filter((c) => c.id !== "status" && (HAS[c.id] === undefined || rows.some(HAS[c.id]!))).map((c) => ({ ...c, width: NARROWER[c.id] ?? c.width }));

export function EventCompact({ e }: { e: Event }) {
  return (
    <div style={{ display: "grid", gap: 3, lineHeight: 1.35 }}>
      <div className="row">
        <Txt value={e.action} className="cut strong" />
        <OutcomeMark value={e.outcome} />
        <span className="grow" />
        <Time at={e.time} as="stamp" />
      </div>
      <div className="row dim">
        <Txt value={e.actor ?? "–"} className="cut" />
        <span className="grow" />
        {e.src_ip && <Txt value={origin(e)} mono />}
      </div>
    </div>
  );
}
