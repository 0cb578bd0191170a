/* The audit log of one tenant: search, narrow, look, take away. */
import { ActionIcon, Button, Menu, Skeleton, Tooltip } from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import { useInfiniteQuery, useIsFetching, useMutation, useQuery } from "@tanstack/react-query";
import { getRouteApi, useNavigate } from "@tanstack/react-router";
import { lazy, Suspense, useEffect, useMemo, useRef, useState } from "react";
import { attempt, body, client } from "../api/client";
import { asApiError } from "../api/problem";
import { eventsQuery, exportURL, histogramQuery, overviewQuery, type AuditKey } from "../api/queries";
import type { Event } from "../api/types";
import { count } from "../lib/format";
import { dayOf } from "../lib/investigate";
import { toggle } from "../lib/querylang";
import { bounds } from "../lib/timerange";
import { tidy, type AuditSearch } from "../lib/urlstate";
import { useCan, useScope } from "../session";
import { auditColumns, EventCompact } from "../ui/events";
import { FacetList } from "../ui/facets";
import { Histogram } from "../ui/plots";
import { IconDownload, IconRefresh, IconSearch } from "../ui/icons";
import { useKeys } from "../ui/keys";
import { QueryError, QueryInput } from "../ui/queryinput";
import { Denied, Empty, Failed, SkeletonRows } from "../ui/states";
import { DataTable } from "../ui/table";
import { ChooseTenant } from "../ui/choosetenant";
import { Time } from "../ui/time";
import { TimeRange } from "../ui/timerange";
import { useTitle } from "../ui/title";
import { useToast } from "../ui/toast";

const EventDetail = lazy(() => import("../ui/eventdetail"));
const FacetDrawer = lazy(() => import("../ui/facetdrawer"));
const Searches = lazy(() => import("../ui/searches").then((m) => ({ default: m.Searches })));
const route = getRouteApi("/in/audit");

export default function Audit() {
  const search = route.useSearch();
  const { multi, tenant, param } = useScope(search.tenant);
  const may = useCan("events:read");
  useTitle(tenant ? `Audit log of ${tenant}` : "Audit log");
  if (!may) return <Denied what="Audit logs" />;
  if (multi && !tenant) return <ChooseTenant what="The audit log is read one tenant at a time." />;
  return <Ranged key={tenant} search={search} param={param} />;
}

/** Without a range in the URL: the last 24 hours where they hold something, else all time, so that imported files are found at once. */
function Ranged({ search, param }: { search: AuditSearch; param: string | undefined }) {
  const navigate = useNavigate();
  const [now] = useState(() => Date.now());
  const open = !search.range && !search.from && !search.to;
  const overview = useQuery({ ...overviewQuery(param), enabled: open });
  const latest = overview.data?.events.latest;
  const far = open && Boolean(latest) && now - Date.parse(latest ?? "") > 86_400_000;
  useEffect(() => {
    if (far) void navigate({ to: "/audit", search: { ...search, range: "all" }, replace: true });
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, [far]);
  if (far || (open && overview.isPending)) return <SkeletonRows height={36} rows={18} />;
  return <Search search={search} param={param} />;
}

function Search({ search, param }: { search: AuditSearch; param: string | undefined }) {
  const navigate = useNavigate();
  const q = search.q ?? "";
  const [draft, setDraft] = useState(q);
  useEffect(() => setDraft(q), [q]);
  const [now, setNow] = useState(() => Date.now());
  const exporting = useCan("events:export");
  const [side, sides] = useDisclosure(false);
  const input = useRef<HTMLInputElement>(null);
  const [active, setActive] = useState<string | undefined>(search.event);

  const key = useMemo<AuditKey>(
    () => ({ tenant: param, q: search.q, ...bounds({ range: search.range, from: search.from, to: search.to } as AuditSearch, now) }),
    [param, search.q, search.range, search.from, search.to, now],
  );
  const events = useInfiniteQuery(eventsQuery(key));
  const histogram = useQuery({ ...histogramQuery(key, 80), enabled: !events.isError });
  const busy = useIsFetching({ predicate: (x) => ["events", "histogram"].includes(String(x.queryKey[0])) }) > 0;
  const rows = useMemo(() => events.data?.pages.flatMap((p) => p.items) ?? [], [events.data]);
  const columns = useMemo(() => auditColumns(rows), [rows]);
  const explain = events.data?.pages[0]?.explain;
  const problem = events.isError ? asApiError(events.error) : undefined;
  const queryError = problem?.field("q");

  const set = (change: Partial<AuditSearch>, replace = false) =>
    void navigate({ to: "/audit", search: tidy<AuditSearch>({ ...search, event: undefined, ...change }), replace });
  const submit = (text: string) => {
    setNow(Date.now());
    set({ q: text.trim() || undefined });
  };
  const narrow = (field: string, value: string, negate: boolean) => submit(toggle(q, field, value, negate));
  const show = (e: Event | undefined) => {
    if (e) setActive(e.id);
    set({ event: e?.id }, true);
  };
  const move = (by: number) => {
    const i = rows.findIndex((e) => e.id === active);
    const next = rows[Math.min(Math.max(i + by, 0), rows.length - 1)];
    if (next) setActive(next.id);
  };
  useKeys({
    "/": () => input.current?.focus(),
    j: () => move(1),
    k: () => move(-1),
    ArrowDown: () => move(1),
    ArrowUp: () => move(-1),
    Enter: () => {
      const e = rows.find((x) => x.id === active);
      if (e) show(e);
    },
    r: () => setNow(Date.now()),
    Escape: () => setActive(undefined),
  });
  const say = useToast();
  const start = useMutation({
    mutationFn: (format: "csv" | "ndjson" | "ocsf" | "parquet") =>
      body(client.POST("/api/v1/exports", { params: { header: { "Idempotency-Key": attempt() } }, body: { ...(param ? { tenant_id: param } : {}), format, ...(search.q ? { query: search.q } : {}), from: key.from ?? null, to: key.to ?? null } })),
    onSuccess: () => void navigate({ to: "/exports", search: param ? { tenant: param } : {} }),
    onError: (e) => say(`No export was begun: ${e.message}`, { bad: true }),
  });
  const at = search.event ? rows.findIndex((e) => e.id === search.event) : -1;
  const step = (by: number) => {
    const to = at >= 0 ? rows[at + by] : undefined;
    return to ? () => show(to) : undefined;
  };
  const facets = <FacetList scope={key} q={q} toggle={narrow} />;

  return (
    <div className="fill">
      <h1 className="sr">Audit log</h1>
      <div className="auditbar">
        <div className="grow qwrap">
          <QueryInput ref={input} value={draft} onChange={setDraft} onSubmit={submit} scope={key} invalid={queryError !== undefined} />
        </div>
        <Button className="searchbtn" size="sm" variant={draft.trim() === q ? "default" : "filled"} onClick={() => submit(draft)}>
          Search
        </Button>
        <TimeRange value={search} onChange={(r) => (setNow(Date.now()), set({ range: undefined, from: undefined, to: undefined, ...r }))} />
        <Tooltip label="Search again (r)">
          <ActionIcon size={34} variant="default" loading={busy} loaderProps={{ size: 14 }} onClick={() => setNow(Date.now())} aria-label="Search again">
            <IconRefresh size={16} />
          </ActionIcon>
        </Tooltip>
        <Suspense fallback={<span style={{ width: 92 }} />}>
          <Searches search={search} param={param} open={(c) => set(c)} />
        </Suspense>
        {exporting && (
        <Menu position="bottom-end">
          <Menu.Target>
            <Button size="sm" variant="default" leftSection={<IconDownload size={15} />}>
              Export
            </Button>
          </Menu.Target>
          <Menu.Dropdown>
            <Menu.Label>Everything that matches, oldest first</Menu.Label>
            <Menu.Item component="a" href={exportURL(key, "csv")} download>
              CSV, for a spreadsheet
            </Menu.Item>
            <Menu.Item component="a" href={exportURL(key, "ndjson")} download>
              NDJSON, complete
            </Menu.Item>
            <Menu.Divider />
            <Menu.Label>In the background, with a checksum</Menu.Label>
            {(["csv", "ndjson", "ocsf", "parquet"] as const).map((f) => (
              <Menu.Item key={f} onClick={() => start.mutate(f)}>
                {{ csv: "CSV", ndjson: "NDJSON", ocsf: "OCSF, NDJSON", parquet: "Parquet" }[f]}
              </Menu.Item>
            ))}
          </Menu.Dropdown>
        </Menu>
        )}
      </div>
      {queryError && <QueryError q={q} error={queryError} apply={submit} />}
      {!problem && (
        <div className="histo">
          <div className="row">
            <span className="num strong">{histogram.data ? `${count(histogram.data.total)} ${histogram.data.total === 1 ? "event" : "events"}` : <Skeleton h={10} w={80} />}</span>
            {explain && <span className="dim cut grow" title={explain}>{explain}</span>}
            {!explain && <span className="grow" />}
            <span className="key">
              <i className="k-count" /> events
            </span>
            <span className="key">
              <i className="k-fail" /> failures
            </span>
            <Button className="facetbtn" variant="default" size="compact-xs" onClick={sides.open}>
              Facets
            </Button>
          </div>
          {histogram.isError ? (
            <button type="button" className="link plain" onClick={() => void histogram.refetch()}>
              The histogram could not be read. Try again
            </button>
          ) : histogram.data ? (
            histogram.data.buckets.length > 0 && histogram.data.total > 0 ? (
              <Histogram data={histogram.data} onBrush={(from, to) => set({ range: undefined, from, to })} />
            ) : (
              <div style={{ height: 8 }} />
            )
          ) : (
            <Skeleton h={104} />
          )}
        </div>
      )}
      <div className="auditbody rest">
        <aside className="facetside" aria-label="Facets">
          {!problem && facets}
        </aside>
        <div className="tablebox">
          {events.isPending ? (
            <SkeletonRows height={36} rows={16} />
          ) : problem ? (
            queryError ? (
              <Empty icon={IconSearch} title="The query cannot be read">
                <p>Mend it above; nothing was searched.</p>
              </Empty>
            ) : (
              <Failed what="The search failed" error={problem} retry={() => void events.refetch()} />
            )
          ) : rows.length === 0 ? (
            <Nothing q={q} all={search.range === "all"} param={param} day={(d) => set({ range: undefined, ...d })} everything={() => set({ range: "all", from: undefined, to: undefined })} clear={() => submit("")} />
          ) : (
            <DataTable<Event>
              label="Events"
              rows={rows}
              columns={columns}
              rowKey={(e) => e.id}
              rowHeight={36}
              compact={(e) => <EventCompact e={e} />}
              compactHeight={62}
              active={active}
              onActive={setActive}
              onOpen={show}
              total={-1}
              hasMore={events.hasNextPage}
              loadingMore={events.isFetchingNextPage}
              loadMore={() => void events.fetchNextPage()}
            />
          )}
        </div>
      </div>
      <Suspense>
        {side && <FacetDrawer close={sides.close}>{facets}</FacetDrawer>}
        {rows[at] && <EventDetail event={rows[at]} close={() => show(undefined)} narrow={narrow} previous={step(-1)} next={step(1)} />}
      </Suspense>
    </div>
  );
}

interface NothingProps {
  q: string;
  all: boolean;
  param: string | undefined;
  day: (range: { from: string; to: string }) => void;
  everything: () => void;
  clear: () => void;
}

function Nothing({ q, all, param, day, everything, clear }: NothingProps) {
  const latest = useQuery(overviewQuery(param)).data?.events.latest;
  return (
    <Empty icon={IconSearch} title={q ? "No event matches" : all ? "No events yet" : "No events in this time"}>
      {all && !q ? (
        <>
          <p>Push the first line with an ingest key, or read in a file:</p>
          <pre className="code">tenantwatch ingest /var/log/auth.log --tenant acme --create</pre>
        </>
      ) : (
        <p>
          {all ? (
            "Nothing that was ever stored matches this query."
          ) : latest ? (
            <>
              Logs keep the time of what they report. The latest event is of <Time at={latest} as="both" />.
            </>
          ) : (
            "Logs keep the time of what they report: imported files may lie further back."
          )}
        </p>
      )}
      <div className="row">
        {!all && latest && <Button onClick={() => day(dayOf(latest))}>Show the 24 hours up to it</Button>}
        {!all && (
          <Button variant={latest ? "default" : "filled"} onClick={everything}>
            Search all time
          </Button>
        )}
        {q && (
          <Button variant="default" onClick={clear}>
            Clear the query
          </Button>
        )}
      </div>
    </Empty>
  );
}
