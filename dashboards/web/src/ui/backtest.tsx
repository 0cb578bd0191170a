/* Trying other settings on what is stored: asked for, watched, and read as a table of before and after. */
import "@mantine/core/styles/Progress.layer.css";
import "../styles/dialog";
import "../styles/work.css";
import { Button, Modal, NativeSelect, Progress, TextInput } from "@mantine/core";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { attempt, body, client } from "../api/client";
import { asApiError } from "../api/problem";
import { backtestQuery, backtestsQuery } from "../api/queries";
import type { Backtest, BacktestResult } from "../api/types";
import { count, plural, quantity } from "../lib/format";
import { SEVERITIES } from "../lib/urlstate";
import { useCan, useScope } from "../session";
import { useTenantField } from "./admin";
import { EntityMark, SeverityMark, TenantMark } from "./badges";
import { IconDown, IconFlask, IconPlus, IconRight, IconTrash } from "./icons";
import { Empty, Failed, SkeletonRows } from "./states";
import { Txt } from "./text";
import { Time } from "./time";
import { useToast } from "./toast";

const running = (b: Backtest) => b.status === "queued" || b.status === "running";

export default function Backtests({ param, detectors }: { param: string | undefined; detectors: string[] }) {
  const { multi } = useScope(param);
  const may = useCan("alerts:triage");
  const list = useQuery(backtestsQuery(param));
  const [making, setMaking] = useState(false);
  const [open, setOpen] = useState<string>();
  return (
    <section className="panel" aria-label="Backtests">
      <header>
        <h2>Backtests</h2>
        <span className="dim">Other settings, tried on what is stored; live alerts are not touched</span>
        <span className="grow" />
        {may && (
          <Button variant="default" leftSection={<IconPlus size={14} />} onClick={() => setMaking(true)}>
            New backtest
          </Button>
        )}
      </header>
      {list.isPending ? (
        <SkeletonRows rows={2} />
      ) : list.isError ? (
        <Failed what="The backtests could not be read" error={list.error} retry={() => void list.refetch()} />
      ) : list.data.items.length === 0 ? (
        <Empty icon={IconFlask} title="No backtest yet">
          <p>See how many alerts another budget or sensitivity would have raised over the last days, and which, before anything is changed.</p>
        </Empty>
      ) : (
        <ul className="bts">
          {list.data.items.map((b) => (
            <Row key={b.id} b={b} multi={multi} may={may} open={open === b.id} toggle={() => setOpen(open === b.id ? undefined : b.id)} />
          ))}
        </ul>
      )}
      {making && <Make param={param} detectors={detectors} close={() => setMaking(false)} made={(id) => (setMaking(false), setOpen(id))} />}
    </section>
  );
}

function Row({ b, multi, may, open, toggle }: { b: Backtest; multi: boolean; may: boolean; open: boolean; toggle: () => void }) {
  const queries = useQueryClient();
  const say = useToast();
  const found = useQuery({ ...backtestQuery(multi ? b.tenant_id : undefined, b.id), enabled: open });
  const now = found.data && !running(b) ? found.data : b;
  const remove = useMutation({
    mutationFn: () => body(client.DELETE("/api/v1/backtests/{id}", { params: { path: { id: b.id }, query: multi ? { tenant_id: b.tenant_id } : {} } })),
    onSuccess: () => {
      say(running(b) ? "Backtest stopped" : "Backtest removed");
      void queries.invalidateQueries({ queryKey: ["backtests"] });
    },
    onError: (e) => say(`Not removed: ${e.message}`, { bad: true }),
  });
  const Icon = open ? IconDown : IconRight;
  const share = b.total > 0 ? Math.min(100, (b.done / b.total) * 100) : 0;
  return (
    <li>
      <div className="row" style={{ flexWrap: "wrap", rowGap: 4 }}>
        <button type="button" className="plain row strong" style={{ gap: 6, color: "inherit", minWidth: 0 }} aria-expanded={open} onClick={toggle}>
          <Icon size={15} aria-hidden style={{ flex: "none" }} />
          <Txt value={b.name || b.labels.slice(1).join(" and ") || "As it is set now"} className="cut" />
        </button>
        {multi && (
          <span className="row dim" style={{ gap: 6 }}>
            <TenantMark id={b.tenant_id} /> {b.tenant_id}
          </span>
        )}
        <span className="dim num">
          {b.from.slice(0, 10)} to {b.to.slice(0, 10)}
        </span>
        <span className="grow" />
        {b.status === "failed" && <span style={{ color: "var(--tw-critical)" }}>Failed</span>}
        <span className="dim">
          <Time at={b.created_at} /> by <Txt value={b.created_by} />
        </span>
        {may && (
          <Button size="compact-xs" variant="subtle" color="gray" leftSection={<IconTrash size={13} />} loading={remove.isPending} onClick={() => remove.mutate()}>
            {running(b) ? "Stop" : "Remove"}
          </Button>
        )}
      </div>
      {running(b) && (
        <div className="row" style={{ marginTop: 8 }}>
          <Progress value={b.total ? share : 100} animated={b.total === 0} striped={b.total === 0} size="sm" style={{ flex: 1 }} aria-label="Events scored" />
          <span className="num dim" role="status" style={{ minWidth: 130, textAlign: "right" }}>
            {b.status === "queued" ? "Waiting its turn" : b.total ? `${count(b.done)} of ${count(b.total)}` : `${plural(b.done, "event")}`}
          </span>
        </div>
      )}
      {b.error && <p className="formerror wrap" style={{ margin: "6px 0 0" }}><Txt value={b.error} /></p>}
      {open && !running(b) && (found.isPending ? <SkeletonRows rows={3} height={32} /> : found.isError ? <Failed what="The results could not be read" error={found.error} retry={() => void found.refetch()} /> : now.results?.length ? <Results b={now} results={now.results} /> : null)}
    </li>
  );
}

function Results({ b, results }: { b: Backtest; results: BacktestResult[] }) {
  const first = results[0];
  if (!first) return null;
  const lines: [string, (r: BacktestResult) => number][] = [
    ["Alerts", (r) => r.alerts],
    ["Alerts a day", (r) => r.alerts_per_day],
    ["Most on one day", (r) => r.most_alerts_on_a_day],
    ...SEVERITIES.map((s): [string, (r: BacktestResult) => number] => [`of them ${s}`, (r) => r.by_severity[s] ?? 0]),
    ["Hidden by suppressions", (r) => r.hidden],
    ["Findings", (r) => r.findings.findings],
    ["Below budget", (r) => r.findings.below_budget],
  ];
  return (
    <div className="stack" style={{ gap: 12, marginTop: 10 }}>
      <div className="tscroll" tabIndex={0} role="region" aria-label="Before and after">
        <table className="plain compare">
          <thead>
            <tr>
              <th>
                <span className="sr">Figure</span>
              </th>
              {b.labels.map((l, i) => (
                <th key={i} className="right">
                  {i === 0 ? "As set now" : <Txt value={l || `Variant ${i}`} />}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {lines
              .filter(([, f]) => results.some((r) => f(r) > 0))
              .map(([name, f]) => (
                <tr key={name}>
                  <th scope="row">{name}</th>
                  {results.map((r, i) => {
                    const by = f(r) - f(first);
                    return (
                      <td key={i} className="right num">
                        {quantity(f(r))}
                        {i > 0 && Math.abs(by) > 1e-9 && (
                          <span className="dim">
                            {" "}
                            ({by > 0 ? "+" : "−"}
                            {quantity(Math.abs(by))})
                          </span>
                        )}
                      </td>
                    );
                  })}
                </tr>
              ))}
            <tr>
              <th scope="row">Alerts only there</th>
              {results.map((r, i) => (
                <td key={i} className="right num">
                  {i === 0 ? "–" : count(r.added)}
                </td>
              ))}
            </tr>
            <tr>
              <th scope="row">Alerts missing there</th>
              {results.map((r, i) => (
                <td key={i} className="right num">
                  {i === 0 ? "–" : count(r.missing)}
                </td>
              ))}
            </tr>
          </tbody>
        </table>
      </div>
      <p className="dim num" style={{ margin: 0 }}>
        {plural(first.events, "event")} scored over {quantity(first.days)} days
      </p>
      {results.slice(1).map((r, i) => (
        <div key={i}>
          <Which title={`Only with ${b.labels[i + 1] || `variant ${i + 1}`}`} list={r.list.filter((a) => !a.also_in_first)} />
          <Which title={`Missing with ${b.labels[i + 1] || `variant ${i + 1}`}`} list={r.missing_list} />
        </div>
      ))}
    </div>
  );
}

function Which({ title, list }: { title: string; list: BacktestResult["list"] }) {
  if (list.length === 0) return null;
  return (
    <details className="which">
      <summary>
        {title}: {plural(list.length, "alert")}
      </summary>
      <ul className="similar scrollbox">
        {list.slice(0, 200).map((a) => (
          <li key={a.id}>
            <div>
              <SeverityMark value={a.severity} iconOnly />
              <span className="num">{a.score.toFixed(1)}</span>
              <span className="grow">
                <Txt value={a.title} className="wrap" />
                <span className="dim" style={{ fontSize: "0.75rem" }}>
                  <EntityMark value={a.entity} />
                </span>
              </span>
              <span className="dim" style={{ flex: "none" }}>
                <Time at={a.raised_at_event_time} />
              </span>
            </div>
          </li>
        ))}
      </ul>
    </details>
  );
}

function Make({ param, detectors, close, made }: { param: string | undefined; detectors: string[]; close: () => void; made: (id: string) => void }) {
  const t = useTenantField(param);
  const [days, setDays] = useState("7");
  const [budget, setBudget] = useState("");
  const [detector, setDetector] = useState("");
  const [factor, setFactor] = useState("0.5");
  const [name, setName] = useState("");
  const [once, setOnce] = useState(attempt);
  const queries = useQueryClient();
  const parts = [...(budget ? [`budget ${budget}`] : []), ...(detector ? [`${detector} × ${factor}`] : [])];
  const make = useMutation({
    mutationFn: () => {
      const to = new Date();
      return body(
        client.POST("/api/v1/backtests", {
          params: { header: { "Idempotency-Key": once } },
          body: {
            ...t.body,
            ...(name.trim() ? { name: name.trim() } : {}),
            from: new Date(to.getTime() - Number(days) * 86_400_000).toISOString(),
            to: to.toISOString(),
            variants: [{ label: parts.join(", "), ...(budget ? { budget: Number(budget) } : {}), ...(detector ? { sensitivity: [{ detector, factor: Number(factor) }] } : {}) }],
          },
        }),
      );
    },
    onSuccess: (b) => {
      void queries.invalidateQueries({ queryKey: ["backtests"] });
      made(b.id);
    },
    onError: () => setOnce(attempt()),
  });
  const error = make.error ? asApiError(make.error) : undefined;
  return (
    <Modal opened onClose={close} title="New backtest" closeButtonProps={{ "aria-label": "Close" }} closeOnClickOutside={false}>
      <form
        className="stack"
        style={{ gap: 14 }}
        onSubmit={(e) => {
          e.preventDefault();
          if (t.value && parts.length) make.mutate();
        }}
      >
        {t.field}
        <NativeSelect label="Over the last" size="sm" value={days} onChange={(e) => setDays(e.currentTarget.value)} data={["1", "7", "14", "30", "90"].map((d) => ({ value: d, label: d === "1" ? "day" : `${d} days` }))} />
        <TextInput label="Alerts a day (budget)" description="Leave empty to keep what is set" type="number" min={0} max={10000} size="sm" value={budget} onChange={(e) => setBudget(e.currentTarget.value)} error={error?.field("budget")?.message} />
        <div className="row" style={{ alignItems: "flex-end" }}>
          <NativeSelect label="Sensitivity of" size="sm" style={{ flex: 1 }} value={detector} onChange={(e) => setDetector(e.currentTarget.value)} data={[{ value: "", label: "keep all as set" }, ...detectors]} />
          {detector && <TextInput label="Factor" type="number" step={0.01} min={0.01} max={10} size="sm" w={96} value={factor} onChange={(e) => setFactor(e.currentTarget.value)} />}
        </div>
        {detector && <span className="dim">Below 1 asks for more evidence, above 1 for less.</span>}
        <TextInput label="Name" description="Optional" size="sm" maxLength={200} value={name} onChange={(e) => setName(e.currentTarget.value)} />
        {error && (
          <div role="alert" className="formerror wrap">
            {error.title}. {error.detail}
          </div>
        )}
        <div className="row" style={{ justifyContent: "flex-end" }}>
          <Button variant="default" onClick={close}>
            Cancel
          </Button>
          <Button type="submit" loading={make.isPending} disabled={!t.value || parts.length === 0}>
            Run
          </Button>
        </div>
      </form>
    </Modal>
  );
}
