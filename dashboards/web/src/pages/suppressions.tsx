/* What is hidden on purpose: which, by whom, why, until when, and what it has hidden so far. */
import "../styles/work.css";
import { Button, SegmentedControl } from "@mantine/core";
import { useInfiniteQuery, useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { getRouteApi } from "@tanstack/react-router";
import { lazy, Suspense, useState } from "react";
import { body, client } from "../api/client";
import { hiddenQuery, suppressionsQuery } from "../api/queries";
import type { Suppression } from "../api/types";
import { count, plural } from "../lib/format";
import { useCan, useScope } from "../session";
import { Confirm, More } from "../ui/admin";
import { EntityMark, SeverityMark, TenantMark } from "../ui/badges";
import { IconDash, IconDone, IconDown, IconMute, IconPlus, IconRight } from "../ui/icons";
import { ScopeText } from "../ui/scope";
import { Empty, Failed, SkeletonRows } from "../ui/states";
import { Txt } from "../ui/text";
import { Time } from "../ui/time";
import { useTitle } from "../ui/title";
import { useToast } from "../ui/toast";

const Suppress = lazy(() => import("../ui/suppress"));
const route = getRouteApi("/in/suppressions");

export default function Suppressions() {
  const search = route.useSearch();
  const { multi, param } = useScope(search.tenant);
  const may = useCan("alerts:tune");
  const list = useInfiniteQuery(suppressionsQuery(param));
  const all = list.data?.pages.flatMap((p) => p.items) ?? [];
  const [which, setWhich] = useState("now");
  const rows = which === "now" ? all.filter((s) => s.in_force) : all;
  const [making, setMaking] = useState(false);
  const [doomed, setDoomed] = useState<Suppression>();
  const [shown, setShown] = useState<string>();
  const queries = useQueryClient();
  const say = useToast();
  useTitle("Suppressions");
  const end = useMutation({
    mutationFn: (s: Suppression) => body(client.DELETE("/api/v1/suppressions/{id}", { params: { path: { id: s.id }, query: multi ? { tenant_id: s.tenant_id } : {} } })),
    onSuccess: () => {
      setDoomed(undefined);
      say("Ended: such alerts are raised again");
      void queries.invalidateQueries({ queryKey: ["suppressions"] });
    },
    onError: (e) => say(`Not ended: ${e.message}`, { bad: true }),
  });
  return (
    <div className="doc">
      <header className="dochead">
        <div className="grow">
          <h1>Suppressions</h1>
          <p className="dim">Alerts that are known and fine are not raised while a suppression is in force. Each has an owner, a reason and an end, and what it hides is counted and kept.</p>
        </div>
        <SegmentedControl size="xs" aria-label="Which" value={which} onChange={setWhich} data={[{ value: "now", label: "In force" }, { value: "all", label: "All" }]} />
        {may && (
          <Button leftSection={<IconPlus size={14} />} onClick={() => setMaking(true)}>
            New suppression
          </Button>
        )}
      </header>
      {list.isPending ? (
        <section className="panel">
          <SkeletonRows rows={4} height={72} />
        </section>
      ) : list.isError ? (
        <section className="panel">
          <Failed what="The suppressions could not be read" error={list.error} retry={() => void list.refetch()} />
        </section>
      ) : rows.length === 0 ? (
        <section className="panel">
          <Empty icon={IconMute} title={all.length ? "None is in force" : "Nothing is suppressed"}>
            <p>{all.length ? "Ended and expired ones are still listed under All." : "Open an alert that is known and fine, and choose Suppress: its scope is offered, and what it would have hidden is shown first."}</p>
          </Empty>
        </section>
      ) : (
        <div className="stack" style={{ gap: 10 }}>
          {rows.map((s) => (
            <Card key={s.id} s={s} multi={multi} open={shown === s.id} toggle={() => setShown(shown === s.id ? undefined : s.id)} end={may && s.in_force ? () => setDoomed(s) : undefined} />
          ))}
          <More has={list.hasNextPage} loading={list.isFetchingNextPage} load={() => void list.fetchNextPage()} />
        </div>
      )}
      <Suspense>{making && <Suppress tenant={param} close={() => setMaking(false)} />}</Suspense>
      <Confirm opened={doomed !== undefined} close={() => setDoomed(undefined)} run={() => doomed && end.mutate(doomed)} pending={end.isPending} title="End this suppression?" verb="End it now">
        Alerts that fit {doomed && <ScopeText scope={doomed.scope} />} are raised again within seconds. It stays listed with what it hid.
      </Confirm>
    </div>
  );
}

function Card({ s, multi, open, toggle, end }: { s: Suppression; multi: boolean; open: boolean; toggle: () => void; end: (() => void) | undefined }) {
  const Icon = open ? IconDown : IconRight;
  return (
    <section className="panel supp" aria-label={`Suppression: ${s.reason}`} data-over={!s.in_force || undefined}>
      <div className="suppmain">
        <div className="grow stack" style={{ gap: 6 }}>
          <div className="row" style={{ flexWrap: "wrap", rowGap: 6 }}>
            <span className="row" style={{ gap: 5, flex: "none" }}>
              {s.in_force ? <IconDone size={15} color="var(--tw-good)" aria-hidden /> : <IconDash size={15} aria-hidden />}
              {s.in_force ? "In force" : s.ended_at ? "Ended" : "Expired"}
            </span>
            {multi && (
              <span className="row" style={{ gap: 6, flex: "none" }}>
                <TenantMark id={s.tenant_id} /> {s.tenant_id}
              </span>
            )}
            <ScopeText scope={s.scope} />
          </div>
          <div className="wrap">
            <Txt value={s.reason} title="" />
          </div>
          {s.override && (
            <div className="wrap overridden">
              <b>Hides a confirmed true positive:</b> <Txt value={s.override} title="" />
            </div>
          )}
          <div className="dim wrap">
            <Txt value={s.owner} /> answers for it · made <Time at={s.created_at} /> by <Txt value={s.created_by} /> · {s.ended_at ? <>ended <Time at={s.ended_at} /></> : <>until <Time at={s.until} as="both" /></>}
          </div>
        </div>
        <div className="supphits num">
          <b>{count(s.hits)}</b>
          <span className="dim">hidden{s.last_hit ? <>, last <Time at={s.last_hit} /></> : ""}</span>
          {end && (
            <Button size="compact-xs" variant="default" onClick={end} mt={4}>
              End
            </Button>
          )}
        </div>
      </div>
      {s.hits > 0 && (
        <div className="supphidden">
          <button type="button" className="plain link row" style={{ gap: 4 }} aria-expanded={open} onClick={toggle}>
            <Icon size={14} aria-hidden /> What it hid
          </button>
          {open && <Hidden s={s} multi={multi} />}
        </div>
      )}
    </section>
  );
}

function Hidden({ s, multi }: { s: Suppression; multi: boolean }) {
  const found = useQuery(hiddenQuery(s.id, multi ? s.tenant_id : undefined));
  if (found.isPending) return <SkeletonRows rows={2} height={36} />;
  if (found.isError) return <Failed what="What it hid could not be read" error={found.error} retry={() => void found.refetch()} />;
  return (
    <ul className="similar">
      {found.data.items.map((a) => (
        <li key={a.id}>
          <div>
            <SeverityMark value={a.severity} iconOnly />
            <span className="num strong">{a.score.toFixed(1)}</span>
            <span className="grow" style={{ lineHeight: 1.4 }}>
              <Txt value={a.title} className="wrap" />
              <span className="row dim" style={{ fontSize: "0.75rem" }}>
                <EntityMark value={a.entity} /> · {plural(a.count, "event")}
              </span>
            </span>
            <span className="dim" style={{ flex: "none" }}>
              <Time at={a.raised_at_event_time} />
            </span>
          </div>
        </li>
      ))}
      {found.data.items.length === 0 && <li className="dim">They are past their retention.</li>}
    </ul>
  );
}
