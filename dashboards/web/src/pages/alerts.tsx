/* The queue: what was raised, newest first, and nothing moves unless asked. */
import "../styles/work.css";
import { Button, NativeSelect, SegmentedControl } from "@mantine/core";
import { useInfiniteQuery, useQueryClient } from "@tanstack/react-query";
import { getRouteApi, useNavigate } from "@tanstack/react-router";
import { lazy, Suspense, useEffect, useMemo, useRef, useState } from "react";
import { alertsQuery, fetchAlert } from "../api/queries";
import { live } from "../api/stream";
import { patchLists } from "../api/triage";
import type { Alert } from "../api/types";
import { count, plural } from "../lib/format";
import { grouped, isHead, type QueueRow } from "../lib/grouping";
import { trail } from "../lib/trail";
import { GROUP_BY, severities, STATUS_FILTERS, tidy, type AlertsSearch, type StatusFilter } from "../lib/urlstate";
import { useCan, useScope } from "../session";
import { Compact, GroupHead, Score, What } from "../ui/alertcells";
import { NoAlerts, SearchBox, SeverityFilter } from "../ui/alertfilters";
import { EntityMark, SeverityMark, StatusMark, TenantMark } from "../ui/badges";
import { IconSearch, IconUp } from "../ui/icons";
import { useKeys } from "../ui/keys";
import { PickBox, PickContext } from "../ui/pick";
import { Empty, Failed, SkeletonRows } from "../ui/states";
import { DataTable, type Column } from "../ui/table";
import { Time } from "../ui/time";
import { useTitle } from "../ui/title";
import { usePicks } from "../ui/usepicks";
import { useQueueActions } from "../ui/queueactions";
import { ViewsMenu } from "../ui/viewsmenu";

const BulkBar = lazy(() => import("../ui/bulkbar"));
const CloseDialog = lazy(() => import("../ui/closedialog"));
const route = getRouteApi("/in/alerts");
const STATUS_LABELS: Record<StatusFilter, string> = { open: "Open", new: "New", in_progress: "In progress", closed: "Closed", any: "All" };
/** Groups are made of what is here, so that many are fetched before one counts on them. */
const GROUP_MOST = 2000;

export default function Alerts() {
  const search = route.useSearch();
  const { multi, param } = useScope(search.tenant);
  const keys = useCan("keys:manage");
  const triage = useCan("alerts:triage");
  const navigate = useNavigate();
  const queries = useQueryClient();
  const by = search.group === "tenant" && (!multi || param) ? undefined : search.group;
  const filters = useMemo<AlertsSearch>(() => tidy<AlertsSearch>({ ...search, tenant: param, group: undefined }), [search, param]);
  const list = useInfiniteQuery(alertsQuery(filters));
  const rows = useMemo(() => list.data?.pages.flatMap((p) => p.items) ?? [], [list.data]);
  const [openGroups, setOpenGroups] = useState<ReadonlySet<string>>(new Set());
  const shown = useMemo<QueueRow[]>(() => (by ? grouped(rows, by, openGroups) : rows), [rows, by, openGroups]);
  const total = list.data?.pages[0]?.total ?? 0;
  const [active, setActive] = useState<string | undefined>(() => trail.last());
  const [fresh, setFresh] = useState<ReadonlySet<string>>(new Set());
  const box = useRef<HTMLDivElement>(null);
  const input = useRef<HTMLInputElement>(null);
  useTitle(total > 0 ? `Alerts (${count(total)})` : "Alerts");

  // "Next" on an alert follows the order that was on the screen.
  useEffect(() => trail.remember(tidy<AlertsSearch>({ ...filters, group: by }), shown.flatMap((r) => (isHead(r) ? (r.open ? [] : r.alerts.map((a) => a.id)) : [r.id])), total), [filters, by, shown, total]);
  const { hasNextPage, isFetchingNextPage, fetchNextPage } = list;
  const gather = Boolean(by) && rows.length < GROUP_MOST && hasNextPage && !isFetchingNextPage && !list.isError;
  useEffect(() => {
    if (gather) void fetchNextPage();
  }, [gather, fetchNextPage]);
  useEffect(() => setFresh(new Set()), [filters]);

  // What is shown is amended in place; what is new waits behind the pill.
  const known = useRef(rows);
  known.current = rows;
  useEffect(
    () =>
      live.listen((m) => {
        if (m === "missed") {
          setFresh((s) => new Set([...s, "missed"]));
          return;
        }
        if (param && m.tenant_id !== param) return;
        if (known.current.some((a) => a.id === m.id)) {
          void fetchAlert(m.id).then((a) => patchLists(queries, a.alert), () => undefined);
          return;
        }
        const sev = severities(filters.severity);
        if (m.state === "retracted" || (sev.length && !sev.includes(m.severity)) || filters.status === "closed") return;
        setFresh((s) => new Set([...s, m.id]));
      }),
    [param, filters, queries],
  );
  const refresh = () => {
    setFresh(new Set());
    void queries.resetQueries({ queryKey: alertsQuery(filters).queryKey });
    box.current?.scrollTo({ top: 0 });
  };
  const idle = rows.length === 0 && !list.isLoading && fresh.size > 0;
  useEffect(() => {
    if (idle) refresh(); // nothing on screen that could jump
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, [idle]);

  const set = (change: Partial<AlertsSearch>, replace = false) =>
    void navigate({ to: "/alerts", search: tidy<AlertsSearch>({ ...search, ...change }), replace });
  const open = (a: Alert) => {
    trail.visit(a.id);
    void navigate({ to: "/alerts/$id", params: { id: a.id }, search: param ? { tenant: param } : {} });
  };
  const keyOf = (r: QueueRow) => (isHead(r) ? r.key : r.id);
  const at = shown.findIndex((r) => keyOf(r) === active);
  const here = shown[at];
  const current = here && !isHead(here) ? here : undefined;
  const flip = (key: string) => setOpenGroups((s) => new Set(s.has(key) ? [...s].filter((k) => k !== key) : [...s, key]));
  const picks = usePicks(shown, filters);
  const move = (step: number, extend = false) => {
    const next = shown[Math.min(Math.max(at + step, 0), shown.length - 1)];
    if (!next) return;
    if (extend && triage) {
      if (here) picks.add(keyOf(here));
      picks.add(keyOf(next));
    }
    setActive(keyOf(next));
  };
  const acts = useQueueActions({ multi, targets: () => (picks.size > 0 ? picks.alerts() : here ? (isHead(here) ? here.alerts : [here]) : []), cleared: picks.clear });
  const when = (f: () => void) => () => void (triage && f());
  useKeys({
    j: () => move(1),
    k: () => move(-1),
    J: () => move(1, true),
    K: () => move(-1, true),
    ArrowDown: (e) => move(1, e.shiftKey),
    ArrowUp: (e) => move(-1, e.shiftKey),
    Enter: () => (current ? open(current) : here && flip(keyOf(here))),
    o: () => (current ? open(current) : here && flip(keyOf(here))),
    r: refresh,
    "/": () => input.current?.focus(),
    x: when(() => here && picks.toggle(keyOf(here), false)),
    X: when(() => here && picks.toggle(keyOf(here), true)),
    e: when(acts.close),
    s: when(acts.start),
    a: when(acts.assign),
    g: () => set({ group: GROUP_BY[by ? GROUP_BY.indexOf(by) + 1 : multi && !param ? 0 : 1] }),
    Escape: () => (picks.size > 0 ? picks.clear() : setActive(undefined)),
  });

  const columns = useMemo<Column<QueueRow>[]>(() => {
    const only = (f: (a: Alert) => React.ReactNode) => (r: QueueRow) => (isHead(r) ? null : f(r));
    const all: Column<QueueRow>[] = [
      { id: "severity", header: "Severity", width: "92px", cell: only((a) => <SeverityMark value={a.severity} />) },
      { id: "score", header: "Score", width: "52px", align: "right", cell: only((a) => <Score value={a.score} />) },
      { id: "what", header: "What happened", width: "minmax(160px, 3fr)", cell: only((a) => <What a={a} />) },
      { id: "entity", header: "Entity", width: "minmax(90px, 1.4fr)", cell: only((a) => <EntityMark value={a.entity} />) },
      { id: "count", header: "Events", width: "64px", align: "right", wide: true, cell: only((a) => <span className="num">{count(a.count)}</span>) },
      { id: "raised", header: "Raised", width: "92px", cell: only((a) => <Time at={a.raised_at_event_time} />) },
      { id: "status", header: "Status", width: "104px", cell: only((a) => <StatusMark value={a.triage.status} verdict={a.triage.verdict} />) },
    ];
    if (multi && !param)
      all.splice(4, 0, {
        id: "tenant",
        header: "Tenant",
        width: "minmax(72px, .55fr)",
        cell: only((a) => (
          <span className="row" style={{ gap: 6 }}>
            <TenantMark id={a.tenant_id} />
            <span className="cut">{a.tenant_id}</span>
          </span>
        )),
      });
    if (triage) all.unshift({ id: "pick", header: "", width: "20px", cell: only((a) => <PickBox id={a.id} label={`Select: ${a.title}`} />) });
    return all;
  }, [multi, param, triage]);

  const filtered = Boolean(search.severity || search.q || search.status);
  return (
    <div className="fill">
      <h1 className="sr">Alerts</h1>
      <div className="toolbar queuebar">
        <SearchBox ref={input} value={search.q ?? ""} onChange={(q) => set({ q: q || undefined }, true)} />
        <SeverityFilter value={severities(search.severity)} onChange={(v) => set({ severity: v.join(",") || undefined })} />
        <SegmentedControl
          size="xs"
          aria-label="Status"
          value={search.status ?? "open"}
          onChange={(v) => set({ status: v === "open" ? undefined : (v as StatusFilter) })}
          data={STATUS_FILTERS.map((s) => ({ value: s, label: STATUS_LABELS[s] }))}
        />
        <NativeSelect
          aria-label="Group by"
          size="xs"
          w={122}
          value={by ?? ""}
          onChange={(e) => set({ group: GROUP_BY.find((g) => g === e.currentTarget.value) })}
          data={[{ value: "", label: "Not grouped" }, ...GROUP_BY.filter((g) => g !== "tenant" || (multi && !param)).map((g) => ({ value: g, label: `By ${g}` }))]}
        />
        <ViewsMenu search={search} go={(s) => void navigate({ to: "/alerts", search: tidy<AlertsSearch>({ ...s, tenant: param }) })} />
        <span className="dim num" role="status" style={{ marginLeft: "auto" }}>
          {list.data ? (by && rows.length < total ? `Groups of the newest ${count(rows.length)} of ${plural(total, "alert")}` : plural(total, "alert")) : ""}
        </span>
      </div>
      <Suspense>{(picks.size > 0 || acts.left.length > 0) && <BulkBar picks={picks} acts={acts} total={total} filters={filters} />}</Suspense>
      <div className="rest">
        {fresh.size > 0 && rows.length > 0 && (
          <div className="pill">
            <Button size="xs" radius="xl" leftSection={<IconUp size={14} />} onClick={refresh}>
              {fresh.has("missed") ? "New alerts" : `${fresh.size} new`}
            </Button>
          </div>
        )}
        {list.isPending ? (
          <SkeletonRows height={54} />
        ) : list.isError && rows.length === 0 ? (
          <Failed what="The alerts could not be read" error={list.error} retry={() => void list.refetch()} />
        ) : rows.length === 0 ? (
          filtered ? (
            <Empty icon={IconSearch} title="No alert matches these filters">
              <Button variant="default" onClick={() => void navigate({ to: "/alerts", search: param ? { tenant: param } : {} })}>
                Clear the filters
              </Button>
            </Empty>
          ) : (
            <NoAlerts keys={keys} />
          )
        ) : (
          <PickContext value={picks}>
            <DataTable<QueueRow>
              label="Alerts"
              rows={shown}
              columns={columns}
              rowKey={keyOf}
              rowHeight={by ? 46 : 54}
              compactHeight={90}
              compact={(r) => (isHead(r) ? null : <Compact a={r} tenant={multi && !param} may={triage} />)}
              whole={(r) => (isHead(r) ? <GroupHead h={r} tenant={multi && !param} may={triage} toggle={() => (setActive(r.key), flip(r.key))} /> : undefined)}
              picked={(r) => picks.has(keyOf(r))}
              active={active}
              onActive={setActive}
              onOpen={(r) => (isHead(r) ? flip(r.key) : open(r))}
              total={by ? shown.length + 1 : total + 1}
              hasMore={hasNextPage && !by}
              loadingMore={isFetchingNextPage}
              loadMore={() => void fetchNextPage()}
              scrollRef={box}
              rowClass={(r) => (isHead(r) ? "grouprow" : r.triage.status === "closed" ? "faded" : "")}
            />
          </PickContext>
        )}
      </div>
      <Suspense>{acts.closing > 0 && <CloseDialog n={acts.closing} close={acts.cancel} run={acts.closeAs} />}</Suspense>
    </div>
  );
}

