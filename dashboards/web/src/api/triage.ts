/* Saying what became of an alert: at once on the screen, and never over somebody else's word. */
import { useMutation, useQueryClient, type InfiniteData, type QueryClient } from "@tanstack/react-query";
import { answer, client } from "./client";
import { asApiError } from "./problem";
import { alertQuery, fetchAlert, type AlertWithTag } from "./queries";
import type { Alert, AlertPage, TriagePatch } from "./types";

/** Puts an alert into every list that already shows it, where it stands. */
export function patchLists(queries: QueryClient, alert: Alert): void {
  queries.setQueriesData<InfiniteData<AlertPage>>({ queryKey: ["alerts"] }, (old) =>
    old && {
      ...old,
      pages: old.pages.map((p) => (p.items.some((a) => a.id === alert.id) ? { ...p, items: p.items.map((a) => (a.id === alert.id ? alert : a)) } : p)),
    },
  );
}

/** Which tag one's own change made of which; by alert and tag. */
const renewed = new Map<string, string>();

export interface Change {
  id: string;
  /** The alert's tenant, for a role with several: a write names whose it is. */
  tenant: string | undefined;
  patch: Omit<TriagePatch, "tenant_id">;
  /** The tag of what the person saw; the newest is fetched when it is not known. */
  seen?: AlertWithTag | undefined;
}

interface Hooks {
  done?: (a: Alert, c: Change) => void;
  /** Somebody else was quicker; `now` is how the alert stands. */
  conflict?: (now: AlertWithTag, c: Change) => void;
  failed?: (e: Error, c: Change) => void;
}

export function useTriage({ done, conflict, failed }: Hooks) {
  const queries = useQueryClient();
  return useMutation({
    scope: { id: "triage" }, // one after the other
    mutationFn: async ({ id, tenant, patch, seen }: Change): Promise<AlertWithTag> => {
      let etag = seen?.etag || (await fetchAlert(id)).etag;
      // Two quick changes of one's own are no conflict: the second was made on top of the first.
      for (let next = renewed.get(`${id} ${etag}`); next; next = renewed.get(`${id} ${etag}`)) etag = next;
      const { data, response } = await answer(
        client.PATCH("/api/v1/alerts/{id}/triage", {
          params: { path: { id }, header: { "If-Match": etag } },
          body: { ...patch, ...(tenant ? { tenant_id: tenant } : {}) },
        }),
      );
      const now = response.headers.get("ETag") ?? "";
      if (now && now !== etag) renewed.set(`${id} ${etag}`, now);
      return { alert: data, etag: now };
    },
    onMutate: async ({ id, patch }) => {
      const key = alertQuery(id).queryKey;
      await queries.cancelQueries({ queryKey: key });
      const before = queries.getQueryData(key);
      if (before) {
        const alert = { ...before.alert, triage: { ...before.alert.triage, ...patch } };
        queries.setQueryData(key, { ...before, alert });
        patchLists(queries, alert);
      }
      return { before };
    },
    onSuccess: (now, change) => {
      const old = queries.getQueryData(alertQuery(change.id).queryKey);
      const alert = now.alert.plots || !old?.alert.plots ? now.alert : { ...now.alert, plots: old.alert.plots };
      queries.setQueryData(alertQuery(change.id).queryKey, { alert, etag: now.etag });
      patchLists(queries, alert);
      void queries.invalidateQueries({ queryKey: ["overview"] });
      done?.(alert, change);
    },
    onError: async (e, change, kept) => {
      if (kept?.before) {
        queries.setQueryData(alertQuery(change.id).queryKey, kept.before);
        patchLists(queries, kept.before.alert);
      }
      if (asApiError(e).status === 412 && conflict) {
        try {
          const now = await fetchAlert(change.id);
          queries.setQueryData(alertQuery(change.id).queryKey, now);
          patchLists(queries, now.alert);
          conflict(now, change);
          return;
        } catch {
          /* the way it stands now cannot be read either: report the first error */
        }
      }
      failed?.(e, change);
    },
  });
}
