import { describe, expect, it } from "vitest";
import { addsUp, milliText, shares, tenthsText, toMilli } from "./contrib";

describe("shares", () => {
  it("the shown tenths add up to the shown score, for many random splits", () => {
    let seed = 7;
    const rnd = () => (seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0) / 2 ** 32;
    for (let k = 0; k < 2000; k++) {
      const score = Math.floor(rnd() * 100_001);
      const n = 1 + Math.floor(rnd() * 7);
      let left = score;
      const parts = Array.from({ length: n }, (_, i) => {
        const milli = i === n - 1 ? left : Math.floor(rnd() * (left + 1));
        left -= milli;
        return { name: `d${i}`, milli };
      });
      expect(addsUp(parts, score)).toBe(true);
      const out = shares(parts, score);
      expect(out.reduce((s, p) => s + p.tenths, 0)).toBe(Math.round(score / 100));
      for (const p of out) expect(Math.abs(p.tenths * 100 - p.milli)).toBeLessThan(100);
      if (score > 0) expect(out.reduce((s, p) => s + p.width, 0)).toBeCloseTo(100, 6);
    }
  });

  it("rounding each alone would not add up, sharing does", () => {
    const parts = [
      { name: "a", milli: 33_350 },
      { name: "b", milli: 33_350 },
      { name: "c", milli: 20_800 },
    ];
    expect(shares(parts, 87_500).map((p) => tenthsText(p.tenths))).toEqual(["33.4", "33.3", "20.8"]);
  });

  it("puts the greatest first and keeps a part of nothing", () => {
    expect(shares([{ name: "a", milli: 0 }, { name: "b", milli: 5000 }], 5000).map((p) => [p.name, p.width])).toEqual([["b", 100], ["a", 0]]);
    expect(shares([], 0)).toEqual([]);
  });

  it("notices a sum that is off by a thousandth", () => expect(addsUp([{ name: "a", milli: 999 }], 1000)).toBe(false));
  it("reads scores exactly", () => {
    expect(toMilli(87.125)).toBe(87_125);
    expect(toMilli(0.1 + 0.2)).toBe(300);
    expect(milliText(87_125)).toBe("87.125");
  });
});
