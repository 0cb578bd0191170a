/* Alerts gathered under what they share, the gravest group first. */
import type { Alert } from "../api/types";
import { SEVERITIES, type GROUP_BY, type Severity } from "./urlstate";

export type Grouping = (typeof GROUP_BY)[number];

export interface Head {
  head: true;
  key: string;
  by: Grouping;
  /** What they share: a tenant, an entity's id, a technique; empty for none. */
  name: string;
  entity?: Alert["entity"];
  tenant: string;
  alerts: Alert[];
  worst: Severity;
  /** When the newest was raised. */
  newest: string;
  open: boolean;
}

export type QueueRow = Alert | Head;
export const isHead = (r: QueueRow): r is Head => "head" in r;

const rank = (s: Severity): number => SEVERITIES.indexOf(s);

function keyOf(a: Alert, by: Grouping): string {
  if (by === "tenant") return a.tenant_id;
  if (by === "entity") return `${a.tenant_id} ${a.entity.type} ${a.entity.id}`;
  return a.technique[0] ?? "";
}

/**
 * The rows of a grouped queue: each group's head, with its alerts in their
 * order when it is open. Every alert is in exactly one group; a technique's
 * group is that of the first technique an alert names.
 */
export function grouped(alerts: Alert[], by: Grouping, openGroups: ReadonlySet<string>): QueueRow[] {
  const groups = new Map<string, Head>();
  for (const a of alerts) {
    const k = `g ${by} ${keyOf(a, by)}`;
    const g = groups.get(k);
    if (!g) {
      const name = by === "tenant" ? a.tenant_id : by === "entity" ? a.entity.id : (a.technique[0] ?? "");
      groups.set(k, { head: true, key: k, by, name, ...(by === "entity" ? { entity: a.entity } : {}), tenant: a.tenant_id, alerts: [a], worst: a.severity, newest: a.raised_at_event_time, open: openGroups.has(k) });
      continue;
    }
    g.alerts.push(a);
    if (rank(a.severity) < rank(g.worst)) g.worst = a.severity;
    if (Date.parse(a.raised_at_event_time) > Date.parse(g.newest)) g.newest = a.raised_at_event_time;
  }
  const heads = [...groups.values()].sort((x, y) => rank(x.worst) - rank(y.worst) || y.alerts.length - x.alerts.length || x.key.localeCompare(y.key));
  return heads.flatMap((g) => (g.open ? [g, ...g.alerts] : [g]));
}
