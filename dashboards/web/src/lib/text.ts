/*
 * Log content is hostile: whoever signs in chooses the bytes that land here.
 * React escapes markup; what it does not do is show the characters that make
 * text look like other text. `segments` splits a string into plain runs and
 * marked characters, so that nothing is hidden and nothing turns the line round.
 */

export interface Segment {
  text: string;
  /** Set when the text stands for a character that would not be seen as it is. */
  mark?: string;
}

const NAMES: Record<number, string> = {
  0x00: "NULL",
  0x07: "BELL",
  0x08: "BACKSPACE",
  0x09: "TAB",
  0x0a: "LINE FEED",
  0x0d: "CARRIAGE RETURN",
  0x1b: "ESCAPE",
  0x7f: "DELETE",
  0xad: "SOFT HYPHEN",
  0x61c: "ARABIC LETTER MARK",
  0x200b: "ZERO WIDTH SPACE",
  0x200c: "ZERO WIDTH NON-JOINER",
  0x200d: "ZERO WIDTH JOINER",
  0x200e: "LEFT-TO-RIGHT MARK",
  0x200f: "RIGHT-TO-LEFT MARK",
  0x2028: "LINE SEPARATOR",
  0x2029: "PARAGRAPH SEPARATOR",
  0x202a: "LEFT-TO-RIGHT EMBEDDING",
  0x202b: "RIGHT-TO-LEFT EMBEDDING",
  0x202c: "POP DIRECTIONAL FORMATTING",
  0x202d: "LEFT-TO-RIGHT OVERRIDE",
  0x202e: "RIGHT-TO-LEFT OVERRIDE",
  0x2060: "WORD JOINER",
  0x2066: "LEFT-TO-RIGHT ISOLATE",
  0x2067: "RIGHT-TO-LEFT ISOLATE",
  0x2068: "FIRST STRONG ISOLATE",
  0x2069: "POP DIRECTIONAL ISOLATE",
  0xfeff: "BYTE ORDER MARK",
  0xfffd: "REPLACEMENT CHARACTER (the original was not valid text)",
};

function hidden(c: number): boolean {
  return (
    c < 0x20 ||
    (c >= 0x7f && c <= 0x9f) ||
    c === 0xad ||
    c === 0x34f ||
    c === 0x61c ||
    c === 0x115f ||
    c === 0x1160 ||
    c === 0x180e ||
    (c >= 0x200b && c <= 0x200f) ||
    (c >= 0x2028 && c <= 0x202e) ||
    (c >= 0x2060 && c <= 0x206f) ||
    c === 0x3164 ||
    (c >= 0xd800 && c <= 0xdfff) || // an unpaired surrogate
    (c >= 0xfe00 && c <= 0xfe0f) ||
    c === 0xfeff ||
    (c >= 0xfff9 && c <= 0xfffd) ||
    (c >= 0xe0000 && c <= 0xe0fff)
  );
}

const C0 = "NUL SOH STX ETX EOT ENQ ACK BEL BS HT LF VT FF CR SO SI DLE DC1 DC2 DC3 DC4 NAK SYN ETB CAN EM SUB ESC FS GS RS US".split(" ");

/** Letters, since the control pictures are missing from most fonts. */
function glyph(c: number): string {
  if (c === 0x7f) return "‹DEL›";
  return `‹${C0[c] ?? c.toString(16).toUpperCase().padStart(4, "0")}›`;
}

/** The name of a code point as it is shown on hover, e.g. "U+202E RIGHT-TO-LEFT OVERRIDE". */
export function codePointName(c: number): string {
  const hex = `U+${c.toString(16).toUpperCase().padStart(4, "0")}`;
  const name = NAMES[c];
  return name ? `${hex} ${name}` : `${hex}, not visible as it is`;
}

/** Splits text into what can be shown as it is and what must be marked. */
export function segments(s: string): Segment[] {
  const out: Segment[] = [];
  let plain = "";
  for (const ch of s) {
    const c = ch.codePointAt(0) ?? 0;
    if (!hidden(c)) {
      plain += ch;
      continue;
    }
    if (plain) out.push({ text: plain });
    plain = "";
    out.push({ text: glyph(c), mark: codePointName(c) });
  }
  if (plain) out.push({ text: plain });
  return out;
}

/** The same as one string, for titles, labels and other places that take no markup. */
export function visible(s: string): string {
  return segments(s)
    .map((x) => x.text)
    .join("");
}

/** Keeps both ends of a long name, where names differ; at most max characters. */
export function middle(s: string, max: number): string {
  const chars = [...s];
  if (chars.length <= max) return s;
  const tail = Math.floor((max - 1) / 3);
  return `${chars.slice(0, max - 1 - tail).join("")}…${tail > 0 ? chars.slice(-tail).join("") : ""}`;
}
