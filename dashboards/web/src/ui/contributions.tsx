/* The score taken apart: a bar and a sum that add up exactly. */
import type { Alert } from "../api/types";
import { addsUp, milliText, shares, tenthsText, toMilli } from "../lib/contrib";
import { amount, decimalBytes, odds, quantity } from "../lib/format";
import { visible } from "../lib/text";

export function Contributions({ alert: a }: { alert: Alert }) {
  const total = toMilli(a.score);
  const parts = a.detectors.map((d) => ({ name: d.name, milli: d.contribution }));
  const list = shares(parts, total);
  const sum = list.map((p) => `${p.name} ${milliText(p.milli)}`).join(" + ");
  return (
    <div>
      <div className="scorebar" role="img" aria-label={`${sum} = ${milliText(total)} of 100 points`}>
        <div className="scorefill" style={{ width: `${Math.min(a.score, 100)}%` }}>
          {list.map((p, i) => (
            <i key={p.name} style={{ flexGrow: p.milli, background: `var(--tw-c${(i % 5) + 1})` }} title={`${p.name}: ${milliText(p.milli)} points`} />
          ))}
        </div>
      </div>
      <table className="parts num">
        <thead className="sr">
          <tr>
            <th>Detector</th>
            <th>Points</th>
          </tr>
        </thead>
        <tbody>
          {list.map((p, i) => {
            const d = a.detectors.find((x) => x.name === p.name);
            return (
              <tr key={p.name}>
                <th scope="row">
                  <i className="swatch" style={{ background: `var(--tw-c${(i % 5) + 1})` }} aria-hidden />
                  {p.name}
                  {d && (
                    <div className="dim partnote" title={`${odds(d.p_value)} by this detector's model`}>
                      {amount(d.observed, visible(d.unit || "seen"))}; {/^bytes\b/.test(d.unit ?? "") ? decimalBytes(d.expected) : quantity(d.expected)} expected
                    </div>
                  )}
                </th>
                <td title={`${milliText(p.milli)} points exactly`}>{tenthsText(p.tenths)}</td>
              </tr>
            );
          })}
        </tbody>
        <tfoot>
          <tr>
            <th scope="row">
              Score <span className="dim partsum">{addsUp(parts, total) ? `${milliText(total)} exactly` : "the parts do not add up: report this alert"}</span>
            </th>
            <td title={`${milliText(total)} points exactly`}>{tenthsText(Math.round(total / 100))}</td>
          </tr>
        </tfoot>
      </table>
    </div>
  );
}
