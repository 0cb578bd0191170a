import { describe, expect, it } from "vitest";
import { auditOf, dayOf, entityTerm, eventLink } from "./investigate";
import { bounds, fromInput, instant, toInput } from "./timerange";

const alert = { tenant_id: "acme", entity: { type: "user", id: 'a "b"' }, first_seen: "2026-03-01T10:00:00Z", last_seen: "2026-03-01T11:00:00Z" };

describe("from an alert to its search", () => {
  it("names the entity and leaves a margin", () =>
    expect(auditOf(alert, true)).toEqual({ tenant: "acme", q: 'actor:"a \\"b\\""', from: "2026-03-01T09:45:00.000Z", to: "2026-03-01T11:15:00.000Z" }));
  it("a tenant's own user gives no tenant", () => expect(auditOf(alert, false)).not.toHaveProperty("tenant"));
  it("a single moment has five minutes around it, a long time six hours", () => {
    expect(auditOf({ ...alert, last_seen: alert.first_seen }, false)).toMatchObject({ from: "2026-03-01T09:55:00.000Z", to: "2026-03-01T10:05:00.000Z" });
    expect(auditOf({ ...alert, last_seen: "2026-03-09T10:00:00Z" }, false)).toMatchObject({ from: "2026-03-01T04:00:00.000Z" });
  });
  it("a whole tenant needs no term", () => expect(entityTerm({ type: "tenant", id: "acme" })).toBeUndefined());
  it("the day of the latest event holds that event", () =>
    expect(dayOf("2026-03-01T10:00:30.5Z")).toEqual({ from: "2026-02-28T10:01:00.000Z", to: "2026-03-01T10:01:00.000Z" }));
  it("the permalink of an event finds it again", () =>
    expect(eventLink({ tenant_id: "acme", id: "x y", time: "2026-03-01T10:00:00.5Z" }, false)).toEqual({ q: 'id:"x y"', from: "2026-03-01T09:59:00.500Z", to: "2026-03-01T10:01:00.500Z", event: "x y" }));
});

describe("ranges", () => {
  const now = Date.parse("2026-03-01T12:00:00Z");
  it("presets", () => {
    expect(bounds({}, now)).toEqual({ from: "2026-02-28T12:00:00.000Z" });
    expect(bounds({ range: "all" }, now)).toEqual({});
    expect(bounds({ range: "1h", from: "2020-01-01T00:00:00Z" }, now)).toEqual({ from: "2020-01-01T00:00:00Z" });
  });
  it("inputs are read in the zone shown", () => {
    expect(fromInput("2026-03-01T10:00", "utc")).toBe("2026-03-01T10:00:00.000Z");
    expect(toInput("2026-03-01T10:00:00.000Z", "utc")).toBe("2026-03-01T10:00:00");
    for (const zone of ["utc", "local"] as const) expect(fromInput(toInput("2026-03-01T10:00:07.000Z", zone), zone)).toBe("2026-03-01T10:00:07.000Z");
    expect(fromInput("", "utc")).toBeUndefined();
  });
  it("instants", () => {
    expect(instant("2026-03-01")).toBe("2026-03-01T00:00:00.000Z");
    expect(instant("soon")).toBeUndefined();
  });
});
