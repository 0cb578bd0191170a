/* What was observed against the band in which it was expected. Drag to zoom, double-click to go back. */
import { Button } from "@mantine/core";
import { useComputedColorScheme } from "@mantine/core";
import { useEffect, useMemo, useRef, useState } from "react";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import type { Plot } from "../api/types";
import { decimalBytes, quantity, stamp, zoneName } from "../lib/format";
import { usePrefs } from "./prefs";
import { visible } from "../lib/text";
import { css, ticks, zoned } from "./plotbase";

const HEIGHT = 220;

interface Props {
  plot: Plot;
  /** First and last event of the alert: the hours between are marked. */
  from: string;
  to: string;
}

export default function BandPlot({ plot, from, to }: Props) {
  const host = useRef<HTMLDivElement>(null);
  const tip = useRef<HTMLDivElement>(null);
  const chart = useRef<uPlot | null>(null);
  const [zoomed, setZoomed] = useState(false);
  const { zone } = usePrefs();
  const scheme = useComputedColorScheme("light");

  const value = /^bytes\b/.test(plot.unit) ? decimalBytes : quantity;
  const data = useMemo(() => {
    const p = plot.points;
    const out = p.map((x) => (x.observed > x.upper || x.observed < x.lower ? x.observed : null));
    return [
      p.map((x) => Date.parse(x.t) / 1000),
      p.map((x) => x.upper),
      p.map((x) => x.lower),
      p.map((x) => x.expected),
      p.map((x) => x.observed),
      out,
    ] as uPlot.AlignedData;
  }, [plot]);

  // Half a step of room on both sides, and the alert's hours as whole steps.
  const { lo, hi, mark } = useMemo(() => {
    const xs = data[0];
    const step = (xs[1] ?? 0) - (xs[0] ?? 0) || 3600;
    const lo = (xs[0] ?? 0) - step / 2;
    const hi = (xs[xs.length - 1] ?? 1) + step / 2;
    const of = (t: string) => Math.floor((Date.parse(t) / 1000 - lo - step / 2) / step) * step + lo;
    const mark: [number, number] = [Math.max(lo, of(from)), Math.min(hi, of(to) + step)];
    return { lo, hi, mark };
  }, [data, from, to]);
  const marked = mark[1] > mark[0];

  useEffect(() => {
    const el = host.current;
    if (!el) return;
    const c = { text: css("--tw-dim"), line: css("--tw-line"), band: css("--tw-low-soft"), edge: css("--tw-low"), seen: css("--tw-text"), out: css("--tw-critical"), mark: css("--tw-medium") };
    const axis: uPlot.Axis = { stroke: c.text, grid: { stroke: c.line, width: 1 }, ticks: { show: false }, font: "11px 'Inter Variable', sans-serif" };
    const show = (u: uPlot) => {
      const t = tip.current;
      const i = u.cursor.idx;
      if (!t) return;
      if (i === null || i === undefined || u.cursor.left === undefined || u.cursor.left < 0) {
        t.hidden = true;
        return;
      }
      const x = plot.points[i];
      if (!x) return;
      const odd = x.observed > x.upper || x.observed < x.lower;
      t.replaceChildren(
        line("time", `${stamp(x.t, zone)} ${zoneName(new Date(x.t), zone)}`),
        line(odd ? "odd" : "", `Observed ${value(x.observed)}`),
        line("", `Expected ${value(x.expected)}, usual range ${value(x.lower)} to ${value(x.upper)}`),
      );
      t.hidden = false;
      const left = u.cursor.left + u.bbox.left / devicePixelRatio;
      const flip = left > el.clientWidth - 240;
      t.style.transform = `translate(${Math.round(flip ? left - t.offsetWidth - 12 : left + 12)}px, 12px)`;
    };
    const u = new uPlot(
      {
        width: el.clientWidth,
        height: HEIGHT,
        tzDate: zoned(zone),
        padding: [10, 18, 0, 0],
        legend: { show: false },
        cursor: { drag: { x: true, y: false, uni: 10 }, points: { size: 7 } },
        scales: { x: { range: (_u, min, max) => (min === data[0][0] && max === data[0][data[0].length - 1] ? [lo, hi] : [min, max]) }, y: { range: (_u, min, max) => [Math.min(0, min), max === min ? max + 1 : max * 1.06] } },
        axes: [{ ...axis, size: 26, values: ticks(zone) }, { ...axis, size: 58, values: (_u, v) => v.map(value) }],
        bands: [{ series: [1, 2], fill: c.band }],
        series: [
          {},
          { stroke: c.edge, width: 0.6, points: { show: false } },
          { stroke: c.edge, width: 0.6, points: { show: false } },
          { stroke: c.edge, width: 1.5, dash: [5, 4], points: { show: false } },
          { stroke: c.seen, width: 1.6, points: { show: plot.points.length < 80, size: 4, fill: c.seen } },
          { stroke: c.out, width: 0, paths: () => null, points: { show: true, size: 9, fill: c.out, stroke: c.out } },
        ],
        hooks: {
          drawClear: [
            (s) => {
              if (!marked) return;
              const x0 = Math.max(s.valToPos(mark[0], "x", true), s.bbox.left);
              const x1 = Math.min(s.valToPos(mark[1], "x", true), s.bbox.left + s.bbox.width);
              if (x1 <= x0) return;
              s.ctx.save();
              s.ctx.globalAlpha = 0.16;
              s.ctx.fillStyle = c.mark;
              s.ctx.fillRect(x0, s.bbox.top, x1 - x0, s.bbox.height);
              s.ctx.restore();
            },
          ],
          setCursor: [show],
          setScale: [
            (s, key) => {
              if (key !== "x") return;
              setZoomed(s.scales.x?.min !== lo || s.scales.x?.max !== hi);
            },
          ],
        },
      },
      data,
      el,
    );
    chart.current = u;
    const ro = new ResizeObserver(() => u.setSize({ width: el.clientWidth, height: HEIGHT }));
    ro.observe(el);
    return () => {
      ro.disconnect();
      u.destroy();
      chart.current = null;
    };
  }, [data, plot, zone, scheme, lo, hi, mark, marked, value]);

  const worst = plot.points.reduce<Plot["points"][number] | undefined>((w, x) => (w && w.observed - w.upper >= x.observed - x.upper ? w : x), undefined);
  return (
    <figure className="plot">
      <figcaption className="row plotcap">
        <span className="strong">{visible(plot.title)}</span>
        {!plot.title.toLowerCase().includes(plot.unit.toLowerCase()) && <span className="dim">{visible(plot.unit)}</span>}
        <span className="grow" />
        <span className="key">
          <i className="k-seen" /> observed
        </span>
        <span className="key">
          <i className="k-exp" /> expected
        </span>
        {plot.points.some((x) => x.upper > x.lower) && (
          <span className="key">
            <i className="k-band" /> usual range
          </span>
        )}
        <span className="key">
          <i className="k-out" /> outside it
        </span>
        {marked && (
          <span className="key">
            <i className="k-win" /> this alert
          </span>
        )}
        {zoomed && (
          <Button
            variant="default"
            size="compact-xs"
            onClick={() => {
              chart.current?.setScale("x", { min: lo, max: hi });
            }}
          >
            Reset zoom
          </Button>
        )}
      </figcaption>
      <div
        ref={host}
        className="plothost"
        role="img"
        aria-label={
          worst
            ? `${visible(plot.title)}. Strongest at ${stamp(worst.t, zone)}: observed ${value(worst.observed)}, expected ${value(worst.expected)}, usual range ${value(worst.lower)} to ${value(worst.upper)} ${visible(plot.unit)}.`
            : visible(plot.title)
        }
      >
        <div ref={tip} className="tip num" hidden />
      </div>
    </figure>
  );
}

function line(cls: string, text: string): HTMLElement {
  const d = document.createElement("div");
  d.className = cls;
  d.textContent = text;
  return d;
}
