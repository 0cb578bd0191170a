/* What became of an alert, and saying so: at once on the screen, with a conflict shown when somebody else was quicker. */
import { useQuery } from "@tanstack/react-query";
import { Button } from "@mantine/core";
import { Link } from "@tanstack/react-router";
import { lazy, Suspense, useState } from "react";
import { alertEventsQuery, type AlertWithTag } from "../api/queries";
import { useTriage } from "../api/triage";
import type { TriagePatch } from "../api/types";
import { auditOf } from "../lib/investigate";
import { useCan, useSession } from "../session";
import { statusName, VERDICTS } from "./badges";
import { IconMute, IconSearch } from "./icons";
import { useKeys } from "./keys";
import { Txt } from "./text";
import { Time } from "./time";
import { useToast } from "./toast";

const CloseDialog = lazy(() => import("./closedialog"));
const Suppress = lazy(() => import("./suppress"));

export function TriageBar({ seen }: { seen: AlertWithTag }) {
  const a = seen.alert;
  const session = useSession();
  const may = useCan("alerts:triage");
  const tune = useCan("alerts:tune");
  const events = useCan("events:read");
  const [asked, setAsked] = useState<"close" | "suppress">();
  const evidence = useQuery({ ...alertEventsQuery(a.id, a.revision), enabled: tune && events });
  const say = useToast();
  const [lost, setLost] = useState<{ patch: TriagePatch; now: AlertWithTag }>();
  const change = useTriage({
    done: (now) => say(`Saved: ${now.triage.verdict && now.triage.status === "closed" ? VERDICTS[now.triage.verdict] : statusName(now.triage.status)}`),
    conflict: (now, c) => setLost({ patch: c.patch, now }),
    failed: (e) => say(`Not saved: ${e.message}`, { bad: true }),
  });
  const save = (patch: TriagePatch, on = seen) => {
    setLost(undefined);
    change.mutate({ id: a.id, tenant: session.multi_tenant ? a.tenant_id : undefined, patch, seen: on });
  };
  const { status, verdict, assignee } = a.triage;
  const me = session.user.email || session.user.name;
  const close = () => (status === "closed" ? save({ status: "new", verdict: null }) : setAsked("close"));
  useKeys({
    ...(may ? { e: close, s: () => save({ status: "in_progress", assignee: assignee ?? me }), a: () => save({ assignee: assignee === me ? null : me }) } : {}),
    ...(tune ? { h: () => setAsked("suppress") } : {}),
  });

  const audit = (
    <Button variant="default" leftSection={<IconSearch size={14} />} renderRoot={(p) => <Link to="/audit" search={auditOf(a, session.multi_tenant)} {...p} />}>
      View in audit
    </Button>
  );
  return (
    <>
      <div className="triage">
        {may && (
          <>
            {status === "closed" ? (
              <Button variant="default" onClick={close} disabled={change.isPending}>
                Open again
              </Button>
            ) : (
              <>
                {status === "new" && (
                  <Button onClick={() => save({ status: "in_progress", assignee: assignee ?? me })} disabled={change.isPending}>
                    Start work
                  </Button>
                )}
                <Button variant={status === "new" ? "default" : "filled"} onClick={close} disabled={change.isPending}>
                  Close as…
                </Button>
              </>
            )}
            {assignee === me ? (
              <Button variant="default" onClick={() => save({ assignee: null })} disabled={change.isPending}>
                Unassign me
              </Button>
            ) : (
              <Button variant="default" onClick={() => save({ assignee: me })} disabled={change.isPending}>
                Assign to me
              </Button>
            )}
          </>
        )}
        {tune && (
          <Button variant="default" leftSection={<IconMute size={14} />} onClick={() => setAsked("suppress")}>
            Suppress…
          </Button>
        )}
        {audit}
        <span className="grow" />
        <span className="dim wrap">
          {assignee ? (
            <>
              Assigned to <Txt value={assignee} />
            </>
          ) : (
            "Unassigned"
          )}
          {verdict ? ` · ${VERDICTS[verdict]}` : ""}
          {a.triage.updated_at && (
            <>
              {" · changed "}
              <Time at={a.triage.updated_at} />
            </>
          )}
        </span>
      </div>
      {lost && (
        <div className="conflict" role="alert">
          <span className="grow">
            Somebody changed this alert while you looked at it. It now is: <b>{statusName(lost.now.alert.triage.status)}</b>
            {lost.now.alert.triage.verdict ? `, ${VERDICTS[lost.now.alert.triage.verdict]}` : ""}
            {lost.now.alert.triage.assignee ? `, assigned to ${lost.now.alert.triage.assignee}` : ""}. Your change was not saved.
          </span>
          <Button size="compact-xs" variant="default" onClick={() => setLost(undefined)}>
            Keep theirs
          </Button>
          <Button size="compact-xs" onClick={() => save(lost.patch, lost.now)}>
            Apply mine
          </Button>
        </div>
      )}
      <Suspense>
        {asked === "close" && <CloseDialog n={1} close={() => setAsked(undefined)} run={({ verdict: v, comment }) => save({ status: "closed", verdict: v ?? null, ...(comment ? { comment } : {}) })} />}
        {asked === "suppress" && !(tune && events && evidence.isPending) && <Suppress alert={a} events={evidence.data?.items ?? []} close={() => setAsked(undefined)} />}
      </Suspense>
    </>
  );
}
