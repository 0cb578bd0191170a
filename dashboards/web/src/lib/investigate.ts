/* From an alert to the search that shows what it is about. */
import { term } from "./querylang";
import type { AuditSearch } from "./urlstate";

interface Subject {
  tenant_id: string;
  entity: { type: string; id: string };
  first_seen: string;
  last_seen: string;
}

const FIELD: Record<string, string | undefined> = {
  user: "actor",
  service: "actor",
  address: "src_ip",
  device: "device",
  session: "session",
  resource: "resource",
  source: "source",
};

/** The query for everything one entity did; none for a whole tenant. */
export function entityTerm(e: { type: string; id: string }): string | undefined {
  const f = FIELD[e.type];
  return f ? term(f, e.id) : undefined;
}

/** The audit search around an alert: its entity, and a margin of a quarter of its length (5 min to 6 h) on both sides. */
export function auditOf(a: Subject, multi: boolean, entity = a.entity): AuditSearch {
  const first = Date.parse(a.first_seen);
  const last = Date.parse(a.last_seen);
  const margin = Math.min(Math.max((last - first) / 4, 5 * 60_000), 6 * 3_600_000);
  const q = entityTerm(entity);
  return {
    ...(multi ? { tenant: a.tenant_id } : {}),
    ...(q ? { q } : {}),
    from: new Date(first - margin).toISOString(),
    to: new Date(last + margin).toISOString(),
  };
}

/** The 24 hours of event time that end with the latest event: what the overview counts. */
export function dayOf(latest: string): { from: string; to: string } {
  const end = Math.ceil((Date.parse(latest) + 1) / 60_000) * 60_000; // to the minute, so that it does not change with every event
  return { from: new Date(end - 86_400_000).toISOString(), to: new Date(end).toISOString() };
}

/** The permalink of one event: its id within a minute around its time. */
export function eventLink(e: { tenant_id: string; id: string; time: string }, multi: boolean): AuditSearch {
  const t = Date.parse(e.time);
  return {
    ...(multi ? { tenant: e.tenant_id } : {}),
    q: term("id", e.id),
    from: new Date(t - 60_000).toISOString(),
    to: new Date(t + 60_000).toISOString(),
    event: e.id,
  };
}
