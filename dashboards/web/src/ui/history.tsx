/* What was done to an alert, by whom and when; one's own last change can be taken back, and something said. */
import "../styles/work.css";
import { Button, Skeleton, Textarea } from "@mantine/core";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { attempt, body, client } from "../api/client";
import { alertHistoryQuery, alertQuery } from "../api/queries";
import type { Alert, AlertChange, Verdict } from "../api/types";
import type { Severity, Status } from "../lib/urlstate";
import { useCan, useSession } from "../session";
import { severityName, statusName, VERDICTS } from "./badges";
import { useKeys } from "./keys";
import { Failed } from "./states";
import { Txt } from "./text";
import { Time } from "./time";
import { useToast } from "./toast";

const DAY = 86_400_000;

function word(field: string, v: string): string {
  if (!v) return "none";
  if (field === "status") return v in { new: 1, in_progress: 1, closed: 1 } ? statusName(v as Status) : v;
  if (field === "verdict") return VERDICTS[v as Verdict] ?? v;
  if (field === "severity") return severityName(v as Severity);
  return v;
}

export function History({ a }: { a: Alert }) {
  const { multi_tenant: multi } = useSession();
  const may = useCan("alerts:triage");
  const queries = useQueryClient();
  const say = useToast();
  const [text, setText] = useState("");
  const [box, setBox] = useState<HTMLTextAreaElement | null>(null);
  const found = useQuery(alertHistoryQuery(a.id, a.triage.version));
  const tenant = multi ? { tenant_id: a.tenant_id } : {};
  const again = () => {
    void queries.invalidateQueries({ queryKey: ["alert-history", a.id] });
    void queries.invalidateQueries({ queryKey: alertQuery(a.id).queryKey });
    void queries.invalidateQueries({ queryKey: ["overview"] });
  };
  const comment = useMutation({
    mutationFn: () => body(client.POST("/api/v1/alerts/{id}/comments", { params: { path: { id: a.id }, header: { "Idempotency-Key": attempt() } }, body: { ...tenant, comment: text.trim() } })),
    onSuccess: () => {
      setText("");
      again();
    },
    onError: (e) => say(`Not saved: ${e.message}`, { bad: true }),
  });
  const undo = useMutation({
    mutationFn: (version: number) => body(client.POST("/api/v1/alerts/{id}/undo", { params: { path: { id: a.id }, header: { "Idempotency-Key": attempt() } }, body: { ...tenant, version } })),
    onSuccess: () => {
      say("Taken back");
      again();
    },
    onError: (e) => say(`Not taken back: ${e.message}`, { bad: true }),
  });
  useKeys(may ? { c: () => box?.focus() } : {});
  const items = found.data?.items ?? [];
  const undone = new Set(items.flatMap((c) => (c.undoes === null ? [] : [c.undoes])));
  const last = items.findLast((c) => c.changes.length > 0 && c.undoes === null && !undone.has(c.version));
  const send = () => text.trim() && !comment.isPending && comment.mutate();
  return (
    <section className="panel" aria-label="History">
      <header>
        <h2>History and comments</h2>
      </header>
      <div className="body stack" style={{ gap: 12 }}>
        {found.isPending ? (
          <Skeleton h={40} />
        ) : found.isError ? (
          <Failed what="The history could not be read" error={found.error} retry={() => void found.refetch()} />
        ) : (
          <ol className="timeline">
            <li>
              <div className="dim">
                Raised by {a.detectors.map((d) => d.name).join(", ")} · <Time at={a.raised_at_event_time} />
              </div>
            </li>
            {items.map((c) => (
              <Entry key={c.version} c={c} undone={undone.has(c.version)} undo={may && c === last && Date.now() - Date.parse(c.at) < DAY ? () => undo.mutate(c.version) : undefined} busy={undo.isPending} />
            ))}
          </ol>
        )}
        {may && (
          <form
            className="stack"
            style={{ gap: 8 }}
            onSubmit={(e) => {
              e.preventDefault();
              send();
            }}
          >
            <Textarea
              ref={setBox}
              aria-label="Comment"
              placeholder="Say what you found (c)"
              size="sm"
              autosize
              minRows={2}
              maxRows={8}
              maxLength={8192}
              value={text}
              onChange={(e) => setText(e.currentTarget.value)}
              onKeyDown={(e) => {
                if (e.key === "Escape") e.currentTarget.blur();
                if (e.key === "Enter" && (e.ctrlKey || e.metaKey)) {
                  e.preventDefault();
                  send();
                }
              }}
            />
            <div className="row" style={{ justifyContent: "space-between" }}>
              <span className="dim">Ctrl Enter sends</span>
              <Button type="submit" variant="default" loading={comment.isPending} disabled={!text.trim()}>
                Comment
              </Button>
            </div>
          </form>
        )}
      </div>
    </section>
  );
}

function Entry({ c, undone, undo, busy }: { c: AlertChange; undone: boolean; undo: (() => void) | undefined; busy: boolean }) {
  return (
    <li data-undone={undone || undefined}>
      <div className="row" style={{ flexWrap: "wrap", rowGap: 2 }}>
        <Txt value={c.actor} className="strong wrap" />
        <span className="dim">
          <Time at={c.at} />
        </span>
        {c.batch && <span className="tag">with others</span>}
        {c.undoes !== null && <span className="tag">took back a change</span>}
        {undone && <span className="tag">taken back</span>}
        <span className="grow" />
        {undo && (
          <Button size="compact-xs" variant="subtle" onClick={undo} loading={busy}>
            Undo
          </Button>
        )}
      </div>
      {c.changes.map((f) => (
        <div key={f.field} className="wrap">
          <span className="dim">{f.field === "assignee" ? "Assignee" : f.field.slice(0, 1).toUpperCase() + f.field.slice(1)}:</span> <s className="dim">{f.from && <Txt value={word(f.field, f.from)} />}</s>
          {f.from && " → "}
          <Txt value={word(f.field, f.to)} />
        </div>
      ))}
      {c.comment && (
        <div className="said wrap">
          <Txt value={c.comment} title="" />
        </div>
      )}
    </li>
  );
}
