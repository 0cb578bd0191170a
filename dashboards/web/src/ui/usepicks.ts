/* The picked rows of the queue: an alert by its id, a group by all it holds. */
import { useCallback, useEffect, useMemo, useRef, useState } from "react";
import type { Alert } from "../api/types";
import { isHead, type QueueRow } from "../lib/grouping";

export interface QueuePicks {
  size: number;
  has: (key: string) => boolean;
  /** Picks or leaves a row; `range`: all from the row picked last to this one. */
  toggle: (key: string, range: boolean) => void;
  add: (key: string) => void;
  set: (alerts: Alert[]) => void;
  clear: () => void;
  alerts: () => Alert[];
}

/** `scope`: what the list shows; picks do not outlive it. */
export function usePicks(rows: QueueRow[], scope: unknown): QueuePicks {
  const [picked, setPicked] = useState<ReadonlyMap<string, Alert>>(new Map());
  const anchor = useRef<string>(undefined);
  const now = useRef(rows);
  now.current = rows;
  const clear = useCallback(() => {
    anchor.current = undefined;
    setPicked((p) => (p.size ? new Map() : p));
  }, []);
  useEffect(clear, [scope, clear]);
  return useMemo<QueuePicks>(() => {
    const keyOf = (r: QueueRow) => (isHead(r) ? r.key : r.id);
    const of = (r: QueueRow): Alert[] => (isHead(r) ? r.alerts : [r]);
    const find = (key: string) => now.current.find((r) => keyOf(r) === key);
    const all = (r: QueueRow | undefined, p: ReadonlyMap<string, Alert>) => Boolean(r) && of(r as QueueRow).every((a) => p.has(a.id));
    return {
      size: picked.size,
      has: (key) => (key.startsWith("g ") ? all(find(key), picked) : picked.has(key)),
      toggle: (key, range) => {
        const list = now.current;
        const to = list.findIndex((r) => keyOf(r) === key);
        const from = range && anchor.current ? list.findIndex((r) => keyOf(r) === anchor.current) : -1;
        if (!range) anchor.current = key;
        setPicked((p) => {
          const next = new Map(p);
          if (from >= 0 && to >= 0) for (const r of list.slice(Math.min(from, to), Math.max(from, to) + 1)) for (const a of of(r)) next.set(a.id, a);
          else {
            const r = list[to];
            if (!r) return p;
            const off = all(r, p);
            for (const a of of(r)) {
              if (off) next.delete(a.id);
              else next.set(a.id, a);
            }
          }
          return next;
        });
      },
      add: (key) => {
        const r = find(key);
        anchor.current ??= key;
        if (r) setPicked((p) => new Map([...p, ...of(r).map((a) => [a.id, a] as const)]));
      },
      set: (alerts) => setPicked(new Map(alerts.map((a) => [a.id, a]))),
      clear,
      // As they are on the screen now: a picked alert may have been changed since.
      alerts: () => {
        const fresh = new Map(now.current.flatMap(of).map((a) => [a.id, a]));
        return [...picked.values()].map((a) => fresh.get(a.id) ?? a);
      },
    };
  }, [picked, clear]);
}
