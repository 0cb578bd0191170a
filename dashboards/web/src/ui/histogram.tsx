/* Events over time; drag across it to look at that part. */
import { useComputedColorScheme } from "@mantine/core";
import { useEffect, useMemo, useRef } from "react";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import type { Histogram as Data } from "../api/types";
import { compact, count, plural, span, stamp, zoneName } from "../lib/format";
import { css, ticks, zoned } from "./plotbase";
import { usePrefs } from "./prefs";

const HEIGHT = 104;

export default function Histogram({ data, onBrush }: { data: Data; onBrush: (from: string, to: string) => void }) {
  const host = useRef<HTMLDivElement>(null);
  const tip = useRef<HTMLDivElement>(null);
  const brush = useRef(onBrush);
  brush.current = onBrush;
  const { zone } = usePrefs();
  const scheme = useComputedColorScheme("light");
  const b = data.buckets;
  const cols = useMemo(() => [b.map((x) => Date.parse(x.t) / 1000 + data.step_seconds / 2), b.map((x) => x.count), b.map((x) => x.failures)] as uPlot.AlignedData, [b, data.step_seconds]);

  useEffect(() => {
    const el = host.current;
    if (!el || b.length === 0) return;
    const c = { text: css("--tw-dim"), line: css("--tw-line"), bar: css("--tw-bar"), fail: css("--tw-fail") };
    const axis: uPlot.Axis = { stroke: c.text, grid: { show: false }, ticks: { show: false }, font: "11px 'Inter Variable', sans-serif" };
    const bars = uPlot.paths.bars?.({ size: [0.86, 24], align: 0 }) ?? (() => null);
    const start = Date.parse(b[0]?.t ?? "") / 1000;
    const end = Date.parse(b.at(-1)?.t ?? "") / 1000 + data.step_seconds;
    const u = new uPlot(
      {
        width: el.clientWidth,
        height: HEIGHT,
        tzDate: zoned(zone),
        padding: [6, 16, 0, 0],
        legend: { show: false },
        cursor: { y: false, drag: { x: true, y: false, setScale: false }, points: { show: false } },
        scales: { x: { range: () => [start, end] }, y: { range: (_u, _min, max) => [0, Math.max(1, max)] } },
        axes: [
          { ...axis, size: 24, values: ticks(zone) },
          { ...axis, size: 46, grid: { stroke: c.line, width: 1 }, values: (_u, v) => v.map((x) => (Number.isInteger(x) ? compact(x) : "")), space: 28 },
        ],
        series: [{}, { fill: c.bar, stroke: c.bar, width: 0, paths: bars, points: { show: false } }, { fill: c.fail, stroke: c.fail, width: 0, paths: bars, points: { show: false } }],
        hooks: {
          setSelect: [
            (s) => {
              if (s.select.width < 4) return;
              const from = Math.max(start, s.posToVal(s.select.left, "x"));
              const to = Math.min(end, s.posToVal(s.select.left + s.select.width, "x"));
              const step = data.step_seconds;
              // Whole buckets: what is picked is what was seen.
              const lo = start + Math.floor((from - start) / step) * step;
              const hi = start + Math.ceil((to - start) / step) * step;
              s.setSelect({ left: 0, width: 0, top: 0, height: 0 }, false);
              brush.current(new Date(lo * 1000).toISOString(), new Date(hi * 1000).toISOString());
            },
          ],
          setCursor: [
            (s) => {
              const t = tip.current;
              const i = s.cursor.idx;
              const x = i === null || i === undefined ? undefined : b[i];
              if (!t) return;
              if (!x || (s.cursor.left ?? -1) < 0) {
                t.hidden = true;
                return;
              }
              t.replaceChildren(
                Object.assign(document.createElement("div"), { className: "time", textContent: `${stamp(x.t, zone)} ${zoneName(new Date(x.t), zone)}, ${span(data.step_seconds * 1000)}` }),
                Object.assign(document.createElement("div"), { textContent: `${plural(x.count, "event")}, ${plural(x.failures, "failure")}` }),
              );
              t.hidden = false;
              const left = (s.cursor.left ?? 0) + s.bbox.left / devicePixelRatio;
              const flip = left > el.clientWidth - 220;
              t.style.transform = `translate(${Math.round(flip ? left - t.offsetWidth - 12 : left + 12)}px, 2px)`;
            },
          ],
        },
      },
      cols,
      el,
    );
    const ro = new ResizeObserver(() => u.setSize({ width: el.clientWidth, height: HEIGHT }));
    ro.observe(el);
    return () => {
      ro.disconnect();
      u.destroy();
    };
  }, [b, cols, data.step_seconds, zone, scheme]);

  const failures = b.reduce((s, x) => s + x.failures, 0);
  return (
    <div ref={host} className="plothost" style={{ height: HEIGHT }} role="img" aria-label={`${count(data.total)} events over time, ${count(failures)} of them failures, in steps of ${span(data.step_seconds * 1000)}`}>
      <div ref={tip} className="tip num" hidden />
    </div>
  );
}
