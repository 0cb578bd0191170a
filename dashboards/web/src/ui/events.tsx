/* Events in a table, and one event in full. */
import { ActionIcon, CloseButton, Drawer, Tooltip } from "@mantine/core";
import { Link } from "@tanstack/react-router";
import type { Event } from "../api/types";
import { bytes, count, full, span } from "../lib/format";
import { eventLink } from "../lib/investigate";
import { useSession } from "../session";
import { CopyButton } from "./copy";
import { IconDone, IconLeft, IconLink, IconMinus, IconPlus, IconRight, IconX } from "./icons";
import { usePrefs } from "./prefs";
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
  { id: "time", header: "Time", width: "164px", cell: (e) => <Time at={e.time} as="stamp" millis /> },
  {
    id: "action",
    header: "Action",
    width: "minmax(110px, 1fr)",
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
  { id: "resource", header: "Resource", width: "minmax(120px, 1.5fr)", cell: (e) => (e.resource ? <Txt value={e.resource} className="cut" /> : dash) },
  { id: "src", header: "From", width: "minmax(110px, .9fr)", cell: (e) => (e.src_ip ? <Txt value={origin(e)} mono className="cut" /> : dash) },
  { id: "status", header: "Status", width: "52px", align: "right", cell: (e) => (e.status ? <span className="num">{e.status}</span> : dash) },
];

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

interface DetailProps {
  event: Event | undefined;
  close: () => void;
  /** Narrow the search by a value; absent where there is no search to narrow. */
  narrow?: ((field: string, value: string, negate: boolean) => void) | undefined;
  previous?: (() => void) | undefined;
  next?: (() => void) | undefined;
}

const FLAGS: Record<string, string> = {
  invalid_field: "An optional field could not be read; what it said is in the labels.",
  year_assumed: "The line had no year; this one was assumed.",
  generated_id: "The id was made from the line itself.",
  truncated: "The line or a field was cut at its limit.",
  future: "The time lay in the future of the collector's clock.",
};

/** The permalink needs no server: it is a search for the id around the event's time. */
export const permalink = (e: Event, multi: boolean): string => {
  const p = new URLSearchParams(Object.entries(eventLink(e, multi)) as [string, string][]);
  return `${location.origin}/audit?${p.toString()}`;
};

export function EventDetail({ event: e, close, narrow, previous, next }: DetailProps) {
  const { multi_tenant } = useSession();
  const { zone } = usePrefs();
  return (
    <Drawer opened={e !== undefined} onClose={close} position="right" size={520} padding={0} withCloseButton={false} aria-label="Event" overlayProps={{ backgroundOpacity: 0.18 }}>
      {e && (
        <div className="drawer">
          <header>
            <div className="row">
              <h2 className="cut grow">
                <Txt value={e.action} />
              </h2>
              {previous && <Step label="Previous event" run={previous} icon={<IconLeft size={16} />} />}
              {next && <Step label="Next event" run={next} icon={<IconRight size={16} />} />}
              <CloseButton aria-label="Close" onClick={close} />
            </div>
            <div className="dim num">{full(e.time, zone)}</div>
            <div className="row" style={{ marginTop: 10, flexWrap: "wrap" }}>
              <CopyButton text={JSON.stringify(e, null, 2)}>Copy as JSON</CopyButton>
              <CopyButton text={permalink(e, multi_tenant)} icon={<IconLink size={14} />}>
                Copy permalink
              </CopyButton>
              {!narrow && (
                <Link className="link" to="/audit" search={eventLink(e, multi_tenant)}>
                  View in audit
                </Link>
              )}
            </div>
          </header>
          {(e.flags ?? []).map((f) => (
            <p key={f} className="note">
              {FLAGS[f] ?? f}
            </p>
          ))}
          <dl className="fields">
            {rowsOf(e, zone).map(([field, text, value]) => (
              <div key={field}>
                <dt className="mono">
                  <Txt value={field} />
                </dt>
                <dd className="wrap">
                  <Txt value={text} title={value} />
                </dd>
                {narrow && field !== "time" && field !== "ingested_at" && field !== "tenant_id" && (
                  <span className="fieldacts">
                    <Act label={`Only ${field} with this value`} run={() => narrow(field, value, false)} icon={<IconPlus size={13} />} />
                    <Act label={`Without this value of ${field}`} run={() => narrow(field, value, true)} icon={<IconMinus size={13} />} />
                  </span>
                )}
              </div>
            ))}
          </dl>
          {e.raw !== undefined && (
            <section className="rawline">
              <div className="row">
                <h3 className="grow">Original line</h3>
                <CopyButton text={e.raw}>Copy</CopyButton>
              </div>
              <pre className="code">
                <Txt value={e.raw} title="" />
              </pre>
            </section>
          )}
        </div>
      )}
    </Drawer>
  );
}

const Step = ({ label, run, icon }: { label: string; run: () => void; icon: React.ReactNode }) => (
  <Tooltip label={label}>
    <ActionIcon onClick={run} aria-label={label}>
      {icon}
    </ActionIcon>
  </Tooltip>
);
const Act = ({ label, run, icon }: { label: string; run: () => void; icon: React.ReactNode }) => (
  <Tooltip label={label}>
    <ActionIcon size="xs" onClick={run} aria-label={label}>
      {icon}
    </ActionIcon>
  </Tooltip>
);

/** Field, text as shown, value as the query language takes it. */
function rowsOf(e: Event, zone: "utc" | "local"): [string, string, string][] {
  const out: [string, string, string][] = [];
  for (const [k, v] of Object.entries(e)) {
    if (v === undefined || k === "raw" || k === "labels" || k === "flags") continue;
    const value = String(v);
    let text = value;
    if (k === "time" || k === "ingested_at") text = `${value} (${full(value, zone)})`;
    else if (k === "bytes_in" || k === "bytes_out") text = `${count(Number(v))} (${bytes(Number(v))})`;
    else if (k === "duration") text = `${value} ms (${span(Number(v))})`;
    out.push([k, text, value]);
  }
  for (const [k, v] of Object.entries(e.labels ?? {})) out.push([`label.${k}`, v, v]);
  return out;
}
