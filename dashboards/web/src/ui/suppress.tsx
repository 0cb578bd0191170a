/* Hiding what is known and fine: which alerts, until when, why; and first what it would have hidden. */
import "../styles/dialog";
import "../styles/work.css";
import { Button, Modal, SegmentedControl, Textarea, TextInput } from "@mantine/core";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { attempt, body, client } from "../api/client";
import { asApiError } from "../api/problem";
import type { Alert, Event, SuppressionPreview } from "../api/types";
import { count, plural } from "../lib/format";
import { useSession } from "../session";
import { useTenantField } from "./admin";
import { SeverityMark, StatusMark } from "./badges";
import { IconAlertCircle, IconDone } from "./icons";
import { EMPTY, ScopeFields, scopeOf, scopeReady, type Draft, type Offer } from "./scope";
import { Txt } from "./text";
import { Time } from "./time";
import { useToast } from "./toast";

const SPANS = [
  { value: "1", label: "1 day" },
  { value: "7", label: "1 week" },
  { value: "30", label: "30 days" },
  { value: "90", label: "90 days" },
];

/** The parts of a scope an alert and its evidence offer, the narrowest first. */
export function offersOf(a: Alert, events: Event[]): { draft: Draft; offers: Offer[] } {
  const offers: Offer[] = [{ label: `Entity, ${a.entity.type}:`, field: "entity_id", value: a.entity.id, also: { entity_type: a.entity.type } }];
  for (const d of a.detectors) offers.push({ label: "Detector:", field: "detector", value: d.name });
  const seen = (f: (e: Event) => string | undefined, most: number) => {
    const n = new Map<string, number>();
    for (const e of events) {
      const v = f(e);
      if (v) n.set(v, (n.get(v) ?? 0) + 1);
    }
    return [...n].sort((x, y) => y[1] - x[1]).slice(0, most).map(([v]) => v);
  };
  for (const v of seen((e) => e.action || undefined, 3)) offers.push({ label: "Action:", field: "action", value: v });
  const ips = a.entity.type === "address" ? [a.entity.id] : seen((e) => e.src_ip ?? undefined, 2);
  for (const ip of ips) offers.push({ label: "Network:", field: "network", value: ip.includes("/") ? ip : `${ip}/${ip.includes(":") ? 128 : 32}` });
  return { draft: { ...EMPTY, entity_type: a.entity.type, entity_id: a.entity.id, detector: a.detectors[0]?.name ?? "" }, offers };
}

export default function Suppress({ alert, events = [], tenant, close }: { alert?: Alert; events?: Event[]; tenant?: string | undefined; close: () => void }) {
  const { user, multi_tenant: multi } = useSession();
  const picked = useTenantField(alert?.tenant_id ?? tenant);
  const start = alert ? offersOf(alert, events) : { draft: EMPTY, offers: [] };
  const [draft, setDraft] = useState<Draft>(start.draft);
  const [days, setDays] = useState("30");
  const [reason, setReason] = useState("");
  const [owner, setOwner] = useState(user.email || user.name);
  const [override, setOverride] = useState("");
  const queries = useQueryClient();
  const say = useToast();
  const scope = scopeOf(draft);
  const ready = scopeReady(scope) && Boolean(picked.value);
  const whose = multi && picked.value ? { tenant_id: picked.value } : {};
  const preview = useMutation({ mutationFn: () => body(client.POST("/api/v1/suppressions/preview", { params: { header: { "Idempotency-Key": attempt() } }, body: { ...whose, scope, days: 90 } })) });
  const make = useMutation({
    mutationFn: () =>
      body(
        client.POST("/api/v1/suppressions", {
          params: { header: { "Idempotency-Key": attempt() } },
          body: { ...whose, scope, until: new Date(Date.now() + Number(days) * 86_400_000).toISOString(), owner: owner.trim(), reason: reason.trim(), ...(override.trim() ? { override: override.trim() } : {}) },
        }),
      ),
    onSuccess: (r) => {
      void queries.invalidateQueries({ queryKey: ["suppressions"] });
      say(`Suppressed until ${r.suppression.until.slice(0, 10)}: it would have hidden ${plural(r.preview.hidden, "alert")} of the last 90 days`);
      close();
    },
  });
  const change = (d: Draft) => {
    setDraft(d);
    preview.reset();
    make.reset();
  };
  const p = preview.data;
  const bad = (p?.confirmed.length ?? 0) > 0;
  const error = make.error ? asApiError(make.error) : preview.error ? asApiError(preview.error) : undefined;
  return (
    <Modal opened onClose={close} title="Suppress alerts" size={680} closeButtonProps={{ "aria-label": "Close" }} closeOnClickOutside={false}>
      <form
        className="stack"
        style={{ gap: 16 }}
        onSubmit={(e) => {
          e.preventDefault();
          if (!ready) return;
          if (!p) preview.mutate();
          else make.mutate();
        }}
      >
        {!alert && picked.field}
        <ScopeFields draft={draft} set={change} offers={start.offers} />
        {!scopeReady(scope) && <p className="dim" style={{ margin: 0 }}>Choose an entity, an action, a network or a label: a detector alone cannot be suppressed.</p>}
        <div className="row" style={{ flexWrap: "wrap", gap: 10 }}>
          <Button variant={p ? "default" : "filled"} type="button" disabled={!ready} loading={preview.isPending} onClick={() => preview.mutate()}>
            {p ? "Look again" : "What would it have hidden?"}
          </Button>
          <span className="dim">in the last 90 days; needed before it can be saved</span>
        </div>
        {p && <Preview p={p} />}
        {p && (
          <>
            <div>
              <div className="fieldlabel" id="until-label">
                Until
              </div>
              <SegmentedControl size="xs" aria-labelledby="until-label" value={days} onChange={setDays} data={SPANS} />
            </div>
            <Textarea label="Reason" description="Why this is known and fine; others will read it" required size="sm" autosize minRows={2} maxRows={5} maxLength={2000} value={reason} onChange={(e) => setReason(e.currentTarget.value)} error={error?.field("reason")?.message} />
            <TextInput label="Owner" description="Who answers for it" required maxLength={254} value={owner} onChange={(e) => setOwner(e.currentTarget.value)} />
            {bad && (
              <Textarea
                label="Why it may hide a confirmed attack"
                description="Without this it is refused"
                required
                size="sm"
                autosize
                minRows={2}
                maxLength={2000}
                value={override}
                onChange={(e) => setOverride(e.currentTarget.value)}
              />
            )}
          </>
        )}
        {error && (
          <div role="alert" className="formerror wrap">
            {error.title}. {error.detail} {error.errors.map((x) => `${x.field}: ${x.message}`).join("; ")}
          </div>
        )}
        <div className="row" style={{ justifyContent: "flex-end" }}>
          <Button variant="default" onClick={close}>
            Cancel
          </Button>
          {p && (
            <Button type="submit" color={bad ? "red.8" : "tide"} loading={make.isPending} disabled={!ready || !reason.trim() || !owner.trim() || (bad && !override.trim())}>
              {bad ? "Suppress all the same" : "Suppress"}
            </Button>
          )}
        </div>
      </form>
    </Modal>
  );
}

function Preview({ p }: { p: SuppressionPreview }) {
  const bad = p.confirmed.length > 0;
  return (
    <section className="preview" data-bad={bad || undefined} aria-label="What it would have hidden" role="status">
      <div className="row" style={{ alignItems: "flex-start" }}>
        {bad ? <IconAlertCircle size={17} color="var(--tw-critical)" aria-hidden style={{ flex: "none" }} /> : <IconDone size={17} color="var(--tw-good)" aria-hidden style={{ flex: "none" }} />}
        <span className="wrap">
          It would have hidden <b className="num">{plural(p.hidden, "alert")}</b> of {count(p.scanned)}
          {p.truncated ? " looked at (there are more)" : ""} since {p.from.slice(0, 10)}
          {bad ? (
            <>
              , <b>{count(p.confirmed.length)} of them confirmed as a true positive</b>.
            </>
          ) : (
            "; none of them was confirmed as a true positive."
          )}
        </span>
      </div>
      {p.alerts.length > 0 && (
        <ul className="similar scrollbox">
          {p.alerts.map((a) => (
            <li key={a.id}>
              <a href={`/alerts/${encodeURIComponent(a.id)}`} target="_blank" rel="noreferrer">
                <SeverityMark value={a.severity} iconOnly />
                <span className="grow cut">
                  <Txt value={a.title} />
                </span>
                {p.confirmed.includes(a.id) && <span className="newtag">confirmed</span>}
                <StatusMark value={a.triage.status} verdict={a.triage.verdict} />
                <span className="dim" style={{ flex: "none" }}>
                  <Time at={a.raised_at_event_time} />
                </span>
              </a>
            </li>
          ))}
        </ul>
      )}
    </section>
  );
}

