/* Time ranges as they stand in the URL: a preset (`range=24h`) or two instants. */

export interface Preset {
  key: string;
  label: string;
  ms: number | null; // null: no bound
}

export const PRESETS: Preset[] = [
  { key: "15m", label: "Last 15 minutes", ms: 15 * 60_000 },
  { key: "1h", label: "Last hour", ms: 3_600_000 },
  { key: "6h", label: "Last 6 hours", ms: 6 * 3_600_000 },
  { key: "24h", label: "Last 24 hours", ms: 86_400_000 },
  { key: "7d", label: "Last 7 days", ms: 7 * 86_400_000 },
  { key: "30d", label: "Last 30 days", ms: 30 * 86_400_000 },
  { key: "90d", label: "Last 90 days", ms: 90 * 86_400_000 },
  { key: "all", label: "All time", ms: null },
];

export const DEFAULT_RANGE = "24h";

export interface RangeState {
  range?: string;
  from?: string;
  to?: string;
}

export interface Bounds {
  from?: string;
  to?: string;
}

/** The instants a range stands for; an absolute range wins over a preset. */
export function bounds(r: RangeState, now: number): Bounds {
  if (r.from || r.to) return { ...(r.from ? { from: r.from } : {}), ...(r.to ? { to: r.to } : {}) };
  const p = PRESETS.find((x) => x.key === (r.range ?? DEFAULT_RANGE));
  if (!p || p.ms === null) return {};
  return { from: new Date(now - p.ms).toISOString() };
}

/** Reads an instant out of the URL: RFC 3339, or what Date understands; undefined when it is none. */
export function instant(s: unknown): string | undefined {
  if (typeof s !== "string" || s === "") return undefined;
  const t = Date.parse(s);
  return Number.isNaN(t) ? undefined : new Date(t).toISOString();
}

/** The value of an <input type="datetime-local"> read in the chosen zone. */
export function fromInput(v: string, zone: "utc" | "local"): string | undefined {
  if (!v) return undefined;
  const t = Date.parse(zone === "utc" ? `${v}Z` : v);
  return Number.isNaN(t) ? undefined : new Date(t).toISOString();
}

/** The inverse of fromInput, to the second. */
export function toInput(iso: string | undefined, zone: "utc" | "local"): string {
  if (!iso) return "";
  const d = new Date(iso);
  if (Number.isNaN(d.getTime())) return "";
  const shifted = zone === "utc" ? d : new Date(d.getTime() - d.getTimezoneOffset() * 60_000);
  return shifted.toISOString().slice(0, 19);
}
