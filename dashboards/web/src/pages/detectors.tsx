/* The detectors: what each one models, how much it says, and how often it is right. */
import "../styles/entity.css";
import "../styles/work.css";
import { SegmentedControl, Skeleton } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { getRouteApi, useNavigate } from "@tanstack/react-router";
import { lazy, Suspense } from "react";
import { detectorsQuery } from "../api/queries";
import type { DetectorInfo } from "../api/types";
import { compact, count, plural } from "../lib/format";
import { techniqueName } from "../lib/technique";
import { tidy, type DetectorsSearch } from "../lib/urlstate";
import { useScope } from "../session";
import { Empty, Failed } from "../ui/states";
import { useTitle } from "../ui/title";

const Backtests = lazy(() => import("../ui/backtest"));
const route = getRouteApi("/in/detectors");

export default function Detectors() {
  const search = route.useSearch();
  const { param } = useScope(search.tenant);
  const navigate = useNavigate();
  const days = search.days ?? 14;
  const found = useQuery(detectorsQuery(param, days));
  useTitle("Detectors");
  return (
    <div className="doc">
      <header className="dochead">
        <div className="grow">
          <h1>Detectors</h1>
          <p className="dim">
            Each says how unlikely what it saw is under the entity's own baseline. Every finding is accounted for: alerted, folded into another alert, suppressed, or below the budget.
          </p>
        </div>
        <SegmentedControl
          size="xs"
          aria-label="Range"
          value={String(days)}
          onChange={(v) => void navigate({ to: "/detectors", search: tidy<DetectorsSearch>({ ...search, days: v === "14" ? undefined : Number(v) }) })}
          data={[7, 14, 30, 90].map((d) => ({ value: String(d), label: `${d} days` }))}
        />
      </header>
      {found.isPending ? (
        <div className="cards">
          {[0, 1, 2, 3].map((i) => (
            <Skeleton key={i} h={220} />
          ))}
        </div>
      ) : found.isError ? (
        <Failed what="The detectors could not be read" error={found.error} retry={() => void found.refetch()} />
      ) : found.data.items.length === 0 ? (
        <Empty title="No detector is built in" />
      ) : (
        <div className="cards">
          {found.data.items.map((d) => (
            <Card key={d.name} d={d} />
          ))}
        </div>
      )}
      <div style={{ marginTop: 16 }}>
        <Suspense fallback={<Skeleton h={160} />}>{found.data && <Backtests key={param ?? ""} param={param} detectors={found.data.items.map((d) => d.name)} />}</Suspense>
      </div>
    </div>
  );
}

function Card({ d }: { d: DetectorInfo }) {
  const most = Math.max(1, ...d.days.map((x) => x.findings));
  const v = d.verdicts;
  const judged = v.true_positive + v.benign + v.false_positive + v.duplicate;
  return (
    <section className="panel" aria-label={d.name}>
      <header>
        <h2>{d.name}</h2>
        <span className="dim num">{d.version}</span>
        <span className="grow" />
        <span className="num">{plural(d.alerts, "alert")}</span>
      </header>
      <div className="body" style={{ display: "grid", gap: 12 }}>
        <p className="wrap" style={{ margin: 0 }}>
          {d.models}
        </p>
        <div>
          <div className="spark" role="img" aria-label={`Findings a day: ${d.days.map((x) => x.findings).join(", ")}`}>
            {d.days.map((x) => (
              <span key={x.day} title={`${x.day}: ${plural(x.findings, "finding")}, ${plural(x.alerts, "alert")}`}>
                <i style={{ height: `${((x.findings - Math.min(x.alerts, x.findings)) / most) * 100}%` }} />
                <i className="hit" style={{ height: `${(Math.min(x.alerts, x.findings) / most) * 100}%` }} />
              </span>
            ))}
          </div>
          <div className="row dim num" style={{ fontSize: "0.75rem", marginTop: 4 }}>
            {d.days[0]?.day ?? ""} <span className="grow" /> {d.days.at(-1)?.day ?? ""}
          </div>
        </div>
        <dl className="kpis num" style={{ margin: 0 }}>
          <Figure name="Findings" value={compact(d.counts.findings)} note={count(d.counts.findings)} />
          <Figure name="Alerted" value={compact(d.counts.alerted)} />
          <Figure name="Folded" value={compact(d.counts.folded)} />
          <Figure name="Suppressed" value={compact(d.counts.suppressed)} />
          <Figure name="Below budget" value={compact(d.counts.below_budget)} />
          <Figure
            name="Precision"
            value={d.precision === null ? "no verdicts yet" : `${Math.round(d.precision * 100)} %`}
            note={`${v.true_positive} true positives, ${v.false_positive} false positives, ${v.benign} benign, ${v.none} without a verdict`}
          />
        </dl>
        {judged > 0 && (
          <div>
            <div className="verdictbar" role="img" aria-label={`Of ${judged} judged: ${v.true_positive} true positives, ${v.benign} benign, ${v.false_positive} false positives, ${v.duplicate} duplicates`}>
              <i style={{ flexGrow: v.true_positive, background: "var(--tw-c1)" }} />
              <i style={{ flexGrow: v.benign, background: "var(--tw-c2)" }} />
              <i style={{ flexGrow: v.false_positive, background: "var(--tw-fail)" }} />
              <i style={{ flexGrow: v.duplicate, background: "var(--tw-bar)" }} />
            </div>
            <div className="dim num" style={{ fontSize: "0.75rem", marginTop: 4 }}>
              {plural(v.false_positive, "false alarm")} of {count(judged)} judged · {v.true_positive} true, {v.benign} benign, {v.duplicate} duplicate
            </div>
          </div>
        )}
        {d.techniques.length > 0 && (
          <div className="row dim" style={{ flexWrap: "wrap", gap: 6 }}>
            {d.techniques.map((t) => (
              <span key={t} className="tag" title={techniqueName(t)}>
                {t}
              </span>
            ))}
          </div>
        )}
      </div>
    </section>
  );
}

function Figure({ name, value, note }: { name: string; value: string; note?: string }) {
  return (
    <div title={note}>
      <dt>{name}</dt>
      <dd style={{ margin: 0 }}>{value}</dd>
    </div>
  );
}
