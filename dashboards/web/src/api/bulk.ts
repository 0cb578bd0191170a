/* One change to many alerts, tenant by tenant, and taking it back. */
import { useMutation, useQueryClient, type InfiniteData, type QueryClient } from "@tanstack/react-query";
import { attempt, body, client } from "./client";
import type { Alert, AlertPage, BulkTriage, Triage } from "./types";

export type BulkChange = Omit<BulkTriage, "tenant_id" | "ids" | "filter" | "undo">;
/** The most alerts that can be changed at once. */
export const BULK_MOST = 500;

export interface Outcome {
  changed: string[];
  /** Those that stayed as they were, with why. */
  kept: { id: string; why: "unchanged" | "not_found" | "conflict" }[];
  batches: { tenant: string; batch: string }[];
  /** A tenant's answer that did not come, in the server's words. */
  failed: string[];
}

function patchMany(queries: QueryClient, triages: ReadonlyMap<string, Triage>): void {
  queries.setQueriesData<InfiniteData<AlertPage>>({ queryKey: ["alerts"] }, (old) =>
    old && {
      ...old,
      pages: old.pages.map((p) => (p.items.some((a) => triages.has(a.id)) ? { ...p, items: p.items.map((a) => ({ ...a, triage: triages.get(a.id) ?? a.triage })) } : p)),
    },
  );
}

function after(t: Triage, c: BulkChange, version: number): Triage {
  const tags = [...new Set([...(t.tags ?? []), ...(c.add_tags ?? [])])].filter((x) => !c.remove_tags?.includes(x));
  return {
    ...t,
    version,
    ...(c.status ? { status: c.status } : {}),
    ...(c.verdict ? { verdict: c.verdict } : {}),
    ...(c.assignee === undefined ? {} : { assignee: c.assignee || null }),
    ...(c.severity ? { severity: c.severity } : {}),
    tags,
  };
}

/** Sends one request a tenant, since a write names whose it is; `multi` as in the session. */
export function useBulk(multi: boolean, done: (o: Outcome, before: Alert[], what: string) => void, failed: (e: Error) => void) {
  const queries = useQueryClient();
  return useMutation({
    scope: { id: "triage" },
    mutationFn: async ({ alerts, change }: { alerts: Alert[]; change: BulkChange; what: string }): Promise<Outcome> => {
      const by = new Map<string, Alert[]>();
      for (const a of alerts) by.set(a.tenant_id, [...(by.get(a.tenant_id) ?? []), a]);
      const out: Outcome = { changed: [], kept: [], batches: [], failed: [] };
      const now = new Map<string, Triage>();
      const known = new Map(alerts.map((a) => [a.id, a]));
      for (const [tenant, list] of by) {
        try {
          const r = await body(
            client.POST("/api/v1/alerts/bulk", {
              params: { header: { "Idempotency-Key": attempt() } },
              body: { ...change, ids: list.map((a) => a.id), ...(multi ? { tenant_id: tenant } : {}) },
            }),
          );
          if (r.batch) out.batches.push({ tenant, batch: r.batch });
          for (const i of r.items) {
            if (i.result !== "changed") {
              out.kept.push({ id: i.id, why: i.result });
              continue;
            }
            out.changed.push(i.id);
            const a = known.get(i.id);
            if (a) now.set(i.id, after(a.triage, change, i.version));
          }
        } catch (e) {
          if (by.size === 1) throw e;
          out.failed.push(`${tenant}: ${e instanceof Error ? e.message : String(e)}`);
        }
      }
      patchMany(queries, now);
      return out;
    },
    onSuccess: (o, { alerts, what }) => {
      void queries.invalidateQueries({ queryKey: ["overview"] });
      void queries.invalidateQueries({ queryKey: ["alert"] });
      void queries.invalidateQueries({ queryKey: ["alert-history"] });
      done(o, alerts, what);
    },
    onError: failed,
  });
}

/** Takes a bulk change back; rows on the screen go back to how they were. */
export function useBulkUndo(multi: boolean, done: (n: number) => void, failed: (e: Error) => void) {
  const queries = useQueryClient();
  return useMutation({
    scope: { id: "triage" },
    mutationFn: async ({ outcome, before }: { outcome: Outcome; before: Alert[] }): Promise<number> => {
      const known = new Map(before.map((a) => [a.id, a.triage]));
      const was = new Map<string, Triage>();
      let n = 0;
      for (const { tenant, batch } of outcome.batches) {
        const r = await body(
          client.POST("/api/v1/alerts/bulk", { params: { header: { "Idempotency-Key": attempt() } }, body: { undo: batch, ...(multi ? { tenant_id: tenant } : {}) } }),
        );
        for (const i of r.items) {
          const t = known.get(i.id);
          if (i.result !== "changed" || !t) continue;
          n++;
          was.set(i.id, { ...t, version: i.version });
        }
      }
      patchMany(queries, was);
      return n;
    },
    onSuccess: (n) => {
      void queries.invalidateQueries({ queryKey: ["overview"] });
      void queries.invalidateQueries({ queryKey: ["alert"] });
      void queries.invalidateQueries({ queryKey: ["alert-history"] });
      done(n);
    },
    onError: failed,
  });
}
