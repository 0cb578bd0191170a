import { describe, expect, it } from "vitest";
import type { Alert } from "../api/types";
import { grouped, isHead, type Head } from "./grouping";

const make = (id: string, tenant: string, entity: string, severity: Alert["severity"], technique: string[], at: string) =>
  ({ id, tenant_id: tenant, entity: { type: "user", id: entity }, severity, technique, raised_at_event_time: at }) as Alert;
const list = [
  make("1", "acme", "ann", "low", ["T1110", "T1078"], "2026-03-01T10:00:00Z"),
  make("2", "globex", "ann", "critical", ["T1078"], "2026-03-01T09:00:00Z"),
  make("3", "acme", "ann", "high", [], "2026-03-01T11:00:00Z"),
  make("4", "acme", "bob", "low", ["T1110"], "2026-03-01T08:00:00Z"),
];
const heads = (rows: ReturnType<typeof grouped>) => rows.filter(isHead) as Head[];

describe("groups of alerts", () => {
  it("hold every alert once, whatever they are grouped by", () => {
    for (const by of ["tenant", "entity", "technique"] as const) {
      const ids = heads(grouped(list, by, new Set())).flatMap((h) => h.alerts.map((a) => a.id));
      expect(ids.sort()).toEqual(["1", "2", "3", "4"]);
    }
  });
  it("put the gravest first and say the gravest severity and the newest time", () => {
    const h = heads(grouped(list, "tenant", new Set()));
    expect(h.map((x) => [x.name, x.worst, x.alerts.length])).toEqual([
      ["globex", "critical", 1],
      ["acme", "high", 3],
    ]);
    expect(h[1]?.newest).toBe("2026-03-01T11:00:00Z");
  });
  it("never join two tenants' entities of one name", () => expect(heads(grouped(list, "entity", new Set())).map((x) => x.tenant + x.name).sort()).toEqual(["acmeann", "acmebob", "globexann"]));
  it("show the alerts of an open group below its head, in their order", () => {
    const rows = grouped(list, "tenant", new Set(["g tenant acme"]));
    expect(rows.map((r) => (isHead(r) ? r.key : r.id))).toEqual(["g tenant globex", "g tenant acme", "1", "3", "4"]);
  });
});
