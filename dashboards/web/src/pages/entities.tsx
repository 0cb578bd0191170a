/* Everybody and everything a tenant's events name, by activity or risk. */
import { CloseButton, Kbd, SegmentedControl, TextInput } from "@mantine/core";
import { useDebouncedCallback } from "@mantine/hooks";
import { useInfiniteQuery } from "@tanstack/react-query";
import { getRouteApi, useNavigate } from "@tanstack/react-router";
import { useEffect, useMemo, useRef, useState } from "react";
import { entitiesQuery } from "../api/queries";
import type { EntityCount, EntityKind } from "../api/types";
import { compact, count, quantity } from "../lib/format";
import { ENTITY_KINDS, tidy, type EntitiesSearch } from "../lib/urlstate";
import { useCan, useScope } from "../session";
import { EntityMark } from "../ui/badges";
import { ChooseTenant } from "../ui/choosetenant";
import { IconSearch, IconUser } from "../ui/icons";
import { useKeys } from "../ui/keys";
import { Denied, Empty, Failed, SkeletonRows } from "../ui/states";
import { DataTable, type Column } from "../ui/table";
import { Time } from "../ui/time";
import { useTitle } from "../ui/title";

const route = getRouteApi("/in/entities");
const NAMES: Partial<Record<EntityKind, string>> = { user: "Users", service: "Services", address: "Addresses", device: "Devices", resource: "Resources", session: "Sessions", source: "Sources" };

const columns: Column<EntityCount>[] = [
  { id: "id", header: "Name", width: "minmax(180px, 3fr)", cell: (e) => <EntityMark value={{ type: e.type as EntityKind, id: e.id }} /> },
  { id: "risk", header: "Risk", width: "64px", align: "right", cell: (e) => <span className="num strong" style={{ color: e.risk >= 70 ? "var(--tw-critical)" : e.risk >= 30 ? "var(--tw-medium)" : "var(--tw-dim)" }}>{e.risk > 0 ? quantity(e.risk) : "–"}</span> },
  { id: "open", header: "Open alerts", width: "88px", align: "right", cell: (e) => <span className="num">{e.open_alerts > 0 ? count(e.open_alerts) : <span className="dim">–</span>}</span> },
  { id: "events", header: "Events", width: "84px", align: "right", cell: (e) => <span className="num" title={count(e.events)}>{compact(e.events)}</span> },
  { id: "failures", header: "Failed", width: "84px", align: "right", cell: (e) => <span className="num">{e.failures > 0 ? compact(e.failures) : <span className="dim">–</span>}</span> },
  { id: "countries", header: "Countries", width: "84px", align: "right", wide: true, cell: (e) => <span className="num">{count(e.countries)}</span> },
  { id: "addresses", header: "Addresses", width: "88px", align: "right", wide: true, cell: (e) => <span className="num">{count(e.addresses)}</span> },
  { id: "first", header: "First seen", width: "104px", wide: true, cell: (e) => <Time at={e.first} /> },
  { id: "last", header: "Last seen", width: "104px", cell: (e) => <Time at={e.last} /> },
];

export default function Entities() {
  const search = route.useSearch();
  const { multi, tenant, param } = useScope(search.tenant);
  useTitle("Entities");
  const may = useCan("events:read");
  if (!may) return <Denied what="Entities" />;
  if (multi && !tenant) return <ChooseTenant what="Entities are looked at one tenant at a time." />;
  return <List key={tenant} search={search} param={param} />;
}

function List({ search, param }: { search: EntitiesSearch; param: string | undefined }) {
  const navigate = useNavigate();
  const type = search.type ?? "user";
  const sort = search.sort ?? "events";
  const list = useInfiniteQuery(entitiesQuery(param, type, search.q, sort));
  const rows = useMemo(() => list.data?.pages.flatMap((p) => p.items) ?? [], [list.data]);
  const [active, setActive] = useState<string>();
  const input = useRef<HTMLInputElement>(null);
  const [text, setText] = useState(search.q ?? "");
  useEffect(() => setText(search.q ?? ""), [search.q]);
  const set = (change: Partial<EntitiesSearch>, replace = false) => void navigate({ to: "/entities", search: tidy<EntitiesSearch>({ ...search, ...change }), replace });
  const send = useDebouncedCallback((q: string) => set({ q: q || undefined }, true), 250);
  const open = (e: EntityCount) => void navigate({ to: "/entities/$type/$id", params: { type: e.type, id: e.id }, search: param ? { tenant: param } : {} });
  const move = (by: number) => {
    const i = rows.findIndex((r) => r.id === active);
    const next = rows[Math.min(Math.max(i + by, 0), rows.length - 1)];
    if (next) setActive(next.id);
  };
  useKeys({
    j: () => move(1), k: () => move(-1), ArrowDown: () => move(1), ArrowUp: () => move(-1), "/": () => input.current?.focus(),
    Enter: () => { const e = rows.find((r) => r.id === active); if (e) open(e); },
  });
  return (
    <div className="fill">
      <h1 className="sr">Entities</h1>
      <div className="toolbar">
        <TextInput
          ref={input}
          size="xs"
          className="searchbox"
          aria-label="Find an entity"
          placeholder="Part of a name"
          maxLength={256}
          leftSection={<IconSearch size={14} aria-hidden />}
          rightSection={text ? <CloseButton size="xs" aria-label="Clear" onClick={() => (setText(""), set({ q: undefined }, true))} /> : <Kbd size="xs">/</Kbd>}
          value={text}
          onChange={(e) => {
            setText(e.currentTarget.value);
            send(e.currentTarget.value);
          }}
          onKeyDown={(e) => (e.key === "Escape" || e.key === "Enter") && e.currentTarget.blur()}
        />
        <div className="scrollx">
          <SegmentedControl size="xs" aria-label="Kind" value={type} onChange={(v) => set({ type: v === "user" ? undefined : (v as EntityKind) })} data={ENTITY_KINDS.filter((k) => NAMES[k]).map((k) => ({ value: k, label: NAMES[k] ?? k }))} />
        </div>
        <div className="grow" />
        <SegmentedControl size="xs" aria-label="Order" value={sort} onChange={(v) => set({ sort: v === "events" ? undefined : "last_seen" })} data={[{ value: "events", label: "Most events" }, { value: "last_seen", label: "Last seen" }]} />
      </div>
      <div className="rest">
        {list.isPending ? (
          <SkeletonRows />
        ) : list.isError ? (
          <Failed what="The entities could not be read" error={list.error} retry={() => void list.refetch()} />
        ) : rows.length === 0 ? (
          <Empty icon={IconUser} title={search.q ? "No entity has this in its name" : "None seen yet"}>
            <p>{search.q ? "Names are compared whatever their case." : "They appear with the first events that name them."}</p>
          </Empty>
        ) : (
          <DataTable
            label="Entities"
            rows={rows}
            columns={columns}
            rowKey={(e) => e.id}
            rowHeight={40}
            compactHeight={64}
            compact={(e) => (
              <div style={{ display: "grid", gap: 3 }}>
                <EntityMark value={{ type: e.type as EntityKind, id: e.id }} />
                <span className="row dim num">
                  {compact(e.events)} events, {compact(e.failures)} failed <span className="grow" /> <Time at={e.last} />
                </span>
              </div>
            )}
            active={active}
            onActive={setActive}
            onOpen={open}
            total={-1}
            hasMore={list.hasNextPage}
            loadingMore={list.isFetchingNextPage}
            loadMore={() => void list.fetchNextPage()}
          />
        )}
      </div>
    </div>
  );
}
