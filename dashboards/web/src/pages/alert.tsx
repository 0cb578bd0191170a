/* One alert: what happened, how far from usual, which events, and what became of it. */
import { ActionIcon, Button, Skeleton, Tooltip } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { getRouteApi, Link, useNavigate } from "@tanstack/react-router";
import { lazy, Suspense, useEffect, useMemo, useState } from "react";
import { asApiError } from "../api/problem";
import { alertEventsQuery, alertQuery, type AlertWithTag } from "../api/queries";
import { live } from "../api/stream";
import type { Alert, Event } from "../api/types";
import { between, count, odds, plural, pValue, span, zoneName } from "../lib/format";
import { auditOf } from "../lib/investigate";
import { sentences } from "../lib/novelty";
import { techniqueName } from "../lib/technique";
import { trail } from "../lib/trail";
import { useCan, useSession } from "../session";
import { EntityMark, SeverityMark, StatusMark, TenantMark } from "../ui/badges";
import { BandPlot } from "../ui/plots";
import { Contributions } from "../ui/contributions";
import { CopyIcon } from "../ui/copy";
import { History } from "../ui/history";
import { Judgement } from "../ui/judgement";
import { ReplayPanel } from "../ui/replay";
import { Similar } from "../ui/similar";
import { EventCompact, evidenceColumns } from "../ui/events";
import { IconBell, IconLeft, IconRight } from "../ui/icons";
import { useKeys } from "../ui/keys";
import { usePrefs } from "../ui/prefs";
import { Empty, Failed, SkeletonRows } from "../ui/states";
import { DataTable } from "../ui/table";
import { Txt } from "../ui/text";
import { Time } from "../ui/time";
import { useTitle } from "../ui/title";
import { Activity, WhatsNew } from "../ui/whatsnew";
import { TriageBar } from "../ui/triagebar";

const EventDetail = lazy(() => import("../ui/eventdetail"));
const route = getRouteApi("/in/alerts/$id");

export default function AlertPage() {
  const { id } = route.useParams();
  const found = useQuery(alertQuery(id));
  useTitle(found.data?.alert.title ?? "Alert");
  useEffect(() => trail.visit(id), [id]);
  const { refetch } = found;
  useEffect(() => live.listen((m) => void ((m === "missed" || m.id === id) && refetch())), [id, refetch]);

  if (found.isPending)
    return (
      <div className="doc">
        <Skeleton h={22} w="40%" />
        <Skeleton h={14} w="70%" mt={14} />
        <Skeleton h={240} mt={28} />
        <SkeletonRows rows={5} />
      </div>
    );
  if (!found.data) {
    if (asApiError(found.error).status === 404)
      return (
        <Empty page icon={IconBell} title="There is no such alert">
          <p>It may have been deleted, or it belongs to a tenant you may not see.</p>
          <Button variant="default" renderRoot={(p) => <Link to="/alerts" {...p} />}>
            To the alerts
          </Button>
        </Empty>
      );
    return <Failed what="The alert could not be read" error={found.error} retry={() => void found.refetch()} />;
  }
  return <Loaded key={id} seen={found.data} />;
}

function Loaded({ seen }: { seen: AlertWithTag }) {
  const a = seen.alert;
  const { multi_tenant: multi } = useSession();
  const { zone } = usePrefs();
  const length = Date.parse(a.last_seen) - Date.parse(a.first_seen);
  return (
    <div className="doc">
      <header className="alerthead">
        <div className="row" style={{ flexWrap: "wrap", rowGap: 4 }}>
          <SeverityMark value={a.severity} />
          {multi && (
            <>
              <span className="sepdot" aria-hidden />
              <span className="row" style={{ gap: 6 }}>
                <TenantMark id={a.tenant_id} /> {a.tenant_id}
              </span>
            </>
          )}
          <span className="sepdot" aria-hidden />
          <StatusMark value={a.triage.status} verdict={a.triage.verdict} />
          {a.state !== "raised" && <span className="tag">{a.state === "retracted" ? "Retracted: later events explained it" : `Amended, revision ${a.revision}`}</span>}
          <span className="grow" />
          <Pager id={a.id} />
        </div>
        <div className="headline">
          <div className="grow">
            <h1 className="wrap">
              <Txt value={a.title} />
            </h1>
            {sentences(a.reason).map((s, i) => (
              <p key={i} className={i === 0 ? "sentence wrap" : "sentence also wrap"}>
                {i > 0 && <span className="dim">Also: </span>}
                <Txt value={s} title="" />
              </p>
            ))}
            <p className="dim num">
              {between(a.first_seen, a.last_seen, zone)} {zoneName(new Date(a.last_seen), zone)}
              {length > 0 ? ` (${span(length)})` : ""}
              {Date.now() - Date.parse(a.last_seen) < 30 * 86_400_000 && (
                <>
                  {" "}
                  · <Time at={a.last_seen} />
                </>
              )}{" "}
              · {plural(a.count, "event")}
            </p>
          </div>
          <div className="bigscore" title={`Score ${a.score} of 100`}>
            <b className="num" style={{ color: `var(--tw-${a.severity})` }}>
              {a.score.toFixed(1)}
            </b>
            <span className="dim">of 100</span>
          </div>
        </div>
        <TriageBar seen={seen} />
      </header>

      <div className="alertcols">
        <div className="stack">
          <WhatsNew a={a} multi={multi} />
          {a.plots?.length ? (
            <section className="panel">
              <header>
                <h2>Observed against expected</h2>
              </header>
              <div className="body">
                {a.plots.map((p) => (
                  <BandPlot key={p.detector + p.title} plot={p} from={a.first_seen} to={a.last_seen} />
                ))}
              </div>
            </section>
          ) : (
            <Activity a={a} multi={multi} />
          )}
          <Evidence a={a} />
          <History a={a} />
        </div>
        <div className="stack">
          <section className="panel">
            <header>
              <h2>Why this score</h2>
            </header>
            <div className="body">
              <Contributions alert={a} />
            </div>
          </section>
          <section className="panel">
            <header>
              <h2>What would not have fired</h2>
            </header>
            <div className="body wrap">{a.counterfactual ? <Txt value={a.counterfactual} title="" /> : <span className="dim">Not stated.</span>}</div>
          </section>
          <Similar a={a} />
          <Facts seen={seen} multi={multi} />
          <ReplayPanel a={a} />
        </div>
      </div>
    </div>
  );
}

function Pager({ id }: { id: string }) {
  const navigate = useNavigate();
  const { index, of } = trail.position(id);
  const go = (by: 1 | -1) => {
    const to = trail.step(id, by);
    if (to) void navigate({ to: "/alerts/$id", params: { id: to }, search: (s) => s });
  };
  useKeys({
    j: () => go(1),
    k: () => go(-1),
    u: () => void navigate({ to: "/alerts", search: trail.back() }),
  });
  if (index < 0) return null;
  return (
    <span className="row num dim" style={{ gap: 2 }}>
      <span style={{ marginRight: 6 }}>
        {index + 1} of {count(of)}
      </span>
      <Tooltip label="Previous alert (k)">
        <ActionIcon size="sm" disabled={index === 0} onClick={() => go(-1)} aria-label="Previous alert">
          <IconLeft size={16} />
        </ActionIcon>
      </Tooltip>
      <Tooltip label="Next alert (j)">
        <ActionIcon size="sm" disabled={trail.step(id, 1) === undefined} onClick={() => go(1)} aria-label="Next alert">
          <IconRight size={16} />
        </ActionIcon>
      </Tooltip>
    </span>
  );
}

function Evidence({ a }: { a: Alert }) {
  const may = useCan("events:read");
  const found = useQuery({ ...alertEventsQuery(a.id, a.revision), enabled: may });
  const [open, setOpen] = useState<string>();
  const { multi_tenant: multi } = useSession();
  const rows = useMemo(() => found.data?.items ?? [], [found.data]);
  const columns = useMemo(() => evidenceColumns(rows), [rows]);
  const at = rows.findIndex((e) => e.id === open);
  const step = (by: number) => {
    const to = rows[at + by];
    return at >= 0 && to ? () => setOpen(to.id) : undefined;
  };
  return (
    <section className="panel">
      <header>
        <h2>Evidence</h2>
        <span className="dim num">
          {found.data ? (rows.length < a.count ? `${rows.length} of ${plural(a.count, "event")}: first, last and strongest` : plural(rows.length, "event")) : ""}
        </span>
        <span className="grow" />
        <Link className="link" to="/audit" search={auditOf(a, multi)}>
          All in the audit log
        </Link>
      </header>
      {!may ? (
        <Empty title="Events are not part of your role" />
      ) : found.isPending ? (
        <SkeletonRows rows={5} height={36} />
      ) : found.isError ? (
        <Failed what="The events could not be read" error={found.error} retry={() => void found.refetch()} />
      ) : rows.length === 0 ? (
        <Empty title="The events are no longer kept">
          <p>They are past their retention. The alert keeps what it found: {plural(a.count, "event")}.</p>
        </Empty>
      ) : (
        <div style={{ height: Math.min(rows.length * 36 + 34, 430) }} className="embedded">
          <DataTable<Event>
            label="Evidence"
            rows={rows}
            columns={columns}
            rowKey={(e) => e.id}
            rowHeight={36}
            compact={(e) => <EventCompact e={e} />}
            compactHeight={62}
            active={open}
            onOpen={(e) => setOpen(e.id)}
          />
        </div>
      )}
      <Suspense>{rows[at] && <EventDetail event={rows[at]} close={() => setOpen(undefined)} previous={step(-1)} next={step(1)} />}</Suspense>
    </section>
  );
}

function Facts({ seen, multi }: { seen: AlertWithTag; multi: boolean }) {
  const a = seen.alert;
  return (
    <section className="panel">
      <header>
        <h2>Details</h2>
      </header>
      <dl className="facts">
        <Judgement seen={seen} />
        <div>
          <dt>Entity</dt>
          <dd>
            <Link className="entlink" to="/entities/$type/$id" params={{ type: a.entity.type, id: a.entity.id }} search={multi ? { tenant: a.tenant_id } : {}} title={`${a.entity.type}: all that is known of it`}>
              <EntityMark value={a.entity} />
            </Link>
          </dd>
        </div>
        <div>
          <dt>Related</dt>
          <dd>
            {a.related.length === 0 && <span className="dim">none</span>}
            {a.related.slice(0, 12).map((e) => (
              <Link key={`${e.type}:${e.id}`} className="entlink" to="/entities/$type/$id" params={{ type: e.type, id: e.id }} search={multi ? { tenant: a.tenant_id } : {}} title={`${e.type}: all that is known of it`}>
                <EntityMark value={e} />
              </Link>
            ))}
            {a.related.length > 12 && <span className="dim">and {a.related.length - 12} more</span>}
          </dd>
        </div>
        <div>
          <dt>ATT&amp;CK technique</dt>
          <dd>
            {a.technique.length === 0 && <span className="dim">none</span>}
            {a.technique.map((t) => (
              <div key={t} className="wrap">
                <span className="mono">{t}</span> {techniqueName(t)}
              </div>
            ))}
          </dd>
        </div>
        <div>
          <dt>Chance</dt>
          <dd className="num" title={`p = ${a.p_value}`}>
            {odds(a.p_value)} without an attack <span className="dim">(p = {pValue(a.p_value)})</span>
          </dd>
        </div>
        <div>
          <dt>Detectors</dt>
          <dd>
            {a.detectors.map((d) => (
              <span key={d.name} className="num" style={{ marginRight: 10 }}>
                {d.name} <span className="dim">version {d.version}</span>
              </span>
            ))}
          </dd>
        </div>
        <div>
          <dt>Raised at</dt>
          <dd>
            <Time at={a.raised_at_event_time} as="both" />
          </dd>
        </div>
        <div>
          <dt>Revision</dt>
          <dd className="num">
            {a.revision}, {a.state} · sequence {a.seq}
          </dd>
        </div>
        <div>
          <dt>Baseline</dt>
          <dd className="row" style={{ gap: 4 }}>
            <span className="mono cut" title={a.baseline_hash}>
              {a.baseline_hash}
            </span>
            <CopyIcon text={a.baseline_hash} label="Copy the hash" />
          </dd>
        </div>
        <div>
          <dt>Id</dt>
          <dd className="row" style={{ gap: 4 }}>
            <span className="mono cut" title={a.id}>
              {a.id}
            </span>
            <CopyIcon text={a.id} label="Copy the id" />
          </dd>
        </div>
      </dl>
    </section>
  );
}
