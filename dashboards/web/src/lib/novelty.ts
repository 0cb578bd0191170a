/*
 * What an alert's sentence says was seen for the first time, taken apart for a
 * list. The sentence is the detector's; where it does not read as expected the
 * page shows the sentence alone.
 */
import { term } from "./querylang";

export interface FirstTime {
  /** country, network, client, address range, action or resource. */
  kind: string;
  value: string;
}

export interface Novelty {
  items: FirstTime[];
  /** How many the sentence counts without naming them. */
  more: number;
  /** The hour it speaks of, as it says it. */
  window: string;
  /** What the most unusual one is compared with; values is empty when nothing was known. */
  before: { kinds: string; values: string[]; observations: string };
  /** Its chance for this entity, and among its peers, as it says them. */
  own: string;
  peers: string;
}

const KINDS = "country|network|client|address range|action|resource";
const CUT = new RegExp(`(?:, | and )(?=(?:${KINDS}) |\\d+ more$)`);
const ONE = new RegExp(`^(${KINDS}) (.+)$`, "s");
const SENTENCE =
  /^.*? used (.+?) for the first time in (\d\d:\d\d–\d\d:\d\d UTC on \d{1,2} \p{L}+ \d{4}); (?:the ([a-z ]+) seen before: (.+?) \(about ([\d.,]+) observations?\)|no ([a-z ]+) was known of it before)\. A new [a-z ]+ has a chance of (.+?) for it, and one this rare among its peers of (.+?)\.(?: |$)/su;

/** The sentences of a reason: the first, and what "Also:" adds. */
export const sentences = (reason: string): string[] => reason.split(" Also: ");

export function novelty(reason: string): Novelty | undefined {
  for (const s of sentences(reason)) {
    const m = SENTENCE.exec(s);
    if (!m) continue;
    const items: FirstTime[] = [];
    let more = 0;
    for (const part of (m[1] ?? "").split(CUT)) {
      const one = ONE.exec(part);
      const rest = /^(\d+) more$/.exec(part);
      if (one) items.push({ kind: one[1] ?? "", value: one[2] ?? "" });
      else if (rest) more = Number(rest[1]);
      else return undefined;
    }
    return {
      items,
      more,
      window: m[2] ?? "",
      before: { kinds: m[3] ?? m[6] ?? "", values: (m[4] ?? "").split(/, | and /).filter(Boolean), observations: m[5] ?? "" },
      own: m[7] ?? "",
      peers: m[8] ?? "",
    };
  }
  return undefined;
}

/** Adds the resources that the alert names as related but its sentence only counts. */
export function withRelated(n: Novelty, related: { type: string; id: string }[]): Novelty {
  const unnamed = related.filter((r) => r.type === "resource" && !n.items.some((i) => i.kind === "resource" && i.value === r.id)).slice(0, n.more);
  return { ...n, items: [...n.items, ...unnamed.map((r) => ({ kind: "resource", value: r.id }))], more: n.more - unnamed.length };
}

/** The search that finds one of them; none for a client, which is made of more than one field. */
export function firstTimeTerm(i: FirstTime): string | undefined {
  switch (i.kind) {
    case "country":
    case "action":
    case "resource":
      return term(i.kind, i.value);
    case "network":
      return /^AS\d+$/.test(i.value) ? term("asn", i.value.slice(2)) : undefined;
    case "address range": {
      const m = /^(\d+\.\d+\.\d+)\.0\/24$/.exec(i.value);
      return m ? `src_ip:${m[1]}.*` : undefined;
    }
  }
  return undefined;
}
