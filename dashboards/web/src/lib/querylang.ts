/*
 * What the page needs to know of the audit query language: where the caret is,
 * for completion, and how to write a term. The language itself is read by the
 * server alone, so that there is one grammar.
 */

export interface Cursor {
  /** Completing a field's name, or a value of a known field. */
  kind: "field" | "value";
  field: string;
  /** What was typed so far, without quotes. */
  prefix: string;
  /** The part of the query that a completion replaces. */
  start: number;
  end: number;
}

interface Token {
  text: string;
  start: number;
  end: number;
}

/** Splits at spaces and parentheses outside quotes. */
export function tokens(q: string): Token[] {
  const out: Token[] = [];
  let start = -1;
  let quoted = false;
  for (let i = 0; i <= q.length; i++) {
    const c = q[i];
    if (quoted && c === "\\") {
      i++;
      continue;
    }
    if (c === '"') quoted = !quoted;
    const stop = c === undefined || (!quoted && (c === " " || c === "\t" || c === "(" || c === ")"));
    if (stop) {
      if (start >= 0) out.push({ text: q.slice(start, Math.min(i, q.length)), start, end: Math.min(i, q.length) });
      start = -1;
    } else if (start < 0) start = i;
  }
  return out;
}

const TERM = /^(-?)([a-z_][\w.]*)(:|!=|>=|<=|>|<|=)(.*)$/is;

/** What is being completed at the caret. */
export function cursorAt(q: string, caret: number): Cursor {
  const t = tokens(q).find((x) => x.start <= caret && caret <= x.end);
  if (!t) return { kind: "field", field: "", prefix: "", start: caret, end: caret };
  const m = TERM.exec(t.text);
  if (m) {
    const head = (m[1] ?? "").length + (m[2] ?? "").length + (m[3] ?? "").length;
    if (caret >= t.start + head) {
      return { kind: "value", field: m[2] ?? "", prefix: (m[4] ?? "").replace(/^"/, "").replace(/"$/, ""), start: t.start + head, end: t.end };
    }
    const minus = (m[1] ?? "").length;
    return { kind: "field", field: "", prefix: q.slice(t.start + minus, caret), start: t.start + minus, end: t.start + minus + (m[2] ?? "").length };
  }
  const minus = t.text.startsWith("-") ? 1 : 0;
  return { kind: "field", field: "", prefix: t.text.slice(minus), start: t.start + minus, end: t.end };
}

/** A value as the language reads it back: quoted whenever it could be taken for anything else. */
export function quote(v: string): string {
  return /^[\p{L}\p{N}_@./+-]+$/u.test(v) && !/^(and|or|not)$/i.test(v) && !v.startsWith("-")
    ? v
    : `"${v.replaceAll("\\", "\\\\").replaceAll('"', '\\"')}"`;
}

/** The term for one value; the empty value is "the field is not there", which the language writes as -field:*. */
export function term(field: string, value: string, negate = false): string {
  if (value === "") return `${negate ? "" : "-"}${field}:*`;
  return `${negate ? "-" : ""}${field}:${quote(value)}`;
}

/** Whether the query already holds the term, as it is or negated. */
export function holds(q: string, t: string): boolean {
  return tokens(q).some((x) => x.text === t);
}

/** Adds a term, or takes it away when it is there; its negation is replaced. */
export function toggle(q: string, field: string, value: string, negate = false): string {
  const want = term(field, value, negate);
  const other = term(field, value, !negate);
  const has = holds(q, want);
  let out = "";
  let at = 0;
  for (const t of tokens(q)) {
    if (t.text === want || t.text === other) {
      out += q.slice(at, t.start);
      at = t.end;
    }
  }
  out = (out + q.slice(at)).replace(/\s{2,}/g, " ").trim();
  if (has) return out;
  // A bare OR binds weaker than AND: parenthesise it before narrowing.
  if (tokens(out).some((t) => /^or$/i.test(t.text)) && !/^\(.*\)$/s.test(out)) out = `(${out})`;
  return out ? `${out} ${want}` : want;
}

/** Puts a completion in place; returns the new query and where the caret goes. */
export function complete(q: string, c: Cursor, choice: string): { q: string; caret: number } {
  const before = q.slice(0, c.start);
  const after = q.slice(c.end);
  const text = c.kind === "value" ? `${quote(choice)}${after === "" ? " " : ""}` : choice;
  return { q: before + text + after, caret: before.length + text.length };
}

/** Splits a query at the column (1-based, in characters) an error names. */
export function markAt(q: string, column: number): { before: string; at: string; after: string } {
  const chars = [...q];
  const i = Math.min(Math.max(column - 1, 0), chars.length);
  let end = i;
  while (end < chars.length && !/[\s:<>=()]/.test(chars[end] ?? "")) end++;
  if (end === i) end = Math.min(i + 1, chars.length);
  return { before: chars.slice(0, i).join(""), at: chars.slice(i, end).join(""), after: chars.slice(end).join("") };
}
