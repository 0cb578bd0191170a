import { describe, expect, it } from "vitest";
import { firstTimeTerm, novelty, sentences, withRelated } from "./novelty";

const svc =
  "Service account svc-billing@globex.example used country VN, client curl, network AS45899 and 3 more for the first time in 23:00–00:00 UTC on 23 November 2026; the countries seen before: US (about 11 observations). A new country has a chance of 7.7 % for it, and one this rare among its peers of 1 in 5,145.";

describe("what was seen for the first time", () => {
  it("is named, counted, and compared", () =>
    expect(novelty(svc)).toEqual({
      items: [
        { kind: "country", value: "VN" },
        { kind: "client", value: "curl" },
        { kind: "network", value: "AS45899" },
      ],
      more: 3,
      window: "23:00–00:00 UTC on 23 November 2026",
      before: { kinds: "countries", values: ["US"], observations: "11" },
      own: "7.7 %",
      peers: "1 in 5,145",
    }));
  it("is found in the second sentence, too, and before a closing one", () => {
    expect(novelty(`x failed 3 sign-ins. Also: ${svc} In all 7 events of this kind between 23 November 05:30 and 23 November 12:41 UTC.`)?.items).toHaveLength(3);
    expect(sentences(`a. Also: b. Also: c.`)).toEqual(["a.", "b.", "c."]);
  });
  it("with nothing known before", () =>
    expect(novelty("u used action ssh.negotiate_failed and address range 116.7.243.0/24 for the first time in 17:00–18:00 UTC on 28 March 2017; no action was known of it before. A new action has a chance of 100 % for it, and one this rare among its peers of 0.18 %.")).toMatchObject({
      items: [
        { kind: "action", value: "ssh.negotiate_failed" },
        { kind: "address range", value: "116.7.243.0/24" },
      ],
      more: 0,
      before: { kinds: "action", values: [], observations: "" },
    }));
  it("keeps commas and spaces of a value", () =>
    expect(novelty(svc.replace("client curl", "client Chrome on Android, resource a, b and c"))?.items).toContainEqual({ kind: "resource", value: "a, b and c" }));
  it("anything else is none", () => {
    expect(novelty("47.207.219.153 failed 64 sign-ins as 1 account.")).toBeUndefined();
    expect(novelty("")).toBeUndefined();
  });
  it("names the resources the alert knows", () => {
    const n = novelty(svc);
    const w = n && withRelated(n, [{ type: "address", id: "10.0.0.1" }, { type: "resource", id: "file/1" }]);
    expect(w?.more).toBe(2);
    expect(w?.items.at(-1)).toEqual({ kind: "resource", value: "file/1" });
  });
  it("is searched for by its field", () => {
    expect(firstTimeTerm({ kind: "network", value: "AS45899" })).toBe("asn:45899");
    expect(firstTimeTerm({ kind: "country", value: "VN" })).toBe("country:VN");
    expect(firstTimeTerm({ kind: "address range", value: "74.23.224.0/24" })).toBe("src_ip:74.23.224.*");
    expect(firstTimeTerm({ kind: "address range", value: "2001:db8::/48" })).toBeUndefined();
    expect(firstTimeTerm({ kind: "client", value: "curl" })).toBeUndefined();
  });
});
