import { describe, expect, it } from "vitest";
import { codePointName, middle, segments, visible } from "./text";

describe("visible", () => {
  const cases: [string, string, string][] = [
    ["plain text stays", "alice@acme.example", "alice@acme.example"],
    ["markup is text like any other", "<script>x</script>", "<script>x</script>"],
    ["a bidi override cannot turn the line round", "invoice\u202efdp.exe", "invoice‹202E›fdp.exe"],
    ["bidi isolates are shown", "\u2066a\u2069", "‹2066›a‹2069›"],
    ["ANSI escapes are shown", "\u001b[31mred\u001b[0m", "‹ESC›[31mred‹ESC›[0m"],
    ["zero-width characters are shown", "ad\u200bmin", "ad‹200B›min"],
    ["line breaks cannot fake a second line", "a\r\nb", "a‹CR›‹LF›b"],
    ["NUL, DEL and C1", "\u0000\u007f\u0085", "‹NUL›‹DEL›‹0085›"],
    ["tag characters above the BMP", "\u{e0041}", "‹E0041›"],
    ["an unpaired surrogate", "a\ud800b", "a‹D800›b"],
    ["right-to-left script is left alone", "مدير", "مدير"],
    ["emoji stay whole", "🙂", "🙂"],
    ["nothing", "", ""],
  ];
  for (const [name, give, want] of cases) it(name, () => expect(visible(give)).toBe(want));

  it("loses no character: the unmarked parts and the marks together have the length of the input", () => {
    const s = "a\u202eb\u0000c🙂\u200d";
    const parts = segments(s);
    const n = parts.reduce((k, p) => k + (p.mark ? 1 : [...p.text].length), 0);
    expect(n).toBe([...s].length);
  });

  it("names what it marks", () => {
    expect(segments("\u202e")[0]?.mark).toBe("U+202E RIGHT-TO-LEFT OVERRIDE");
    expect(codePointName(0x81)).toContain("U+0081");
  });
});

describe("middle", () => {
  it("keeps both ends", () => {
    expect(middle("abcdefghijklmnop", 10)).toBe("abcdef…nop");
    expect([...middle("🙂".repeat(30), 9)].length).toBe(9);
    expect(middle("short", 10)).toBe("short");
  });
});
