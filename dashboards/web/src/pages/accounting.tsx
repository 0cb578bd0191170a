/* The books: what came in and what became of it, what was found and what became of that. Each line adds up, or says that it does not. */
import "../styles/work.css";
import { SegmentedControl, Skeleton } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { getRouteApi } from "@tanstack/react-router";
import { useState } from "react";
import { findingsAccountsQuery, ingestAccountsQuery } from "../api/queries";
import type { FindingCounts, IngestAccounting } from "../api/types";
import { count, plural } from "../lib/format";
import { useCan, useScope } from "../session";
import { ChooseTenant } from "../ui/choosetenant";
import { IconAlertCircle, IconDone } from "../ui/icons";
import { Denied, Empty, Failed, SkeletonRows } from "../ui/states";
import { Txt } from "../ui/text";
import { Time } from "../ui/time";
import { useTitle } from "../ui/title";

const route = getRouteApi("/in/accounting");

export default function Accounting() {
  const search = route.useSearch();
  const { tenant, multi } = useScope(search.tenant);
  const may = useCan("accounting:read");
  useTitle("Accounting");
  if (!may) return <Denied what="Accounts" />;
  if (!tenant) return <ChooseTenant what="The books are kept tenant by tenant." />;
  return <Books key={tenant} tenant={tenant} param={multi ? tenant : undefined} />;
}

function Books({ param }: { tenant: string; param: string | undefined }) {
  const [by, setBy] = useState<"source" | "hour">("source");
  const ingest = useQuery(ingestAccountsQuery(param, by));
  const findings = useQuery(findingsAccountsQuery(param));
  return (
    <div className="doc">
      <header className="dochead">
        <div className="grow">
          <h1>Accounting</h1>
          <p className="dim">Nothing is lost without a trace: whatever was received is in exactly one place, and whatever was found became exactly one thing. Anybody can check the sums.</p>
        </div>
      </header>
      <div className="stack">
        <section className="panel">
          <header>
            <h2>What came in</h2>
          </header>
          {ingest.isPending ? <div className="body"><Skeleton h={110} /></div> : ingest.isError ? <Failed what="The accounts could not be read" error={ingest.error} retry={() => void ingest.refetch()} /> : <Received d={ingest.data} />}
        </section>
        <section className="panel">
          <header>
            <h2>{by === "source" ? "By source" : "By source and hour"}</h2>
            <span className="grow" />
            <SegmentedControl size="xs" aria-label="Detail" value={by} onChange={(v) => setBy(v as "source" | "hour")} data={[{ value: "source", label: "Sources" }, { value: "hour", label: "Hours" }]} />
          </header>
          {ingest.isPending ? <SkeletonRows rows={4} height={36} /> : ingest.data ? <Sources d={ingest.data} hours={by === "hour"} /> : null}
        </section>
        <section className="panel">
          <header>
            <h2>What was found</h2>
          </header>
          {findings.isPending ? (
            <SkeletonRows rows={3} height={36} />
          ) : findings.isError ? (
            <Failed what="The findings could not be read" error={findings.error} retry={() => void findings.refetch()} />
          ) : (
            <>
              <div className="body">
                <Equation
                  of={["Findings", findings.data.total.findings]}
                  parts={[
                    ["Alerted", findings.data.total.alerted, "Became an alert"],
                    ["Folded", findings.data.total.folded, "Part of an alert that was there already"],
                    ["Suppressed", findings.data.total.suppressed, "Hidden by a suppression"],
                    ["Below budget", findings.data.total.below_budget, "Less unlikely than what the day's budget holds"],
                  ]}
                />
              </div>
              <ByDetector hours={findings.data.hours} />
            </>
          )}
        </section>
      </div>
    </div>
  );
}

type Part = [name: string, n: number, note: string];

/** A sum that anybody can check, with the check done. */
function Equation({ of: [name, total], parts }: { of: [string, number]; parts: Part[] }) {
  const sum = parts.reduce((n, p) => n + p[1], 0);
  const right = sum === total;
  return (
    <div className="equation num">
      <div className="term total">
        <b>{count(total)}</b>
        <span>{name}</span>
      </div>
      {parts.map(([n, v, note], i) => (
        <div className="term" key={n} title={note}>
          <i aria-hidden>{i === 0 ? "=" : "+"}</i>
          <span className="stackterm">
            <b data-zero={v === 0 || undefined}>{count(v)}</b>
            <span>{n}</span>
          </span>
        </div>
      ))}
      <div className="row check" style={{ gap: 6 }}>
        {right ? <IconDone size={15} color="var(--tw-good)" aria-hidden /> : <IconAlertCircle size={15} color="var(--tw-critical)" aria-hidden />}
        {right ? "adds up" : `differs by ${count(total - sum)}`}
      </div>
    </div>
  );
}

function Received({ d }: { d: IngestAccounting }) {
  return (
    <div className="body stack" style={{ gap: 14 }}>
      <Equation
        of={["Received", d.received]}
        parts={[
          ["Stored", d.stored, "Events that were ever stored"],
          ["Duplicates", d.duplicates, "Dropped: their id was there already"],
          ["Quarantined", d.quarantined, "Lines no parser could take"],
          ["Refused", d.refused, "Not acknowledged: their sender was told to send them again"],
          ["In flight", d.in_flight, "Acknowledged and not yet stored"],
        ]}
      />
      <Equation
        of={["Stored", d.stored]}
        parts={[
          ["There now", d.live, "Events that can be searched"],
          ["Expired", d.expired, "Their retention was over"],
          ["Erased", d.erased, "Removed before their retention was over"],
        ]}
      />
      <p className="dim wrap" style={{ margin: 0 }}>
        {d.missing > 0 ? <b style={{ color: "var(--tw-critical)" }}>{plural(d.missing, "event")} gone without a trace. </b> : "No event is gone without a trace. "}
        {d.replayed > 0 && `${plural(d.replayed, "quarantined line")} read again since. `}
        {d.refused_requests > 0 && `${plural(d.refused_requests, "request")} refused. `}
        {plural(d.trail, "event")} of the platform’s own trail, which nobody sent, {d.trail === 1 ? "is" : "are"} not counted here.
      </p>
    </div>
  );
}

function Sources({ d, hours }: { d: IngestAccounting; hours: boolean }) {
  const rows = hours ? [...(d.hours ?? [])].reverse() : d.sources;
  const [most, setMost] = useState(200);
  if (rows.length === 0) return <Empty title="Nothing came in yet" />;
  const cols = ["received", "stored", "duplicates", "quarantined", "refused"] as const;
  return (
    <div className="tscroll" tabIndex={0} role="region" aria-label="Accounts by source">
      <table className="plain">
        <thead>
          <tr>
            <th>Source</th>
            {hours && <th>Hour</th>}
            {cols.map((c) => (
              <th key={c} className="right">
                {c.slice(0, 1).toUpperCase() + c.slice(1)}
              </th>
            ))}
            <th className="right">There now</th>
            {!hours && <th>Last hour</th>}
            <th>Sum</th>
          </tr>
        </thead>
        <tbody>
          {rows.slice(0, most).map((r) => {
            const flight = "in_flight" in r ? r.in_flight : 0;
            const off = r.received - r.stored - r.duplicates - r.quarantined - r.refused - flight;
            return (
              <tr key={`${r.source} ${"hour" in r ? r.hour : ""}`}>
                <th scope="row" className="wrap">
                  <Txt value={r.source} />
                </th>
                {"hour" in r && (
                  <td>
                    <Time at={r.hour} as="both" />
                  </td>
                )}
                {cols.map((c) => (
                  <td key={c} className={`right num ${r[c] === 0 ? "dim" : ""}`}>
                    {count(r[c])}
                  </td>
                ))}
                <td className="right num">{count(r.live)}</td>
                {"last" in r && <td>{r.last ? <Time at={r.last} /> : "–"}</td>}
                <td>
                  {off === 0 ? (
                    <IconDone size={15} color="var(--tw-good)" aria-label="adds up" />
                  ) : (
                    <span className="row num" style={{ gap: 4, color: "var(--tw-critical)" }}>
                      <IconAlertCircle size={15} aria-hidden /> {count(off)}
                    </span>
                  )}
                </td>
              </tr>
            );
          })}
        </tbody>
      </table>
      {rows.length > most && (
        <button type="button" className="plain link" style={{ margin: 12 }} onClick={() => setMost(most + 500)}>
          {count(rows.length - most)} more
        </button>
      )}
    </div>
  );
}

function ByDetector({ hours }: { hours: { detectors: { detector: string; counts: FindingCounts }[] }[] }) {
  const sums = new Map<string, FindingCounts>();
  for (const h of hours)
    for (const { detector, counts: c } of h.detectors) {
      const s = sums.get(detector) ?? { findings: 0, alerted: 0, folded: 0, suppressed: 0, below_budget: 0 };
      sums.set(detector, { findings: s.findings + c.findings, alerted: s.alerted + c.alerted, folded: s.folded + c.folded, suppressed: s.suppressed + c.suppressed, below_budget: s.below_budget + c.below_budget });
    }
  const rows = [...sums].sort((a, b) => b[1].findings - a[1].findings);
  if (rows.length === 0) return <Empty title="Nothing unlikely was found yet" />;
  return (
    <div className="tscroll" tabIndex={0} role="region" aria-label="Findings by detector">
      <table className="plain">
        <thead>
          <tr>
            <th>Detector</th>
            {["Findings", "Alerted", "Folded", "Suppressed", "Below budget"].map((x) => (
              <th key={x} className="right">
                {x}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map(([name, c]) => (
            <tr key={name}>
              <th scope="row">{name}</th>
              {[c.findings, c.alerted, c.folded, c.suppressed, c.below_budget].map((n, i) => (
                <td key={i} className={`right num ${n === 0 ? "dim" : ""}`}>
                  {count(n)}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
