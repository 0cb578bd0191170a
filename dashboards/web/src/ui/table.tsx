/*
 * One virtual table for every long list. TanStack Table holds the model,
 * TanStack Virtual decides which rows exist, and the markup is an ARIA grid
 * whose active row follows the keyboard.
 */
import { useEffect, useMemo, useRef, type ReactNode, type Ref } from "react";
import { createColumnHelper, tableFeatures, useTable } from "@tanstack/react-table";
import { useVirtualizer } from "@tanstack/react-virtual";
import { Loader } from "@mantine/core";
import { useMediaQuery } from "@mantine/hooks";

export interface Column<T> {
  id: string;
  header: string;
  /** A CSS grid track, e.g. "90px" or "minmax(160px, 2fr)". */
  width: string;
  align?: "right";
  /** Left out on screens of less than 1180 px. */
  wide?: boolean;
  cell: (row: T) => ReactNode;
}

interface Props<T> {
  label: string;
  rows: T[];
  columns: Column<T>[];
  rowKey: (row: T) => string;
  rowHeight?: number;
  /** What a narrow screen shows instead of columns. */
  compact?: (row: T) => ReactNode;
  compactHeight?: number;
  active?: string | undefined;
  onActive?: (key: string) => void;
  onOpen: (row: T) => void;
  /** Total known to the server, for the row count screen readers hear; -1 when unknown. */
  total?: number;
  hasMore?: boolean | undefined;
  loadingMore?: boolean | undefined;
  loadMore?: (() => void) | undefined;
  scrollRef?: Ref<HTMLDivElement>;
  rowClass?: (row: T) => string;
  /** A row that is one cell over all columns, such as a group's head; undefined for others. */
  whole?: (row: T) => ReactNode | undefined;
  /** For lists in which rows are picked: whether this one is. */
  picked?: (row: T) => boolean;
}

const features = tableFeatures({});
const id = (s: string) => `r-${s.replace(/[^\w-]/g, "_")}`;

export function DataTable<T extends object>(p: Props<T>) {
  const { rows, rowKey, active, hasMore, loadingMore, loadMore } = p;
  const small = useMediaQuery("(max-width: 1180px)", matchMedia("(max-width: 1180px)").matches);
  const columns = useMemo(() => (small ? p.columns.filter((c) => !c.wide) : p.columns), [p.columns, small]);
  const box = useRef<HTMLDivElement>(null);
  const narrow = useMediaQuery("(max-width: 760px)", matchMedia("(max-width: 760px)").matches) && p.compact !== undefined;
  const height = narrow ? (p.compactHeight ?? 84) : (p.rowHeight ?? 44);

  const defs = useMemo(() => {
    const h = createColumnHelper<typeof features, T>();
    return columns.map((c) => h.display({ id: c.id, header: c.header, cell: (x) => c.cell(x.row.original) }));
  }, [columns]);
  const table = useTable({ features, columns: defs, data: rows, getRowId: rowKey });
  const model = table.getRowModel().rows;

  const virtual = useVirtualizer({
    count: model.length,
    getScrollElement: () => box.current,
    estimateSize: () => height,
    overscan: 12,
    getItemKey: (i) => model[i]?.id ?? i,
  });
  useEffect(() => virtual.measure(), [height, virtual]);

  const items = virtual.getVirtualItems();
  const last = items.at(-1)?.index ?? -1;
  useEffect(() => {
    if (hasMore && !loadingMore && last >= model.length - 20) loadMore?.();
  }, [last, model.length, hasMore, loadingMore, loadMore]);

  const at = active === undefined ? -1 : model.findIndex((r) => r.id === active);
  useEffect(() => {
    if (at < 0) return;
    virtual.scrollToIndex(at, { align: "auto" });
    // The list takes the focus with its row, so that Enter means the row and screen readers follow;
    // never out of a dialog or from someone who is typing.
    const f = document.activeElement;
    if (!f || f === document.body || !f.closest("input,textarea,[role=dialog]")) box.current?.focus({ preventScroll: true });
  }, [at, virtual]);

  const tracks = narrow ? "1fr" : columns.map((c) => c.width).join(" ");
  return (
    <div
      className="grid"
      role="grid"
      aria-label={p.label}
      aria-rowcount={p.total ?? model.length + 1}
      aria-colcount={narrow ? 1 : columns.length}
      ref={(el) => {
        box.current = el;
        if (typeof p.scrollRef === "function") p.scrollRef(el);
        else if (p.scrollRef) p.scrollRef.current = el;
      }}
      tabIndex={0}
      aria-activedescendant={at >= 0 && items.some((i) => i.index === at) ? id(active ?? "") : undefined}
      style={{ ["--tracks" as string]: tracks }}
    >
      {!narrow && (
        <div role="rowgroup" className="ghead">
          <div role="row" aria-rowindex={1} className="grow-line">
            {columns.map((c) => (
              <div role="columnheader" key={c.id} className={c.align === "right" ? "right" : ""}>
                {c.header}
              </div>
            ))}
          </div>
        </div>
      )}
      <div role="rowgroup" style={{ height: virtual.getTotalSize(), position: "relative" }}>
        {items.map((v) => {
          const r = model[v.index];
          if (!r) return null;
          const whole = p.whole?.(r.original);
          return (
            <div
              role="row"
              key={v.key}
              id={id(r.id)}
              aria-rowindex={v.index + 2}
              aria-selected={v.index === at}
              data-picked={p.picked?.(r.original) || undefined}
              className={`${whole === undefined ? "grow-line" : "whole-line"} gline ${v.index === at ? "active" : ""} ${p.rowClass?.(r.original) ?? ""}`}
              style={{ height, transform: `translateY(${v.start}px)` }}
              onClick={(e) => {
                if (e.target instanceof HTMLElement && e.target.closest("a,button,label")) return;
                if (getSelection()?.toString()) return; // selecting text is not opening
                p.onActive?.(r.id);
                p.onOpen(r.original);
              }}
            >
              {whole !== undefined ? (
                <div role="gridcell" aria-colspan={narrow ? 1 : columns.length}>
                  {whole}
                </div>
              ) : narrow ? (
                <div role="gridcell">{p.compact?.(r.original)}</div>
              ) : (
                r.getAllCells().map((c, i) => (
                  <div role="gridcell" key={c.id} className={columns[i]?.align === "right" ? "right" : ""}>
                    <table.FlexRender cell={c} />
                  </div>
                ))
              )}
            </div>
          );
        })}
      </div>
      {loadingMore && (
        <div className="row" style={{ justifyContent: "center", padding: 12 }}>
          <Loader size="xs" aria-label="Loading more" />
        </div>
      )}
    </div>
  );
}
