import { describe, expect, it } from "vitest";
import { alertsSearch, auditSearch, parseSearch, severities, statuses, stringifySearch, tenantSlug } from "./urlstate";

describe("the URL", () => {
  it("round trip of hostile text", () => {
    for (const q of ['actor:alice@* "free & text"', "a=b&c=d#e?f", "\u202e<script>", "100% +1", "true", "123", "null", '{"a":1}']) {
      const s = { ...auditSearch({ q, tenant: "acme", range: "7d" }) };
      expect(auditSearch(parseSearch(stringifySearch(s).slice(1)))).toEqual(s);
    }
  });
  it("is readable", () => expect(stringifySearch({ q: "actor:alice@acme path:/a", x: undefined, y: "" })).toBe("?q=actor:alice@acme+path:/a"));
  it("unknown values are dropped, so that an old link still opens", () => {
    expect(alertsSearch({ severity: "critical,apocalyptic", status: "lost", tenant: "../etc", q: 5, x: 1 })).toEqual({ severity: "critical" });
    expect(auditSearch({ range: "1y", from: "yesterday", event: "" })).toEqual({});
  });
  it("severities are in order of gravity, each once", () => expect(severities("low,critical,low")).toEqual(["critical", "low"]));
  it("open is the default and not in the URL", () => {
    expect(alertsSearch({ status: "open" })).toEqual({});
    expect(statuses(undefined)).toEqual(["new", "in_progress"]);
    expect(statuses("any")).toBeUndefined();
    expect(statuses("closed")).toEqual(["closed"]);
  });
  it("an absolute range wins over a preset", () =>
    expect(auditSearch({ range: "7d", from: "2026-03-01T00:00:00Z" })).toEqual({ from: "2026-03-01T00:00:00.000Z" }));
  it("slugs", () => {
    expect(tenantSlug("acme-2")).toBe("acme-2");
    for (const bad of ["", "-a", "Acme", "a b", "a".repeat(64), 5, null]) expect(tenantSlug(bad)).toBeUndefined();
  });
});
