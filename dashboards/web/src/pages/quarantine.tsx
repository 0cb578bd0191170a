/* Lines no parser could take, with the reason: nothing is dropped silently. */
import { useInfiniteQuery } from "@tanstack/react-query";
import { getRouteApi } from "@tanstack/react-router";
import { CloseButton } from "@mantine/core";
import { useState } from "react";
import { quarantineQuery } from "../api/queries";
import type { QuarantinedLine } from "../api/types";
import { count } from "../lib/format";
import { useCan, useScope } from "../session";
import { ChooseTenant } from "../ui/choosetenant";
import { CopyButton } from "../ui/copy";
import { IconDone } from "../ui/icons";
import { useKeys } from "../ui/keys";
import { Sheet } from "../ui/sheet";
import { Denied, Empty, Failed, SkeletonRows } from "../ui/states";
import { DataTable, type Column } from "../ui/table";
import { Txt } from "../ui/text";
import { Time } from "../ui/time";
import { useTitle } from "../ui/title";

const route = getRouteApi("/in/quarantine");

const columns: Column<QuarantinedLine>[] = [
  { id: "at", header: "Received", width: "96px", cell: (l) => <Time at={l.received_at} /> },
  { id: "reason", header: "Reason", width: "minmax(200px, 1.4fr)", cell: (l) => <Txt value={l.reason} className="strong" /> },
  { id: "raw", header: "Original line", width: "minmax(200px, 2fr)", cell: (l) => <Txt value={l.raw} mono className="dim" /> },
  { id: "source", header: "Source", width: "minmax(80px, .7fr)", cell: (l) => <Txt value={l.source} /> },
  { id: "format", header: "Format tried", width: "92px", cell: (l) => (l.format ? <Txt value={l.format} /> : <span className="dim">none</span>) },
  { id: "line", header: "Line", width: "72px", align: "right", cell: (l) => <span className="num">{count(l.line)}</span> },
];

export default function Quarantine() {
  const search = route.useSearch();
  const { multi, tenant, param } = useScope(search.tenant);
  useTitle("Quarantine");
  const may = useCan("quarantine:read");
  if (!may) return <Denied what="Quarantined lines" />;
  if (multi && !tenant) return <ChooseTenant what="The quarantine is read one tenant at a time." />;
  return <Lines key={tenant} param={param} />;
}

function Lines({ param }: { param: string | undefined }) {
  const list = useInfiniteQuery(quarantineQuery(param));
  const rows = list.data?.pages.flatMap((p) => p.items) ?? [];
  const [active, setActive] = useState<string>();
  const [open, setOpen] = useState<QuarantinedLine>();
  const move = (by: number) => {
    const i = rows.findIndex((x) => x.id === active);
    const next = rows[Math.min(Math.max(i + by, 0), rows.length - 1)];
    if (next) setActive(next.id);
  };
  useKeys({ j: () => move(1), k: () => move(-1), ArrowDown: () => move(1), ArrowUp: () => move(-1), Enter: () => setOpen(rows.find((x) => x.id === active)) });
  return (
    <div className="fill">
      <header className="dochead padded">
        <div className="grow">
          <h1>Quarantine</h1>
          <p className="dim">Lines that no parser could take, kept with the reason and the original bytes. The good lines around them were stored.</p>
        </div>
      </header>
      <div className="rest">
        {list.isPending ? (
          <SkeletonRows />
        ) : list.isError ? (
          <Failed what="The quarantine could not be read" error={list.error} retry={() => void list.refetch()} />
        ) : rows.length === 0 ? (
          <Empty icon={IconDone} title="The quarantine is empty">
            <p>Every line that came in was understood.</p>
          </Empty>
        ) : (
          <DataTable
            label="Quarantined lines"
            rows={rows}
            columns={columns}
            rowKey={(l) => l.id}
            rowHeight={40}
            compactHeight={70}
            compact={(l) => (
              <div style={{ display: "grid", gap: 3 }}>
                <div className="row">
                  <Txt value={l.reason} className="cut strong grow" />
                  <Time at={l.received_at} />
                </div>
                <Txt value={l.raw} mono className="cut dim" />
              </div>
            )}
            active={active}
            onActive={setActive}
            onOpen={setOpen}
            total={-1}
            hasMore={list.hasNextPage}
            loadingMore={list.isFetchingNextPage}
            loadMore={() => void list.fetchNextPage()}
          />
        )}
      </div>
      {open && (
        <Sheet label="Quarantined line" close={() => setOpen(undefined)} width={520}>
          <div className="drawer">
            <header>
              <div className="row">
                <h2 className="grow wrap">
                  <Txt value={open.reason} title="" />
                </h2>
                <CloseButton aria-label="Close" onClick={() => setOpen(undefined)} />
              </div>
            </header>
            <dl className="fields">
              {(
                [
                  ["source", open.source],
                  ["format tried", open.format || "none"],
                  ["line", count(open.line)],
                  ["byte offset", count(open.offset)],
                  ["id", open.id],
                ] as const
              ).map(([k, v]) => (
                <div key={k}>
                  <dt>{k}</dt>
                  <dd className="wrap">
                    <Txt value={v} />
                  </dd>
                </div>
              ))}
              <div>
                <dt>received</dt>
                <dd>
                  <Time at={open.received_at} as="both" />
                </dd>
              </div>
            </dl>
            <section className="rawline">
              <div className="row">
                <h3 className="grow">Original line</h3>
                <CopyButton text={open.raw}>Copy</CopyButton>
                {open.raw_base64 && <CopyButton text={open.raw_base64}>Copy exact bytes (base64)</CopyButton>}
              </div>
              <pre className="code">
                <Txt value={open.raw} title="" />
              </pre>
            </section>
          </div>
        </Sheet>
      )}
    </div>
  );
}
