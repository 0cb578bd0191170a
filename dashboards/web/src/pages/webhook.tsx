/* What was sent to one destination and how it went; a test with the whole exchange; sending again. */
import "../styles/dialog";
import "../styles/work.css";
import { Button, Modal } from "@mantine/core";
import { useInfiniteQuery, useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { useState } from "react";
import { attempt, body, client } from "../api/client";
import { attemptsQuery, deliveriesQuery, webhooksQuery } from "../api/queries";
import type { Delivery, TestExchange, Webhook } from "../api/types";
import { count, plural, quantity } from "../lib/format";
import { useCan, useScope } from "../session";
import { Confirm, More, Secret } from "../ui/admin";
import { HookState } from "../ui/hookstate";
import { IconAlertCircle, IconClock, IconDone, IconKey, IconPlay, IconRefresh, IconWebhook } from "../ui/icons";
import { Empty, Failed, SkeletonRows } from "../ui/states";
import { Txt } from "../ui/text";
import { Time } from "../ui/time";
import { useTitle } from "../ui/title";
import { useToast } from "../ui/toast";

const route = getRouteApi("/in/webhooks/$id");

const STATES = {
  delivered: [IconDone, "Delivered", "var(--tw-good)"],
  pending: [IconClock, "Pending", "var(--tw-medium)"],
  dead: [IconAlertCircle, "Given up", "var(--tw-critical)"],
} as const;

export default function WebhookPage() {
  const { id } = route.useParams();
  const search = route.useSearch();
  const { param, multi } = useScope(search.tenant);
  const manage = useCan("webhooks:manage");
  const hooks = useInfiniteQuery(webhooksQuery(param));
  const hook = hooks.data?.pages.flatMap((p) => p.items).find((w) => w.id === id);
  const list = useInfiniteQuery({ ...deliveriesQuery(id), refetchInterval: 5000 });
  const rows = list.data?.pages.flatMap((p) => p.items) ?? [];
  const dead = rows.filter((d) => d.status === "dead").length;
  const [picked, setPicked] = useState<ReadonlySet<number>>(new Set());
  const [looked, setLooked] = useState<number>();
  const [rotating, setRotating] = useState(false);
  const queries = useQueryClient();
  const say = useToast();
  useTitle(hook?.name || "Webhook");
  const whose = multi && hook ? { tenant_id: hook.tenant_id } : {};
  const once = () => ({ path: { id }, header: { "Idempotency-Key": attempt() } });
  const test = useMutation({
    mutationFn: () => body(client.POST("/api/v1/webhooks/{id}/test", { params: once(), body: whose })),
    onError: (e) => say(`The test was not sent: ${e.message}`, { bad: true }),
  });
  const again = useMutation({
    mutationFn: (seqs: number[] | undefined) => body(client.POST("/api/v1/webhooks/{id}/redeliver", { params: once(), body: { ...whose, ...(seqs ? { seqs } : {}) } })),
    onSuccess: (r) => {
      setPicked(new Set());
      say(r.owed ? `${plural(r.owed, "delivery", "deliveries")} owed again` : "Nothing to send again");
      void queries.invalidateQueries({ queryKey: deliveriesQuery(id).queryKey });
    },
    onError: (e) => say(`Not sent again: ${e.message}`, { bad: true }),
  });
  const state = useMutation({
    mutationFn: (status: "active" | "paused") => body(client.PATCH("/api/v1/webhooks/{id}", { params: { path: { id } }, body: { ...whose, status } })),
    onSuccess: (w) => {
      say(w.status === "paused" ? "Paused: alerts wait here until it is resumed" : "Active again");
      void queries.invalidateQueries({ queryKey: ["webhooks"] });
    },
    onError: (e) => say(`Not changed: ${e.message}`, { bad: true }),
  });
  const signed = !hook?.kind || hook.kind === "webhook";
  return (
    <div className="doc">
      <header className="dochead">
        <div className="grow">
          <h1>
            <Txt value={hook?.name || "Webhook"} />
          </h1>
          {hook && (
            <p className="dim wrap">
              {hook.kind && <span className="tag">{hook.kind}</span>}
              <Txt value={hook.url} mono /> · <HookState hook={hook} />
              {hook.min_severity && hook.min_severity !== "informational" ? ` · from ${hook.min_severity} on` : ""}
            </p>
          )}
        </div>
        {manage && hook && (
          <div className="row" style={{ flexWrap: "wrap" }}>
            <Button leftSection={<IconPlay size={14} />} loading={test.isPending} onClick={() => test.mutate()}>
              Send a test
            </Button>
            {hook.status !== "gone" && (
              <Button variant="default" loading={state.isPending} onClick={() => state.mutate(hook.status === "paused" ? "active" : "paused")}>
                {hook.status === "paused" ? "Resume" : "Pause"}
              </Button>
            )}
            {signed && (
              <Button variant="default" leftSection={<IconKey size={14} />} onClick={() => setRotating(true)}>
                Rotate the secret
              </Button>
            )}
          </div>
        )}
      </header>
      {test.data && <Exchange x={test.data} close={() => test.reset()} />}
      <section className="panel">
        <header>
          <h2>Deliveries</h2>
          <span className="dim">newest first</span>
          <span className="grow" />
          {manage && picked.size > 0 && (
            <Button size="compact-sm" variant="default" loading={again.isPending} onClick={() => again.mutate([...picked])}>
              Send {count(picked.size)} again
            </Button>
          )}
          {manage && dead > 0 && (
            <Button size="compact-sm" variant="default" loading={again.isPending} onClick={() => again.mutate(undefined)}>
              Send all given up again
            </Button>
          )}
          <Button size="compact-sm" variant="subtle" leftSection={<IconRefresh size={13} />} onClick={() => void list.refetch()}>
            Read again
          </Button>
        </header>
        {list.isPending ? (
          <SkeletonRows rows={6} />
        ) : list.isError ? (
          <Failed what="The deliveries could not be read" error={list.error} retry={() => void list.refetch()} />
        ) : rows.length === 0 ? (
          <Empty icon={IconWebhook} title="Nothing was sent yet">
            <p>The next alert of this tenant is delivered here.</p>
          </Empty>
        ) : (
          <div className="tscroll" tabIndex={0} role="region" aria-label="Deliveries">
            <table className="plain num">
              <thead>
                <tr>
                  {manage && (
                    <th>
                      <span className="sr">Select</span>
                    </th>
                  )}
                  <th>State</th>
                  <th>Alert</th>
                  <th className="right">Sequence</th>
                  <th className="right">Attempts</th>
                  <th>Answer</th>
                  <th>Created</th>
                  <th>Finished</th>
                </tr>
              </thead>
              <tbody>
                {rows.map((d) => (
                  <Row
                    key={`${d.alert_id}/${d.revision}`}
                    d={d}
                    look={() => setLooked(d.seq)}
                    pick={manage ? { on: picked.has(d.seq), flip: () => setPicked((s) => new Set(s.has(d.seq) ? [...s].filter((x) => x !== d.seq) : [...s, d.seq])) } : undefined}
                  />
                ))}
              </tbody>
            </table>
            <More has={list.hasNextPage} loading={list.isFetchingNextPage} load={() => void list.fetchNextPage()} />
          </div>
        )}
      </section>
      {looked !== undefined && <Attempts id={id} seq={looked} close={() => setLooked(undefined)} again={manage ? () => (again.mutate([looked]), setLooked(undefined)) : undefined} />}
      {rotating && hook && <Rotate hook={hook} whose={whose} close={() => setRotating(false)} />}
    </div>
  );
}

function Row({ d, look, pick }: { d: Delivery; look: () => void; pick: { on: boolean; flip: () => void } | undefined }) {
  const [Icon, name, color] = STATES[d.status];
  return (
    <tr>
      {pick && (
        <td>
          <label className="pickbox" style={{ margin: "-6px 0" }}>
            <input type="checkbox" aria-label={`Select sequence ${d.seq}`} checked={pick.on} onChange={pick.flip} />
          </label>
        </td>
      )}
      <th scope="row">
        <span className="row" style={{ gap: 6 }}>
          <Icon size={15} style={{ color }} aria-hidden /> {name}
        </span>
      </th>
      <td>
        <Link to="/alerts/$id" params={{ id: d.alert_id }} className="link mono" title={d.alert_id}>
          …{d.alert_id.slice(-8)}
        </Link>
        {d.revision > 1 && <span className="dim">, revision {d.revision}</span>}
      </td>
      <td className="right">{d.seq}</td>
      <td className="right">
        {d.attempts > 0 ? (
          <button type="button" className="plain link" onClick={look} aria-label={`${plural(d.attempts, "attempt")} of sequence ${d.seq}: show`}>
            {d.attempts}
          </button>
        ) : (
          0
        )}
      </td>
      <td className="wrap" style={{ maxWidth: 320 }}>
        {d.error?.startsWith(String(d.response_status)) ? "" : d.response_status} {d.error && <Txt value={d.error} className="dim" />}
        {d.response_status === null && !d.error && <span className="dim">–</span>}
      </td>
      <td>
        <Time at={d.created_at} />
      </td>
      <td>{d.finished_at ? <Time at={d.finished_at} /> : <span className="dim">not yet</span>}</td>
    </tr>
  );
}

/** The whole exchange as it went over the wire; what came back is shown as text only. */
function Exchange({ x, close }: { x: TestExchange; close: () => void }) {
  return (
    <section className="panel exchange" aria-label="Test" role="status">
      <header>
        {x.delivered ? <IconDone size={16} color="var(--tw-good)" aria-hidden /> : <IconAlertCircle size={16} color="var(--tw-critical)" aria-hidden />}
        <h2>{x.delivered ? "The test arrived" : "The test did not arrive"}</h2>
        <span className="dim num">
          {x.protocol}, {quantity(x.latency_ms)} ms
        </span>
        <span className="grow" />
        <Button size="compact-xs" variant="default" onClick={close}>
          Dismiss
        </Button>
      </header>
      <div className="body">
        {x.error && (
          <p className="formerror wrap" style={{ marginTop: 0 }}>
            <Txt value={x.error} title="" />
          </p>
        )}
        <div className="exchangecols">
          <Lines name="Sent, secrets left out" text={x.request} />
          <Lines name="Answered" text={x.response} />
        </div>
      </div>
    </section>
  );
}

function Lines({ name, text }: { name: string; text: string }) {
  return (
    <div style={{ minWidth: 0 }}>
      <div className="fieldlabel">{name}</div>
      <pre className="code" tabIndex={0} aria-label={name}>
        {text
          ? text.split(/\r?\n/).map((l, i) => (
              <span key={i}>
                <Txt value={l} title="" />
                {"\n"}
              </span>
            ))
          : "nothing"}
      </pre>
    </div>
  );
}

function Attempts({ id, seq, close, again }: { id: string; seq: number; close: () => void; again: (() => void) | undefined }) {
  const found = useQuery(attemptsQuery(id, seq));
  return (
    <Modal opened onClose={close} title={`Attempts to send sequence ${seq}`} size="lg" closeButtonProps={{ "aria-label": "Close" }}>
      <div className="stack">
        {found.isPending ? (
          <SkeletonRows rows={2} />
        ) : found.isError ? (
          <Failed what="The attempts could not be read" error={found.error} retry={() => void found.refetch()} />
        ) : found.data.items.length === 0 ? (
          <p className="dim">Attempts are kept for 30 days; none is left.</p>
        ) : (
          <ol className="timeline">
            {found.data.items.map((a) => (
              <li key={a.attempt}>
                <div className="row num" style={{ flexWrap: "wrap", rowGap: 2 }}>
                  <b>{a.response_status ?? "No answer"}</b>
                  <span className="dim">
                    attempt {a.attempt}, {quantity(a.latency_ms)} ms · <Time at={a.at} as="both" />
                  </span>
                </div>
                {a.error && (
                  <div className="wrap" style={{ color: "var(--tw-critical)" }}>
                    <Txt value={a.error} title="" />
                  </div>
                )}
                {a.answer && <Lines name="Answered" text={a.answer} />}
              </li>
            ))}
          </ol>
        )}
        <div className="row" style={{ justifyContent: "flex-end" }}>
          <Button variant="default" onClick={close}>
            Close
          </Button>
          {again && <Button onClick={again}>Send again</Button>}
        </div>
      </div>
    </Modal>
  );
}

function Rotate({ hook, whose, close }: { hook: Webhook; whose: { tenant_id?: string }; close: () => void }) {
  const rotate = useMutation({
    mutationFn: () => body(client.POST("/api/v1/webhooks/{id}/rotate", { params: { path: { id: hook.id }, header: { "Idempotency-Key": attempt() } }, body: { ...whose, overlap_hours: 24 } })),
  });
  if (!rotate.data)
    return (
      <Confirm opened close={close} run={() => rotate.mutate()} pending={rotate.isPending} title="Make a new signing secret?" verb="Make a new secret">
        For 24 hours every message carries a signature by each of the two secrets, so that the receiver can change over without a gap.
        {rotate.error && (
          <p className="formerror wrap" role="alert">
            {rotate.error.message}
          </p>
        )}
      </Confirm>
    );
  return (
    <Modal opened onClose={close} title="The new signing secret" closeButtonProps={{ "aria-label": "Close" }} closeOnClickOutside={false}>
      <div className="stack">
        <Secret secret={rotate.data.secret} label="signing secret">
          <p className="dim" style={{ margin: 0 }}>
            The old one is good for 24 more hours.
          </p>
        </Secret>
        <div className="row" style={{ justifyContent: "flex-end" }}>
          <Button onClick={close}>I have copied it</Button>
        </div>
      </div>
    </Modal>
  );
}
