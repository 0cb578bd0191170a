/*
 * Everything a page shows is in its URL, as plain readable text: what a person
 * may also type or a webhook may link to. Unknown values are dropped, so that
 * an old link still opens.
 */
import { instant, PRESETS } from "./timerange";

export const SEVERITIES = ["critical", "high", "medium", "low", "informational"] as const;
export type Severity = (typeof SEVERITIES)[number];
export const STATUSES = ["new", "in_progress", "closed"] as const;
export type Status = (typeof STATUSES)[number];

export type Raw = Record<string, unknown>;

/** "open" (new or in progress) is what a queue is for, so it is the default and not in the URL. */
export const STATUS_FILTERS = ["open", ...STATUSES, "any"] as const;
export type StatusFilter = (typeof STATUS_FILTERS)[number];

export interface TenantSearch {
  tenant?: string;
}

export interface AlertsSearch extends TenantSearch {
  /** Severities joined by commas. */
  severity?: string;
  status?: StatusFilter;
  q?: string;
  group?: (typeof GROUP_BY)[number];
}

export const GROUP_BY = ["tenant", "entity", "technique"] as const;

export const ENTITY_KINDS = ["user", "service", "address", "device", "session", "resource", "source", "tenant"] as const;

export interface EntitiesSearch extends TenantSearch {
  type?: (typeof ENTITY_KINDS)[number];
  q?: string;
  sort?: "last_seen";
}

export interface DetectorsSearch extends TenantSearch {
  days?: number;
}

export interface AuditSearch extends TenantSearch {
  q?: string;
  range?: string;
  from?: string;
  to?: string;
  event?: string;
}

const text = (v: unknown, max = 4096): string | undefined => (typeof v === "string" && v !== "" ? v.slice(0, max) : undefined);

function oneOf<T extends string>(v: unknown, of: readonly T[]): T | undefined {
  return of.find((x) => x === v);
}

/** Leaves out what is undefined, so that equal states make equal URLs. */
export function tidy<T extends object>(o: T): T {
  return Object.fromEntries(Object.entries(o).filter(([, v]) => v !== undefined)) as T;
}

export const tenantSlug = (v: unknown): string | undefined =>
  typeof v === "string" && /^[a-z0-9][a-z0-9-]{0,62}$/.test(v) ? v : undefined;

/** The severities a comma list names, gravest first. */
export function severities(v: unknown): Severity[] {
  const named = typeof v === "string" ? v.split(",") : [];
  return SEVERITIES.filter((s) => named.includes(s));
}

/** The triage states a filter stands for; undefined for any. */
export function statuses(f: StatusFilter | undefined): Status[] | undefined {
  if (f === undefined || f === "open") return ["new", "in_progress"];
  return f === "any" ? undefined : [f];
}

export function tenantSearch(raw: Raw): TenantSearch {
  return tidy<TenantSearch>({ tenant: tenantSlug(raw.tenant) });
}

export function alertsSearch(raw: Raw): AlertsSearch {
  return tidy<AlertsSearch>({
    severity: severities(raw.severity).join(",") || undefined,
    status: raw.status === "open" ? undefined : oneOf(raw.status, STATUS_FILTERS),
    tenant: tenantSlug(raw.tenant),
    q: text(raw.q),
    group: oneOf(raw.group, GROUP_BY),
  });
}

export function entitiesSearch(raw: Raw): EntitiesSearch {
  return tidy<EntitiesSearch>({
    tenant: tenantSlug(raw.tenant),
    type: raw.type === "user" ? undefined : oneOf(raw.type, ENTITY_KINDS),
    q: text(raw.q, 256),
    sort: raw.sort === "last_seen" ? "last_seen" : undefined,
  });
}

export function detectorsSearch(raw: Raw): DetectorsSearch {
  const days = Number(raw.days);
  return tidy<DetectorsSearch>({ tenant: tenantSlug(raw.tenant), days: days >= 1 && days <= 90 && days !== 14 ? Math.floor(days) : undefined });
}

export function auditSearch(raw: Raw): AuditSearch {
  const from = instant(raw.from);
  const to = instant(raw.to);
  return tidy<AuditSearch>({
    tenant: tenantSlug(raw.tenant),
    q: text(raw.q),
    range: from || to ? undefined : oneOf(raw.range, PRESETS.map((p) => p.key)),
    from,
    to,
    event: text(raw.event, 128),
  });
}

/** URL text to a flat object; the last of repeated keys wins. */
export function parseSearch(s: string): Record<string, string> {
  return Object.fromEntries(new URLSearchParams(s));
}

/** A flat object to URL text, with ':' and '/' left readable. */
export function stringifySearch(o: Raw): string {
  const p = new URLSearchParams();
  for (const [k, v] of Object.entries(o)) if (v !== undefined && v !== null && v !== "") p.set(k, String(v));
  const s = p.toString().replaceAll("%3A", ":").replaceAll("%2F", "/").replaceAll("%40", "@").replaceAll("%2C", ",");
  return s ? `?${s}` : "";
}
