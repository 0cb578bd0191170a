/* What people say of an alert besides its verdict: tags, and a severity in place of the detectors'. */
import { useState } from "react";
import type { AlertWithTag } from "../api/queries";
import { useTriage } from "../api/triage";
import type { TriagePatch } from "../api/types";
import { SEVERITIES, type Severity } from "../lib/urlstate";
import { useCan, useSession } from "../session";
import { severityName, SeverityMark } from "./badges";
import { IconX } from "./icons";
import { Txt } from "./text";
import { useToast } from "./toast";

export function Judgement({ seen }: { seen: AlertWithTag }) {
  const a = seen.alert;
  const may = useCan("alerts:triage");
  const session = useSession();
  const say = useToast();
  const [text, setText] = useState("");
  const change = useTriage({
    conflict: () => say("Somebody changed this alert at the same moment. It now shows their change; yours was not saved.", { bad: true }),
    failed: (e) => say(`Not saved: ${e.message}`, { bad: true }),
  });
  const save = (patch: TriagePatch) => change.mutate({ id: a.id, tenant: session.multi_tenant ? a.tenant_id : undefined, patch, seen });
  const tags = a.triage.tags ?? [];
  const add = () => {
    const t = text.trim().slice(0, 64);
    setText("");
    if (t && !tags.includes(t)) save({ tags: [...tags, t] });
  };
  return (
    <>
      <div>
        <dt>Severity</dt>
        <dd className="row" style={{ flexWrap: "wrap" }}>
          {may ? (
            <select className="inlineselect" aria-label="Severity" value={a.triage.severity ?? ""} disabled={change.isPending} onChange={(e) => save({ severity: (e.currentTarget.value || null) as Severity | null })}>
              <option value="">{severityName(a.severity)}, as detected</option>
              {SEVERITIES.map((s) => (
                <option key={s} value={s}>
                  {severityName(s)}
                </option>
              ))}
            </select>
          ) : (
            <SeverityMark value={a.triage.severity ?? a.severity} />
          )}
          {a.triage.severity && a.triage.severity !== a.severity && <span className="dim">set by people; detected {severityName(a.severity)}</span>}
        </dd>
      </div>
      <div>
        <dt>Tags</dt>
        <dd className="tags">
          {tags.map((t) => (
            <span key={t} className="chip">
              <Txt value={t} className="cut" />
              {may && (
                <button type="button" aria-label={`Remove the tag ${t}`} onClick={() => save({ tags: tags.filter((x) => x !== t) })}>
                  <IconX size={12} aria-hidden />
                </button>
              )}
            </span>
          ))}
          {may ? (
            <input
              aria-label="New tag"
              placeholder="Add a tag"
              maxLength={64}
              value={text}
              onChange={(e) => setText(e.currentTarget.value)}
              onBlur={add}
              onKeyDown={(e) => {
                if (e.key === "Enter") add();
                if (e.key === "Escape") {
                  setText("");
                  e.currentTarget.blur();
                }
              }}
            />
          ) : (
            tags.length === 0 && <span className="dim">none</span>
          )}
        </dd>
      </div>
    </>
  );
}
