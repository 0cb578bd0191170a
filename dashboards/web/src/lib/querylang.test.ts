import { describe, expect, it } from "vitest";
import { complete, cursorAt, holds, markAt, quote, term, toggle, tokens } from "./querylang";

const at = (marked: string) => {
  const caret = marked.indexOf("|");
  return cursorAt(marked.replace("|", ""), caret);
};

describe("tokens", () => {
  it("splits at spaces and parentheses outside quotes", () =>
    expect(tokens('a:"b c" (x OR -y:"\\" )")').map((t) => t.text)).toEqual(['a:"b c"', "x", "OR", '-y:"\\" )"']));
  it("an open quote runs to the end", () => expect(tokens('a:"b c').map((t) => t.text)).toEqual(['a:"b c']));
});

describe("the caret", () => {
  it("at nothing, a field", () => expect(at("|")).toMatchObject({ kind: "field", prefix: "" }));
  it("in a word, a field with that prefix", () => expect(at("outcome:failure act|")).toMatchObject({ kind: "field", prefix: "act", start: 16, end: 19 }));
  it("after a minus", () => expect(at("-cou|")).toMatchObject({ kind: "field", prefix: "cou", start: 1 }));
  it("after the colon, a value", () => expect(at("actor:al|")).toMatchObject({ kind: "value", field: "actor", prefix: "al", start: 6, end: 8 }));
  it("inside a quoted value", () => expect(at('actor:"al ic|')).toMatchObject({ kind: "value", field: "actor", prefix: "al ic" }));
  it("a label's value", () => expect(at("label.team:b|")).toMatchObject({ kind: "value", field: "label.team", prefix: "b" }));
});

describe("terms", () => {
  it("quotes what could be read as something else", () => {
    expect(quote("alice@acme.example")).toBe("alice@acme.example");
    for (const v of ["a b", "a*", "OR", "not", "-x", 'say "hi"', "a:b", "(x)", "<1", "\u202ex"]) expect(quote(v)).toMatch(/^".*"$/s);
    expect(quote('a"b\\c')).toBe('"a\\"b\\\\c"');
  });
  it("the empty value is the absence of the field", () => {
    expect(term("country", "")).toBe("-country:*");
    expect(term("country", "", true)).toBe("country:*");
  });
  it("toggles on, off and round", () => {
    expect(toggle("", "outcome", "failure")).toBe("outcome:failure");
    expect(toggle("actor:a", "outcome", "failure")).toBe("actor:a outcome:failure");
    expect(toggle("actor:a outcome:failure x", "outcome", "failure")).toBe("actor:a x");
    expect(toggle("outcome:failure", "outcome", "failure", true)).toBe("-outcome:failure");
  });
  it("narrowing an OR keeps its meaning", () => expect(toggle("a OR b", "outcome", "failure")).toBe("(a OR b) outcome:failure"));
  it("finds whole terms only", () => {
    expect(holds("actor:alice2", "actor:alice")).toBe(false);
    expect(holds("x actor:alice", "actor:alice")).toBe(true);
  });
  it("completes in place", () => {
    expect(complete("act", cursorAt("act", 3), "actor:")).toEqual({ q: "actor:", caret: 6 });
    expect(complete("actor:al", cursorAt("actor:al", 8), "alice b")).toEqual({ q: 'actor:"alice b" ', caret: 16 });
  });
});

describe("the place of an error", () => {
  it("marks the word at a column counted in characters", () => {
    expect(markAt("outcome:failure actr:x", 17)).toEqual({ before: "outcome:failure ", at: "actr", after: ":x" });
    expect(markAt("🙂 actr:x", 3)).toEqual({ before: "🙂 ", at: "actr", after: ":x" });
  });
  it("the end of the query", () => expect(markAt("actor:", 7)).toEqual({ before: "actor:", at: "", after: "" }));
});
