/* What was observed against the band in which it was expected. Drag to zoom, double-click to go back. */
import { Button } from "@mantine/core";
import { useComputedColorScheme } from "@mantine/core";
import { useEffect, useMemo, useRef, useState } from "react";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import type { Plot } from "../api/types";
import { quantity, stamp, zoneName } from "../lib/format";
import { usePrefs } from "./prefs";
import { visible } from "../lib/text";
import { css, ticks, zoned } from "./plotbase";

const HEIGHT = 220;

export default function BandPlot({ plot }: { plot: Plot }) {
  const host = useRef<HTMLDivElement>(null);
  const tip = useRef<HTMLDivElement>(null);
  const chart = useRef<uPlot | null>(null);
  const [zoomed, setZoomed] = useState(false);
  const { zone } = usePrefs();
  const scheme = useComputedColorScheme("light");

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

  useEffect(() => {
    const el = host.current;
    if (!el) return;
    const c = { text: css("--tw-dim"), line: css("--tw-line"), band: css("--tw-low-soft"), edge: css("--tw-low"), seen: css("--tw-text"), out: css("--tw-critical") };
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
        line(odd ? "odd" : "", `Observed ${quantity(x.observed)}`),
        line("", `Expected ${quantity(x.expected)}, band ${quantity(x.lower)} to ${quantity(x.upper)}`),
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
        padding: [10, 8, 0, 0],
        legend: { show: false },
        cursor: { drag: { x: true, y: false, uni: 10 }, points: { size: 7 } },
        scales: { y: { range: (_u, min, max) => [Math.min(0, min), max === min ? max + 1 : max * 1.06] } },
        axes: [{ ...axis, size: 26, values: ticks(zone) }, { ...axis, size: 52, values: (_u, v) => v.map(quantity) }],
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
          setCursor: [show],
          setScale: [
            (s, key) => {
              if (key !== "x") return;
              const xs = data[0];
              setZoomed(s.scales.x?.min !== xs[0] || s.scales.x?.max !== xs[xs.length - 1]);
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
  }, [data, plot, zone, scheme]);

  const worst = plot.points.reduce<Plot["points"][number] | undefined>((w, x) => (w && w.observed - w.upper >= x.observed - x.upper ? w : x), undefined);
  return (
    <figure className="plot">
      <figcaption className="row plotcap">
        <span className="strong">{visible(plot.title)}</span>
        <span className="dim">{visible(plot.unit)}</span>
        <span className="grow" />
        <span className="key">
          <i className="k-seen" /> observed
        </span>
        <span className="key">
          <i className="k-exp" /> expected
        </span>
        <span className="key">
          <i className="k-band" /> band
        </span>
        <span className="key">
          <i className="k-out" /> outside
        </span>
        {zoomed && (
          <Button
            variant="default"
            size="compact-xs"
            onClick={() => {
              const xs = data[0];
              chart.current?.setScale("x", { min: xs[0] ?? 0, max: xs[xs.length - 1] ?? 1 });
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
            ? `${visible(plot.title)}. Strongest at ${stamp(worst.t, zone)}: observed ${quantity(worst.observed)}, expected ${quantity(worst.expected)}, band ${quantity(worst.lower)} to ${quantity(worst.upper)} ${visible(plot.unit)}.`
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
