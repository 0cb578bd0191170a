/* What the plots share: colours of the theme, and time axes in the reader's zone. */
import uPlot from "uplot";
import { stamp } from "../lib/format";

export const css = (name: string): string => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

/** Time axes in the zone the reader chose. */
export const zoned = (zone: "utc" | "local") => (ts: number) => (zone === "utc" ? uPlot.tzDate(new Date(ts * 1000), "Etc/UTC") : new Date(ts * 1000));

const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/** Ticks of a time axis on one line: the hour, and the date where a day begins. */
export const ticks =
  (zone: "utc" | "local"): uPlot.Axis.DynamicValues =>
  (_u, splits, _axis, _space, step) =>
    splits.map((ts) => {
      const s = stamp(ts * 1000, zone);
      const day = `${Number(s.slice(8, 10))} ${MONTHS[Number(s.slice(5, 7)) - 1] ?? ""}`;
      if (step >= 28 * 86_400) return `${MONTHS[Number(s.slice(5, 7)) - 1] ?? ""} ${s.slice(0, 4)}`;
      if (step >= 86_400 || s.slice(11) === "00:00:00") return day;
      return step < 60 ? s.slice(11) : s.slice(11, 16);
    });
