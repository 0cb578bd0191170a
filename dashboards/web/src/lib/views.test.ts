import { describe, expect, it } from "vitest";
import { parseViews, sameView } from "./views";

describe("saved views", () => {
  it("what is stored is read again", () => expect(parseViews(JSON.stringify([{ name: "Mine", search: { severity: "high", group: "entity" } }]))).toEqual([{ name: "Mine", search: { severity: "high", group: "entity" } }]));
  it("broken and unknown content is left out", () => {
    for (const bad of [null, "", "{", "5", "null", '[1,null,{"name":""},{"name":"x"}]']) expect(parseViews(bad)).toEqual([]);
    expect(parseViews('[{"name":"x","search":{"status":"lost","evil":"<script>"}}]')).toEqual([{ name: "x", search: {} }]);
  });
  it("the tenant is no part of a view", () => {
    expect(sameView({ severity: "high", tenant: "acme" }, { severity: "high" })).toBe(true);
    expect(sameView({ severity: "high" }, { severity: "low" })).toBe(false);
    expect(sameView({ group: "entity" }, {})).toBe(false);
  });
});
