/* A grid of hours, darker where there was more. The figures behind a cell are in its tooltip and in the table for screen readers. */
import { useState, type ReactNode } from "react";

export interface HeatRow {
  key: string;
  label: ReactNode;
  /** A figure a column; the strength of the colour is its root over the largest. */
  values: number[];
  /** Marked with a dot, such as an alert. */
  marks?: boolean[];
}

interface Props {
  name: string;
  rows: HeatRow[];
  /** Text of one cell. */
  say: (row: number, column: number) => string;
  /** Labels below the grid, at their columns. */
  ticks: { at: number; text: string }[];
  onOpen?: ((row: number, column: number) => void) | undefined;
  /** One scale for all rows, or one a row. */
  scale?: "all" | "row";
  height?: number;
}

export function Heat({ name, rows, say, ticks, onOpen, scale = "row", height = 16 }: Props) {
  const [tip, setTip] = useState<{ text: string; x: number; y: number }>();
  const columns = rows[0]?.values.length ?? 0;
  const all = Math.max(1, ...rows.flatMap((r) => r.values));
  return (
    <div className="heat" style={{ ["--cols" as string]: columns }} onMouseLeave={() => setTip(undefined)} role="group" aria-label={name}>
      {rows.map((r, i) => {
        const top = scale === "all" ? all : Math.max(1, ...r.values);
        return (
          <div className="heatrow" key={r.key}>
            <div className="heatlabel cut">{r.label}</div>
            <div className="heatcells" style={{ height }} aria-hidden>
              {r.values.map((v, c) => (
                <i
                  key={c}
                  className={onOpen ? "cell can" : "cell"}
                  style={{ ["--a" as string]: v <= 0 ? 0 : 0.12 + 0.88 * Math.sqrt(v / top) }}
                  data-mark={r.marks?.[c] || undefined}
                  onMouseEnter={(e) => {
                    const b = e.currentTarget.getBoundingClientRect();
                    setTip({ text: say(i, c), x: b.left + b.width / 2, y: b.top });
                  }}
                  onClick={() => onOpen?.(i, c)}
                />
              ))}
            </div>
          </div>
        );
      })}
      <div className="heatrow" aria-hidden>
        <div className="heatlabel" />
        <div className="heatticks">
          {ticks.map((t) => (
            <span key={t.at} style={{ left: `${((t.at + 0.5) / columns) * 100}%` }}>
              {t.text}
            </span>
          ))}
        </div>
      </div>
      {tip && (
        <div className="heattip num" style={{ left: tip.x, top: tip.y }} role="presentation">
          {tip.text}
        </div>
      )}
    </div>
  );
}
