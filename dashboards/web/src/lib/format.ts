/* Numbers and times as people read them. Pure: "now" and the zone are arguments. */

export type Zone = "utc" | "local";

const whole = new Intl.NumberFormat("en-GB", { maximumFractionDigits: 0 });
const short = new Intl.NumberFormat("en-GB", { notation: "compact", maximumFractionDigits: 1 });

/** 12,345 */
export function count(n: number): string {
  return Number.isFinite(n) ? whole.format(n) : "–";
}

/** 12.3k; exact below 10,000. */
export function compact(n: number): string {
  if (!Number.isFinite(n)) return "–";
  return Math.abs(n) < 10_000 ? whole.format(n) : short.format(n).toLowerCase().replace("m", "M").replace("bn", "bn");
}

/** A measured quantity: three significant digits, no exponent. */
export function quantity(n: number): string {
  if (!Number.isFinite(n)) return "–";
  if (n !== 0 && Math.abs(n) < 0.001) return n > 0 ? "<0.001" : ">−0.001";
  if (Math.abs(n) >= 1000) return whole.format(Math.round(n));
  return String(Number(n.toPrecision(3))).replace("-", "−");
}

/** A measured quantity with its unit; bytes by powers of ten, as the detectors' sentences write them. */
export function amount(n: number, unit: string): string {
  const m = /^bytes\b\s*(.*)$/.exec(unit);
  if (!m) return `${quantity(n)} ${unit}`;
  return `${decimalBytes(n)} ${m[1] ?? ""}`.trim();
}

/** 192 MB */
export function decimalBytes(n: number): string {
  const u = ["B", "kB", "MB", "GB", "TB", "PB"];
  let i = 0;
  while (Math.abs(n) >= 999.5 && i < u.length - 1) {
    n /= 1000;
    i++;
  }
  return `${quantity(n)} ${u[i] ?? ""}`;
}

/** Plural with its number: "1 event", "2,000 events". */
export function plural(n: number, one: string, many = `${one}s`): string {
  return `${count(n)} ${n === 1 ? one : many}`;
}

const SUP: Record<string, string> = { "-": "⁻", "0": "⁰", "1": "¹", "2": "²", "3": "³", "4": "⁴", "5": "⁵", "6": "⁶", "7": "⁷", "8": "⁸", "9": "⁹" };

/** A probability in powers of ten: "3.1 × 10⁻⁹". */
export function pValue(p: number): string {
  if (!(p >= 0 && p <= 1)) return "–";
  if (p === 0) return "< 10⁻³⁰⁰";
  if (p >= 0.001) return String(Number(p.toPrecision(2)));
  const [m = "1", e = "0"] = p.toExponential(1).split("e");
  const sup = [...e.replace("+", "")].map((c) => SUP[c] ?? c).join("");
  return `${m.replace(".0", "")} × 10${sup}`;
}

/** The same in words: "1 in 320 million". */
export function odds(p: number): string {
  if (!(p > 0 && p <= 1)) return p === 0 ? "less than 1 in 10³⁰⁰" : "–";
  const n = 1 / p;
  if (n < 1000) return `1 in ${n < 10 ? Number(n.toPrecision(2)) : Math.round(n)}`;
  if (n < 1e6) return `1 in ${count(Number(n.toPrecision(2)))}`;
  const units: [number, string][] = [
    [1e12, "trillion"],
    [1e9, "billion"],
    [1e6, "million"],
  ];
  if (n >= 1e15) return `1 in 10${[...String(Math.floor(Math.log10(n)))].map((c) => SUP[c] ?? c).join("")}`;
  for (const [k, name] of units) if (n >= k) return `1 in ${Number((n / k).toPrecision(2))} ${name}`;
  return `1 in ${Math.round(n)}`;
}

/** 1.5 MiB */
export function bytes(n: number): string {
  const u = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
  let i = 0;
  while (n >= 1024 && i < u.length - 1) {
    n /= 1024;
    i++;
  }
  return `${i === 0 || n >= 100 ? Math.round(n) : Number(n.toPrecision(2))} ${u[i] ?? ""}`;
}

/** Milliseconds as 840 ms, 2.4 s, 3 min, 5 h, 2 d. */
export function span(ms: number): string {
  const a = Math.abs(ms);
  if (a < 1000) return `${Math.round(ms)} ms`;
  if (a < 60_000) return `${Number((ms / 1000).toPrecision(2))} s`;
  if (a < 3_600_000) return `${Math.round(ms / 60_000)} min`;
  if (a < 172_800_000) return `${Number((ms / 3_600_000).toPrecision(2))} h`;
  return `${Math.round(ms / 86_400_000)} d`;
}

const pad = (n: number, w = 2) => String(n).padStart(w, "0");

function parts(d: Date, zone: Zone) {
  return zone === "utc"
    ? { y: d.getUTCFullYear(), mo: d.getUTCMonth(), d: d.getUTCDate(), h: d.getUTCHours(), mi: d.getUTCMinutes(), s: d.getUTCSeconds(), ms: d.getUTCMilliseconds() }
    : { y: d.getFullYear(), mo: d.getMonth(), d: d.getDate(), h: d.getHours(), mi: d.getMinutes(), s: d.getSeconds(), ms: d.getMilliseconds() };
}

/** "UTC", or the offset of the local zone at that time as "UTC+02:00". */
export function zoneName(d: Date, zone: Zone): string {
  if (zone === "utc") return "UTC";
  const off = -d.getTimezoneOffset();
  if (off === 0) return "UTC+00:00";
  return `UTC${off < 0 ? "−" : "+"}${pad(Math.floor(Math.abs(off) / 60))}:${pad(Math.abs(off) % 60)}`;
}

/** 2026-03-01 09:15:02 */
export function stamp(t: string | number | Date, zone: Zone, withMillis = false): string {
  const d = new Date(t);
  if (Number.isNaN(d.getTime())) return "–";
  const p = parts(d, zone);
  const base = `${p.y}-${pad(p.mo + 1)}-${pad(p.d)} ${pad(p.h)}:${pad(p.mi)}:${pad(p.s)}`;
  return withMillis ? `${base}.${pad(p.ms, 3)}` : base;
}

/** 2026-03-01 09:15:02.123 UTC, for titles. */
export function full(t: string | number | Date, zone: Zone): string {
  const d = new Date(t);
  if (Number.isNaN(d.getTime())) return "–";
  return `${stamp(d, zone, true)} ${zoneName(d, zone)}`;
}

const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/** "now", "4 min ago", "in 2 h", "3 d ago"; from 30 days on the date itself. */
export function relative(t: string | number | Date, now: number, zone: Zone): string {
  const d = new Date(t);
  const at = d.getTime();
  if (Number.isNaN(at)) return "–";
  const diff = now - at;
  const a = Math.abs(diff);
  if (a < 10_000) return "now";
  let s: string;
  if (a < 60_000) s = `${Math.floor(a / 1000)} s`;
  else if (a < 3_600_000) s = `${Math.floor(a / 60_000)} min`;
  else if (a < 86_400_000) s = `${Math.floor(a / 3_600_000)} h`;
  else if (a < 30 * 86_400_000) s = `${Math.floor(a / 86_400_000)} d`;
  else {
    const p = parts(d, zone);
    return `${p.d} ${MONTHS[p.mo] ?? ""} ${p.y}`;
  }
  return diff >= 0 ? `${s} ago` : `in ${s}`;
}

/** First to last seen without repeating what is the same: "2026-03-01 09:00:00 – 09:15:02". */
export function between(a: string, b: string, zone: Zone): string {
  const x = stamp(a, zone);
  const y = stamp(b, zone);
  if (x === y) return x;
  return x.slice(0, 10) === y.slice(0, 10) ? `${x} – ${y.slice(11)}` : `${x} – ${y}`;
}
