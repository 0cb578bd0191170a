/* Every read the pages make: one place for keys, parameters and staleness. */
import { infiniteQueryOptions, keepPreviousData, queryOptions } from "@tanstack/react-query";
import { severities, statuses, type AlertsSearch } from "../lib/urlstate";
import type { Bounds } from "../lib/timerange";
import { answer, body, client } from "./client";
import type { Alert, EntityKind, TenantSettings } from "./types";

const tenantParam = (tenant: string | undefined): { tenant_id?: string } => (tenant ? { tenant_id: tenant } : {});

export const sessionQuery = queryOptions({
  queryKey: ["session"],
  queryFn: ({ signal }) => body(client.GET("/api/v1/session", { signal })),
  staleTime: Infinity,
  retry: false,
});

export const overviewQuery = (tenant: string | undefined) =>
  queryOptions({
    queryKey: ["overview", tenant ?? ""],
    queryFn: ({ signal }) => body(client.GET("/api/v1/overview", { params: { query: tenantParam(tenant) }, signal })),
    refetchInterval: 15_000,
  });

export const alertsQuery = (s: AlertsSearch) =>
  infiniteQueryOptions({
    queryKey: ["alerts", s],
    initialPageParam: "",
    queryFn: ({ pageParam, signal }) => {
      const sev = severities(s.severity);
      const st = statuses(s.status);
      return body(
        client.GET("/api/v1/alerts", {
          params: {
            query: {
              ...tenantParam(s.tenant),
              ...(sev.length ? { severity: sev } : {}),
              ...(st ? { status: st } : {}),
              ...(s.q ? { q: s.q } : {}),
              ...(pageParam ? { after: pageParam } : {}),
              limit: 100,
            },
          },
          signal,
        }),
      );
    },
    getNextPageParam: (p) => p.next ?? undefined,
    placeholderData: keepPreviousData,
    refetchOnWindowFocus: false, // rows do not move under the cursor: the pill says what is new
    staleTime: 60_000,
  });

export interface AlertWithTag {
  alert: Alert;
  etag: string;
}

export async function fetchAlert(id: string, signal?: AbortSignal): Promise<AlertWithTag> {
  const { data, response } = await answer(
    client.GET("/api/v1/alerts/{id}", { params: { path: { id } }, ...(signal ? { signal } : {}) }),
  );
  return { alert: data, etag: response.headers.get("ETag") ?? "" };
}

export const alertQuery = (id: string) =>
  queryOptions({ queryKey: ["alert", id], queryFn: ({ signal }) => fetchAlert(id, signal), staleTime: 5_000 });

export const alertEventsQuery = (id: string, revision: number) =>
  queryOptions({
    queryKey: ["alert-events", id, revision],
    queryFn: ({ signal }) => body(client.GET("/api/v1/alerts/{id}/events", { params: { path: { id } }, signal })),
    staleTime: 60_000,
  });

export interface AuditKey extends Bounds {
  tenant: string | undefined;
  q: string | undefined;
}

const auditParams = (k: AuditKey) => ({
  ...tenantParam(k.tenant),
  ...(k.q ? { q: k.q } : {}),
  ...(k.from ? { from: k.from } : {}),
  ...(k.to ? { to: k.to } : {}),
});

export const eventsQuery = (k: AuditKey) =>
  infiniteQueryOptions({
    queryKey: ["events", k],
    initialPageParam: "",
    queryFn: ({ pageParam, signal }) =>
      body(
        client.GET("/api/v1/audit/events", {
          params: { query: { ...auditParams(k), ...(pageParam ? { after: pageParam } : {}), limit: 200 } },
          signal,
        }),
      ),
    getNextPageParam: (p) => p.next ?? undefined,
    placeholderData: keepPreviousData,
    staleTime: 30_000,
    refetchOnWindowFocus: false,
  });

export const histogramQuery = (k: AuditKey, buckets: number) =>
  queryOptions({
    queryKey: ["histogram", k, buckets],
    queryFn: ({ signal }) => body(client.GET("/api/v1/audit/histogram", { params: { query: { ...auditParams(k), buckets } }, signal })),
    placeholderData: keepPreviousData,
    staleTime: 30_000,
    refetchOnWindowFocus: false,
  });

export const facetsQuery = (k: AuditKey, field: string, limit = 6) =>
  queryOptions({
    queryKey: ["facets", k, field, limit],
    queryFn: ({ signal }) => body(client.GET("/api/v1/audit/facets", { params: { query: { ...auditParams(k), field, limit } }, signal })),
    placeholderData: keepPreviousData,
    staleTime: 30_000,
    refetchOnWindowFocus: false,
  });

export const fieldsQuery = queryOptions({
  queryKey: ["fields"],
  queryFn: ({ signal }) => body(client.GET("/api/v1/audit/fields", { signal })),
  staleTime: Infinity,
});

/** Where the browser fetches an export by itself, streaming it to disk. */
export function exportURL(k: AuditKey, format: "csv" | "ndjson"): string {
  return `/api/v1/audit/export?${new URLSearchParams(Object.entries({ ...auditParams(k), format })).toString()}`;
}

const paged = <P extends { next: string | null }>(key: unknown[], page: (after: string, signal: AbortSignal) => Promise<P>) =>
  infiniteQueryOptions({
    queryKey: key,
    initialPageParam: "",
    queryFn: ({ pageParam, signal }) => page(pageParam, signal),
    getNextPageParam: (p: P) => p.next ?? undefined,
    staleTime: 10_000,
  });

const page = (tenant: string | undefined, after: string) => ({ ...tenantParam(tenant), ...(after ? { after } : {}), limit: 100 });

export const keysQuery = (tenant: string | undefined) =>
  paged(["keys", tenant ?? ""], (after, signal) => body(client.GET("/api/v1/keys", { params: { query: page(tenant, after) }, signal })));

export const webhooksQuery = (tenant: string | undefined) =>
  paged(["webhooks", tenant ?? ""], (after, signal) => body(client.GET("/api/v1/webhooks", { params: { query: page(tenant, after) }, signal })));

export const deliveriesQuery = (id: string) =>
  paged(["deliveries", id], (after, signal) =>
    body(client.GET("/api/v1/webhooks/{id}/deliveries", { params: { path: { id }, query: page(undefined, after) }, signal })),
  );

export const quarantineQuery = (tenant: string | undefined) =>
  paged(["quarantine", tenant ?? ""], (after, signal) => body(client.GET("/api/v1/quarantine", { params: { query: page(tenant, after) }, signal })));

export const tenantsQuery = paged(["tenants"], (after, signal) => body(client.GET("/api/v1/tenants", { params: { query: page(undefined, after) }, signal })));

export const activityQuery = (tenant: string | undefined, hours = 48) =>
  queryOptions({
    queryKey: ["activity", tenant ?? "", hours],
    queryFn: ({ signal }) => body(client.GET("/api/v1/activity", { params: { query: { ...tenantParam(tenant), hours } }, signal })),
    refetchInterval: 60_000,
    placeholderData: keepPreviousData,
  });

export const detectorsQuery = (tenant: string | undefined, days = 14) =>
  queryOptions({
    queryKey: ["detectors", tenant ?? "", days],
    queryFn: ({ signal }) => body(client.GET("/api/v1/detectors", { params: { query: { ...tenantParam(tenant), days } }, signal })),
    staleTime: 30_000,
    placeholderData: keepPreviousData,
  });

export const entitiesQuery = (tenant: string | undefined, type: EntityKind, q: string | undefined, sort: "events" | "last_seen") =>
  infiniteQueryOptions({
    queryKey: ["entities", tenant ?? "", type, q ?? "", sort],
    initialPageParam: "",
    queryFn: ({ pageParam, signal }) =>
      body(client.GET("/api/v1/entities", { params: { query: { ...tenantParam(tenant), type, ...(q ? { q } : {}), sort, ...(pageParam ? { after: pageParam } : {}), limit: 100 } }, signal })),
    getNextPageParam: (p) => p.next ?? undefined,
    placeholderData: keepPreviousData,
    staleTime: 30_000,
  });

export const entityQuery = (tenant: string | undefined, type: EntityKind, id: string) =>
  queryOptions({
    queryKey: ["entity", tenant ?? "", type, id],
    queryFn: ({ signal }) => body(client.GET("/api/v1/entities/{id}", { params: { path: { id }, query: { ...tenantParam(tenant), type } }, signal })),
    staleTime: 15_000,
  });

export const baselineQuery = (tenant: string | undefined, type: EntityKind, id: string) =>
  queryOptions({
    queryKey: ["baseline", tenant ?? "", type, id],
    queryFn: ({ signal }) => body(client.GET("/api/v1/baselines", { params: { query: { ...tenantParam(tenant), type, id } }, signal })),
    staleTime: 60_000,
  });

export const searchesQuery = (tenant: string | undefined) =>
  queryOptions({
    queryKey: ["searches", tenant ?? ""],
    queryFn: ({ signal }) => body(client.GET("/api/v1/searches", { params: { query: { ...tenantParam(tenant), limit: 200 } }, signal })),
    staleTime: 30_000,
  });

export const providersQuery = queryOptions({
  queryKey: ["providers"],
  queryFn: ({ signal }) => body(client.GET("/api/v1/session/providers", { signal })),
  staleTime: 60_000,
  retry: false,
});

export const sessionsQuery = queryOptions({
  queryKey: ["sessions"],
  queryFn: ({ signal }) => body(client.GET("/api/v1/sessions", { signal })),
  staleTime: 5_000,
});

export const usersQuery = (tenant: string | undefined) =>
  paged(["users", tenant ?? ""], (after, signal) => body(client.GET("/api/v1/users", { params: { query: page(tenant, after) }, signal })));

export const usageQuery = (tenant: string | undefined) =>
  queryOptions({
    queryKey: ["usage", tenant ?? ""],
    queryFn: ({ signal }) => body(client.GET("/api/v1/usage", { params: { query: tenantParam(tenant) }, signal })),
    staleTime: 30_000,
  });

export const exportsQuery = (tenant: string | undefined) =>
  infiniteQueryOptions({
    ...paged(["exports", tenant ?? ""], (after, signal) => body(client.GET("/api/v1/exports", { params: { query: page(tenant, after) }, signal }))),
    refetchInterval: (q) => (q.state.data?.pages.some((p) => p.items.some((j) => j.state === "queued" || j.state === "running")) ? 1500 : 30_000),
  });

export interface SettingsWithTag {
  settings: TenantSettings;
  etag: string;
}

export const settingsQuery = (tenant: string) =>
  queryOptions({
    queryKey: ["settings", tenant],
    queryFn: async ({ signal }): Promise<SettingsWithTag> => {
      const { data, response } = await answer(client.GET("/api/v1/tenants/{id}/settings", { params: { path: { id: tenant } }, signal }));
      return { settings: data, etag: response.headers.get("ETag") ?? "" };
    },
    staleTime: 10_000,
  });

export const tenantQuery = (tenant: string) =>
  queryOptions({
    queryKey: ["tenant", tenant],
    queryFn: ({ signal }) => body(client.GET("/api/v1/tenants/{id}", { params: { path: { id: tenant } }, signal })),
    staleTime: 10_000,
  });

export const backtestsQuery = (tenant: string | undefined) =>
  queryOptions({
    queryKey: ["backtests", tenant ?? ""],
    queryFn: ({ signal }) => body(client.GET("/api/v1/backtests", { params: { query: tenantParam(tenant) }, signal })),
    refetchInterval: (q) => (q.state.data?.items.some((b) => b.status === "queued" || b.status === "running") ? 1000 : false),
  });

export const backtestQuery = (tenant: string | undefined, id: string) =>
  queryOptions({
    queryKey: ["backtest", id],
    queryFn: ({ signal }) => body(client.GET("/api/v1/backtests/{id}", { params: { path: { id }, query: tenantParam(tenant) }, signal })),
    refetchInterval: (q) => (q.state.data && (q.state.data.status === "queued" || q.state.data.status === "running") ? 800 : false),
  });

export const trailQuery = (tenant: string | undefined) =>
  paged(["trail", tenant ?? ""], (after, signal) => body(client.GET("/api/v1/audit/trail", { params: { query: page(tenant, after) }, signal })));

/** A new version of the triage is a new line in the history. */
export const alertHistoryQuery = (id: string, version: number) =>
  queryOptions({
    queryKey: ["alert-history", id, version],
    queryFn: ({ signal }) => body(client.GET("/api/v1/alerts/{id}/history", { params: { path: { id } }, signal })),
    placeholderData: keepPreviousData,
    staleTime: 5_000,
  });

export const similarQuery = (tenant: string, multi: boolean, q: string) =>
  queryOptions({
    queryKey: ["similar", tenant, q],
    queryFn: ({ signal }) => body(client.GET("/api/v1/alerts", { params: { query: { ...(multi ? { tenant_id: tenant } : {}), q, limit: 50 } }, signal })),
    staleTime: 60_000,
  });

export const replayQuery = (id: string, revision: number, tenant: string | undefined) =>
  queryOptions({
    queryKey: ["replay", id, revision],
    queryFn: ({ signal }) => body(client.GET("/api/v1/alerts/{id}/replay", { params: { path: { id }, query: tenantParam(tenant) }, signal })),
    staleTime: Infinity,
    retry: false,
  });

export const suppressionsQuery = (tenant: string | undefined) =>
  paged(["suppressions", tenant ?? ""], (after, signal) => body(client.GET("/api/v1/suppressions", { params: { query: page(tenant, after) }, signal })));

export const hiddenQuery = (id: string, tenant: string | undefined) =>
  queryOptions({
    queryKey: ["suppressions", "hidden", id],
    queryFn: ({ signal }) => body(client.GET("/api/v1/suppressions/{id}/alerts", { params: { path: { id }, query: { ...tenantParam(tenant), limit: 100 } }, signal })),
    staleTime: 10_000,
  });

export const ingestAccountsQuery = (tenant: string | undefined, by: "source" | "hour") =>
  queryOptions({
    queryKey: ["accounting", tenant ?? "", by],
    queryFn: ({ signal }) => body(client.GET("/api/v1/accounting/ingest", { params: { query: { ...tenantParam(tenant), by } }, signal })),
    placeholderData: keepPreviousData,
    staleTime: 10_000,
  });

export const findingsAccountsQuery = (tenant: string | undefined) =>
  queryOptions({
    queryKey: ["accounting-findings", tenant ?? ""],
    queryFn: ({ signal }) => body(client.GET("/api/v1/accounting/findings", { params: { query: tenantParam(tenant) }, signal })),
    staleTime: 10_000,
  });

export const attemptsQuery = (id: string, seq: number) =>
  queryOptions({
    queryKey: ["attempts", id, seq],
    queryFn: ({ signal }) => body(client.GET("/api/v1/webhooks/{id}/attempts", { params: { path: { id }, query: { seq } }, signal })),
    staleTime: 2_000,
  });
