/* The queue: what was raised, newest first, and nothing moves unless asked. */
import { Button, CloseButton, Kbd, SegmentedControl, TextInput } from "@mantine/core";
import { useDebouncedCallback } from "@mantine/hooks";
import { useInfiniteQuery, useQueryClient } from "@tanstack/react-query";
import { getRouteApi, Link, useNavigate } from "@tanstack/react-router";
import { useEffect, useMemo, useRef, useState } from "react";
import { alertsQuery, fetchAlert } from "../api/queries";
import { live } from "../api/stream";
import { patchLists, useTriage } from "../api/triage";
import type { Alert } from "../api/types";
import { count, plural } from "../lib/format";
import { trail } from "../lib/trail";
import { severities, SEVERITIES, STATUS_FILTERS, tidy, type AlertsSearch, type Severity, type StatusFilter } from "../lib/urlstate";
import { useCan, useScope } from "../session";
import { EntityMark, SeverityMark, severityName, StatusMark, TenantMark } from "../ui/badges";
import { IconBell, IconSearch, IconUp } from "../ui/icons";
import { useKeys } from "../ui/keys";
import { Empty, Failed, SkeletonRows } from "../ui/states";
import { DataTable, type Column } from "../ui/table";
import { Txt } from "../ui/text";
import { Time } from "../ui/time";
import { useTitle } from "../ui/title";
import { useToast } from "../ui/toast";

const route = getRouteApi("/in/alerts");
const STATUS_LABELS: Record<StatusFilter, string> = { open: "Open", new: "New", in_progress: "In progress", closed: "Closed", any: "All" };

export default function Alerts() {
  const search = route.useSearch();
  const { multi, param } = useScope(search.tenant);
  const keys = useCan("keys:manage");
  const triage = useCan("alerts:triage");
  const navigate = useNavigate();
  const queries = useQueryClient();
  const say = useToast();
  const filters = useMemo<AlertsSearch>(() => tidy<AlertsSearch>({ ...search, tenant: param }), [search, param]);
  const list = useInfiniteQuery(alertsQuery(filters));
  const rows = useMemo(() => list.data?.pages.flatMap((p) => p.items) ?? [], [list.data]);
  const total = list.data?.pages[0]?.total ?? 0;
  const [active, setActive] = useState<string | undefined>(() => trail.last());
  const [fresh, setFresh] = useState<ReadonlySet<string>>(new Set());
  const box = useRef<HTMLDivElement>(null);
  const input = useRef<HTMLInputElement>(null);
  useTitle(total > 0 ? `Alerts (${count(total)})` : "Alerts");

  useEffect(() => trail.remember(filters, rows.map((a) => a.id), total), [filters, rows, total]);
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
  const move = (by: number) => {
    const i = rows.findIndex((a) => a.id === active);
    const next = rows[Math.min(Math.max(i + by, 0), rows.length - 1)];
    if (next) setActive(next.id);
  };
  const change = useTriage({
    done: (a, c) =>
      say(a.triage.status === "closed" ? "Alert closed" : "Alert opened again", {
        action: { label: "Undo", run: () => change.mutate({ id: c.id, tenant: c.tenant, patch: { status: c.patch.status === "closed" ? "new" : "closed" } }) },
      }),
    conflict: () => say("Somebody changed this alert at the same moment. It now shows their change; yours was not saved.", { bad: true }),
    failed: (e) => say(`Not saved: ${e.message}`, { bad: true }),
  });
  const current = rows.find((a) => a.id === active);
  useKeys({
    j: () => move(1),
    k: () => move(-1),
    ArrowDown: () => move(1),
    ArrowUp: () => move(-1),
    Enter: () => current && open(current),
    o: () => current && open(current),
    r: refresh,
    "/": () => input.current?.focus(),
    e: () => {
      if (current && triage) change.mutate({ id: current.id, tenant: multi ? current.tenant_id : undefined, patch: { status: current.triage.status === "closed" ? "new" : "closed" } });
    },
    Escape: () => setActive(undefined),
  });

  const columns = useMemo<Column<Alert>[]>(() => {
    const all: Column<Alert>[] = [
      { id: "severity", header: "Severity", width: "92px", cell: (a) => <SeverityMark value={a.severity} /> },
      { id: "score", header: "Score", width: "52px", align: "right", cell: (a) => <Score value={a.score} /> },
      { id: "what", header: "What happened", width: "minmax(160px, 3fr)", cell: (a) => <What a={a} /> },
      { id: "entity", header: "Entity", width: "minmax(90px, 1.4fr)", cell: (a) => <EntityMark value={a.entity} /> },
      { id: "count", header: "Events", width: "64px", align: "right", wide: true, cell: (a) => <span className="num">{count(a.count)}</span> },
      { id: "raised", header: "Raised", width: "92px", cell: (a) => <Time at={a.raised_at_event_time} /> },
      { id: "status", header: "Status", width: "104px", cell: (a) => <StatusMark value={a.triage.status} verdict={a.triage.verdict} /> },
    ];
    if (multi && !param)
      all.splice(4, 0, {
        id: "tenant",
        header: "Tenant",
        width: "minmax(72px, .55fr)",
        cell: (a) => (
          <span className="row" style={{ gap: 6 }}>
            <TenantMark id={a.tenant_id} />
            <span className="cut">{a.tenant_id}</span>
          </span>
        ),
      });
    return all;
  }, [multi, param]);

  const filtered = Boolean(search.severity || search.q || search.status);
  return (
    <div className="fill">
      <h1 className="sr">Alerts</h1>
      <div className="toolbar">
        <SearchBox ref={input} value={search.q ?? ""} onChange={(q) => set({ q: q || undefined }, true)} />
        <SeverityFilter value={severities(search.severity)} onChange={(v) => set({ severity: v.join(",") || undefined })} />
        <SegmentedControl
          size="xs"
          aria-label="Status"
          value={search.status ?? "open"}
          onChange={(v) => set({ status: v === "open" ? undefined : (v as StatusFilter) })}
          data={STATUS_FILTERS.map((s) => ({ value: s, label: STATUS_LABELS[s] }))}
        />
        <div className="grow" />
        <span className="dim num" role="status">
          {list.data ? plural(total, "alert") : ""}
        </span>
      </div>
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
          <DataTable
            label="Alerts"
            rows={rows}
            columns={columns}
            rowKey={(a) => a.id}
            rowHeight={54}
            compactHeight={90}
            compact={(a) => <Compact a={a} tenant={multi && !param} />}
            active={active}
            onActive={setActive}
            onOpen={open}
            total={total + 1}
            hasMore={list.hasNextPage}
            loadingMore={list.isFetchingNextPage}
            loadMore={() => void list.fetchNextPage()}
            scrollRef={box}
            rowClass={(a) => (a.triage.status === "closed" ? "faded" : "")}
          />
        )}
      </div>
    </div>
  );
}

export function Score({ value }: { value: number }) {
  return (
    <span className="num strong" title={`Score ${value} of 100`}>
      {value.toFixed(1)}
    </span>
  );
}

function What({ a }: { a: Alert }) {
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

function Compact({ a, tenant }: { a: Alert; tenant: boolean }) {
  return (
    <div style={{ display: "grid", gap: 4, lineHeight: 1.35 }}>
      <div className="row">
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

function SearchBox({ value, onChange, ref }: { value: string; onChange: (q: string) => void; ref: React.RefObject<HTMLInputElement | null> }) {
  const [text, setText] = useState(value);
  useEffect(() => setText(value), [value]);
  const send = useDebouncedCallback(onChange, 250);
  return (
    <TextInput
      ref={ref}
      size="xs"
      className="searchbox"
      aria-label="Search alerts"
      placeholder="Title, reason, entity"
      maxLength={256}
      leftSection={<IconSearch size={14} aria-hidden />}
      rightSection={text ? <CloseButton size="xs" aria-label="Clear the search" onClick={() => (setText(""), onChange(""))} /> : <Kbd size="xs">/</Kbd>}
      value={text}
      onChange={(e) => {
        setText(e.currentTarget.value);
        send(e.currentTarget.value);
      }}
      onKeyDown={(e) => {
        if (e.key === "Escape") e.currentTarget.blur();
        if (e.key === "Enter") {
          onChange(text);
          e.currentTarget.blur();
        }
      }}
    />
  );
}

function SeverityFilter({ value, onChange }: { value: Severity[]; onChange: (v: Severity[]) => void }) {
  return (
    <div className="row sevfilter" role="group" aria-label="Severity">
      {SEVERITIES.map((s) => (
        <button
          type="button"
          key={s}
          className="chip"
          aria-pressed={value.includes(s)}
          aria-label={severityName(s)}
          title={severityName(s)}
          onClick={() => onChange(value.includes(s) ? value.filter((x) => x !== s) : SEVERITIES.filter((x) => x === s || value.includes(x)))}
        >
          <SeverityMark value={s} />
        </button>
      ))}
    </div>
  );
}

function NoAlerts({ keys }: { keys: boolean }) {
  return (
    <Empty icon={IconBell} title="No open alerts">
      <p>
        Either nothing unusual has happened, or no logs have come in yet. Detectors score a tenant from its first event; push some and watch this page.
      </p>
      <pre className="code" style={{ maxWidth: 640, width: "100%" }}>
        tenantwatch ingest /var/log/auth.log --tenant acme --create
      </pre>
      <div className="row">
        {keys && (
          <Button variant="default" renderRoot={(p) => <Link to="/keys" {...p} />}>
            Create an ingest key
          </Button>
        )}
        <Button variant="default" renderRoot={(p) => <Link to="/alerts" search={{ status: "any" }} {...p} />}>
          Show closed alerts too
        </Button>
      </div>
    </Empty>
  );
}
