/* The alert's number computed again from what was kept: the same to the last bit, or why not. */
import { Button } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { replayQuery } from "../api/queries";
import type { Alert } from "../api/types";
import { useSession } from "../session";
import { IconAlertCircle, IconDone, IconRefresh } from "./icons";
import { Txt } from "./text";

/** Every bit of a double is in its shortest decimal form. */
const exact = (n: number): string => String(n);

export function ReplayPanel({ a }: { a: Alert }) {
  const { multi_tenant: multi } = useSession();
  const [asked, setAsked] = useState(false);
  const r = useQuery({ ...replayQuery(a.id, a.revision, multi ? a.tenant_id : undefined), enabled: asked });
  return (
    <section className="panel" aria-label="Replay">
      <header>
        <h2>Replay</h2>
        <span className="grow" />
        {(r.data || r.isError) && (
          <Button size="compact-xs" variant="subtle" leftSection={<IconRefresh size={13} />} loading={r.isFetching} onClick={() => void r.refetch()}>
            Again
          </Button>
        )}
      </header>
      <div className="body stack" style={{ gap: 10 }}>
        {r.data ? (
          <>
            <div className="row" role="status" style={{ alignItems: "flex-start" }}>
              {r.data.reproduced ? <IconDone size={17} color="var(--tw-good)" aria-hidden style={{ flex: "none" }} /> : <IconAlertCircle size={17} color="var(--tw-critical)" aria-hidden style={{ flex: "none" }} />}
              <b className="wrap">{r.data.reproduced ? "Reproduced: every number is the same to the last bit" : "Not reproduced"}</b>
            </div>
            {r.data.note && (
              <p className="wrap" style={{ margin: 0 }}>
                <Txt value={r.data.note} title="" />
              </p>
            )}
            <dl className="replay num">
              <Pair name="Score" then={exact(r.data.score)} now={exact(r.data.replayed_score)} />
              <Pair name="p-value" then={exact(r.data.p_value)} now={exact(r.data.replayed_p_value)} />
              {r.data.detectors.map((d) => (
                <Pair key={d.name} name={d.name} then={exact(d.p_value)} now={exact(d.replayed_p_value)} note={d.from_model ? "The model was evaluated again from its baseline" : "The model's own tail was taken as kept; all that follows from it was computed"} />
              ))}
              <Pair name="Baseline" then={r.data.baseline_hash.slice(0, 14)} now={r.data.replayed_baseline_hash.slice(0, 14)} same={r.data.baseline_hash === r.data.replayed_baseline_hash} />
            </dl>
          </>
        ) : r.isError ? (
          <p className="formerror wrap" role="alert" style={{ margin: 0 }}>
            It could not be replayed: {r.error.message}
          </p>
        ) : (
          <>
            <p className="dim wrap" style={{ margin: 0 }}>
              The baseline and the inputs of this revision were kept with it. Computing it again must give the same number.
            </p>
            <div>
              <Button variant="default" leftSection={<IconRefresh size={14} />} loading={r.isFetching} onClick={() => setAsked(true)}>
                Replay
              </Button>
            </div>
          </>
        )}
      </div>
    </section>
  );
}

function Pair({ name, then, now, note, same = then === now }: { name: string; then: string; now: string; note?: string; same?: boolean }) {
  return (
    <div title={note}>
      <dt>{name}</dt>
      <dd className="mono wrap">{then}</dd>
      <dd className="mono wrap" style={same ? undefined : { color: "var(--tw-critical)" }}>
        {same ? (
          <span className="row" style={{ gap: 5 }}>
            <IconDone size={13} color="var(--tw-good)" aria-hidden /> same
          </span>
        ) : (
          now
        )}
      </dd>
    </div>
  );
}
