/* One event in full, fetched when the first one is opened. */
import { ActionIcon, CloseButton, Tooltip } from "@mantine/core";
import { Link } from "@tanstack/react-router";
import type { Event } from "../api/types";
import { bytes, count, full, span } from "../lib/format";
import { eventLink } from "../lib/investigate";
import { stringifySearch } from "../lib/urlstate";
import { useSession } from "../session";
import { CopyButton } from "./copy";
import { IconLeft, IconLink, IconMinus, IconPlus, IconRight } from "./icons";
import { usePrefs } from "./prefs";
import { Sheet } from "./sheet";
import { Txt } from "./text";

interface DetailProps {
  event: Event;
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
const permalink = (e: Event, multi: boolean): string => `${location.origin}/audit${stringifySearch({ ...eventLink(e, multi) })}`;

export default function EventDetail({ event: e, close, narrow, previous, next }: DetailProps) {
  const { multi_tenant } = useSession();
  const { zone } = usePrefs();
  return (
    <Sheet label="Event" close={close} width={520}>
      <div className="drawer">
          <header role="presentation">
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
                <dd className="wrap row">
                  <Txt value={text} title={value} className="grow wrap" />
                {narrow && field !== "time" && field !== "ingested_at" && field !== "tenant_id" && (
                  <span className="fieldacts">
                    <Act label={`Only ${field} with this value`} run={() => narrow(field, value, false)} icon={<IconPlus size={13} />} />
                    <Act label={`Without this value of ${field}`} run={() => narrow(field, value, true)} icon={<IconMinus size={13} />} />
                  </span>
                )}
                </dd>
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
    </Sheet>
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
    <ActionIcon size={24} onClick={run} aria-label={label}>
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
    if (k === "time" || k === "ingested_at") text = zone === "utc" ? value : `${value} (${full(value, zone)})`;
    else if (k === "bytes_in" || k === "bytes_out") text = Number(v) < 1024 ? count(Number(v)) : `${count(Number(v))} (${bytes(Number(v))})`;
    else if (k === "duration") text = Number(v) < 1000 ? `${value} ms` : `${value} ms (${span(Number(v))})`;
    out.push([k, text, value]);
  }
  for (const [k, v] of Object.entries(e.labels ?? {})) out.push([`label.${k}`, v, v]);
  return out;
}
