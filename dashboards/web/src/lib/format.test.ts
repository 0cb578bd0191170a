import { describe, expect, it } from "vitest";
import { amount, between, bytes, compact, count, full, odds, plural, pValue, quantity, relative, span, stamp } from "./format";

const NOW = Date.parse("2026-03-01T12:00:00Z");
const ago = (ms: number) => relative(new Date(NOW - ms).toISOString(), NOW, "utc");

describe("numbers", () => {
  it("counts", () => {
    expect(count(1234567)).toBe("1,234,567");
    expect(count(NaN)).toBe("–");
    expect(plural(1, "event")).toBe("1 event");
    expect(plural(2000, "event")).toBe("2,000 events");
    expect(plural(0, "entry", "entries")).toBe("0 entries");
  });
  it("compact is exact below 10,000", () => {
    expect(compact(9999)).toBe("9,999");
    expect(compact(12_345)).toBe("12.3k");
    expect(compact(4_200_000)).toBe("4.2M");
    expect(compact(3_100_000_000)).toBe("3.1bn");
  });
  it("quantities have three digits", () => {
    expect(quantity(4.23456)).toBe("4.23");
    expect(quantity(0.04)).toBe("0.04");
    expect(quantity(0.00001)).toBe("<0.001");
    expect(quantity(48_123.4)).toBe("48,123");
    expect(quantity(-3)).toBe("−3");
    expect(quantity(0)).toBe("0");
  });
  it("probabilities", () => {
    expect(pValue(3.1e-9)).toBe("3.1 × 10⁻⁹");
    expect(pValue(1e-12)).toBe("1 × 10⁻¹²");
    expect(pValue(0.034)).toBe("0.034");
    expect(pValue(0)).toBe("< 10⁻³⁰⁰");
    expect(pValue(2)).toBe("–");
    expect(odds(1 / 320e6)).toBe("1 in 320 million");
    expect(odds(3.6e-4)).toBe("1 in 2,800");
    expect(odds(0.5)).toBe("1 in 2");
    expect(odds(1e-20)).toBe("1 in 10²⁰");
    expect(odds(0)).toContain("less than");
  });
  it("sizes and spans", () => {
    expect(bytes(0)).toBe("0 B");
    expect(bytes(1536)).toBe("1.5 KiB");
    expect(bytes(5 * 2 ** 30)).toBe("5 GiB");
    expect(span(840)).toBe("840 ms");
    expect(span(52 * 60_000)).toBe("52 min");
    expect(span(5 * 3_600_000)).toBe("5 h");
    expect(span(5 * 86_400_000)).toBe("5 d");
  });
});

describe("times", () => {
  it("relative", () => {
    expect(ago(0)).toBe("now");
    expect(ago(44_000)).toBe("44 s ago");
    expect(ago(47 * 60_000)).toBe("47 min ago");
    expect(ago(23 * 3_600_000)).toBe("23 h ago");
    expect(ago(29 * 86_400_000)).toBe("29 d ago");
    expect(ago(400 * 86_400_000)).toBe("25 Jan 2025"); // 2026-03-01 less 400 days
    expect(ago(-7_200_000)).toBe("in 2 h");
    expect(relative("nonsense", NOW, "utc")).toBe("–");
  });
  it("absolute, with nanoseconds in the input", () => {
    expect(stamp("2026-03-01T09:15:02.123456789Z", "utc")).toBe("2026-03-01 09:15:02");
    expect(full("2026-03-01T09:15:02.123456789Z", "utc")).toBe("2026-03-01 09:15:02.123 UTC");
  });
  it("a range repeats no date", () => {
    expect(between("2026-03-01T09:00:00Z", "2026-03-01T09:15:02Z", "utc")).toBe("2026-03-01 09:00:00 – 09:15:02");
    expect(between("2026-03-01T23:00:00Z", "2026-03-02T01:00:00Z", "utc")).toBe("2026-03-01 23:00:00 – 2026-03-02 01:00:00");
    expect(between("2026-03-01T09:00:00Z", "2026-03-01T09:00:00Z", "utc")).toBe("2026-03-01 09:00:00");
  });
});

describe("amounts with units", () => {
  it("bytes are written as in the sentences", () => {
    expect(amount(191_707_321, "bytes out in 1 h")).toBe("192 MB out in 1 h");
    expect(amount(42_799, "bytes")).toBe("42.8 kB");
    expect(amount(12, "bytes out")).toBe("12 B out");
    expect(amount(999_700, "bytes")).toBe("1 MB");
  });
  it("anything else keeps its unit", () => expect(amount(0.462, "first-time values in 1 h")).toBe("0.462 first-time values in 1 h"));
});
