import { full, relative, stamp } from "../lib/format";
import { usePrefs } from "./prefs";

interface Props {
  at: string | null | undefined;
  /** relative: "4 min ago"; stamp: the absolute time; both: absolute, then relative. */
  as?: "relative" | "stamp" | "both";
  millis?: boolean;
}

/** A time, with the absolute one in its title whatever is shown. */
export function Time({ at, as = "relative", millis = false }: Props) {
  const { zone, now } = usePrefs();
  if (!at) return <span className="dim">never</span>;
  return (
    <time dateTime={at} title={full(at, zone)} className="num">
      {as === "relative" ? relative(at, now, zone) : stamp(at, zone, millis)}
      {as === "both" && /ago$|^now$|^in /.test(relative(at, now, zone)) && <span className="dim"> · {relative(at, now, zone)}</span>}
    </time>
  );
}
