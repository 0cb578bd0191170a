/* What is done to the picked alerts, or to the row under the cursor: start, assign, close with a verdict, open again; each can be taken back. */
import { useState } from "react";
import { BULK_MOST, useBulk, useBulkUndo, type BulkChange, type Outcome } from "../api/bulk";
import type { Alert } from "../api/types";
import { plural } from "../lib/format";
import { useSession } from "../session";
import { VERDICTS } from "./badges";
import type { Closing } from "./closedialog";
import { useToast } from "./toast";

export interface QueueActions {
  pending: boolean;
  /** How many the dialog asks about; 0 when it is shut. */
  closing: number;
  close: () => void;
  cancel: () => void;
  closeAs: (c: Closing) => void;
  start: () => void;
  assign: () => void;
  unassign: () => void;
  reopen: () => void;
  tag: (name: string) => void;
  /** What did not become of some, with why, until it is put away. */
  left: { alert: Alert; why: Outcome["kept"][number]["why"] }[];
  dismiss: () => void;
}

export function useQueueActions({ multi, targets, cleared }: { multi: boolean; targets: () => Alert[]; cleared: () => void }): QueueActions {
  const { user } = useSession();
  const me = user.email || user.name;
  const say = useToast();
  const [asked, setAsked] = useState<Alert[]>([]);
  const [left, setLeft] = useState<QueueActions["left"]>([]);
  const undo = useBulkUndo(
    multi,
    (n) => say(n ? `Taken back for ${plural(n, "alert")}` : "Nothing was taken back: they were changed since", { bad: n === 0 }),
    (e) => say(`Not taken back: ${e.message}`, { bad: true }),
  );
  const bulk = useBulk(
    multi,
    (outcome, before, did) => {
      const known = new Map(before.map((a) => [a.id, a]));
      // "Unchanged" is no news when one asked for what already was.
      setLeft(outcome.kept.flatMap((k) => (k.why !== "unchanged" && known.has(k.id) ? [{ alert: known.get(k.id) as Alert, why: k.why }] : [])));
      const same = outcome.kept.filter((k) => k.why === "unchanged").length;
      const n = outcome.changed.length;
      const rest = same ? `; ${same} already ${same === 1 ? "was" : "were"}` : "";
      if (n) {
        say(`${plural(n, "alert")} ${did}${rest}`, { action: { label: "Undo", run: () => undo.mutate({ outcome, before }) } });
        cleared();
      } else say(same ? `Nothing to change: ${same === 1 ? "it is" : "they are"} so already` : "Nothing was changed", { bad: !same });
      for (const f of outcome.failed) say(`Not saved for ${f}`, { bad: true });
    },
    (e) => say(`Not saved: ${e.message}`, { bad: true }),
  );
  const run = (alerts: Alert[], change: BulkChange, what: string) => {
    if (alerts.length === 0) return;
    if (alerts.length > BULK_MOST) {
      say(`At most ${BULK_MOST} alerts can be changed at once; ${alerts.length} are selected.`, { bad: true });
      return;
    }
    setLeft([]);
    bulk.mutate({ alerts, change, what });
  };
  const reopen = () => run(targets(), { status: "new" }, "opened again");
  return {
    pending: bulk.isPending || undo.isPending,
    closing: asked.length,
    close: () => {
      const t = targets();
      if (t.length > 0 && t.every((a) => a.triage.status === "closed")) reopen();
      else setAsked(t);
    },
    cancel: () => setAsked([]),
    closeAs: ({ verdict, comment }) => {
      run(asked, { status: "closed", ...(verdict ? { verdict } : {}), ...(comment ? { comment } : {}) }, verdict ? `closed: ${VERDICTS[verdict].toLowerCase()}` : "closed");
      setAsked([]);
    },
    start: () => run(targets(), { status: "in_progress" }, "in progress"),
    assign: () => run(targets(), { assignee: me }, "assigned to you"),
    unassign: () => run(targets(), { assignee: "" }, "unassigned"),
    reopen,
    tag: (name) => run(targets(), { add_tags: [name] }, `tagged “${name}”`),
    left,
    dismiss: () => setLeft([]),
  };
}
