/*
 * A score is the exact sum of its contributions, integers in thousandths of a
 * point. On screen one decimal is enough, but rounding each part alone would
 * break the sum: so the tenths are shared out by largest remainder, as the
 * thousandths were.
 */

export interface Part {
  name: string;
  /** Thousandths of a point. */
  milli: number;
}

export interface Share extends Part {
  /** Tenths of a point as shown; the shown parts sum to the shown score. */
  tenths: number;
  /** Percent of the whole score's bar. */
  width: number;
}

/** Points of a score (a decimal number) in thousandths. */
export const toMilli = (score: number): number => Math.round(score * 1000);

/** True when the parts sum to the score exactly. */
export function addsUp(parts: Part[], scoreMilli: number): boolean {
  return parts.reduce((s, p) => s + p.milli, 0) === scoreMilli;
}

/** Shares out the shown tenths by largest remainder; greater parts first. */
export function shares(parts: Part[], scoreMilli: number): Share[] {
  const total = Math.round(scoreMilli / 100);
  const out = parts.map((p, i) => ({ ...p, i, tenths: Math.floor(p.milli / 100), rest: p.milli - Math.floor(p.milli / 100) * 100 }));
  let left = total - out.reduce((s, p) => s + p.tenths, 0);
  const order = [...out].sort((a, b) => b.rest - a.rest || a.i - b.i);
  for (const p of order) {
    if (left <= 0) break;
    p.tenths++;
    left--;
  }
  const sum = parts.reduce((s, p) => s + Math.max(0, p.milli), 0);
  return out
    .sort((a, b) => b.milli - a.milli || a.i - b.i)
    .map(({ name, milli, tenths }) => ({ name, milli, tenths, width: sum > 0 ? (Math.max(0, milli) / sum) * 100 : 0 }));
}

/** 412 → "41.2" */
export const tenthsText = (t: number): string => (t / 10).toFixed(1);

/** 41234 → "41.234", without trailing zeros. */
export const milliText = (m: number): string => String(m / 1000);
