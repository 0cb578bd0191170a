/* A suppression's scope: said in a sentence's parts, and chosen from what an alert offers. */
import "@mantine/core/styles/InlineInput.layer.css";
import "@mantine/core/styles/Checkbox.layer.css";
import { Checkbox, TextInput } from "@mantine/core";
import type { SuppressionScope } from "../api/types";
import { Txt } from "./text";

export function ScopeText({ scope: s }: { scope: SuppressionScope }) {
  const parts: [string, string][] = [];
  if (s.detector) parts.push(["detector", s.detector]);
  if (s.entity_id || s.entity_type) parts.push([s.entity_type || "entity", s.entity_id || "any"]);
  if (s.action) parts.push(["action", s.action]);
  if (s.network) parts.push(["network", s.network]);
  if (s.label) parts.push(["label", s.label]);
  return (
    <span className="scope">
      {parts.map(([k, v]) => (
        <span key={k} className="chip" title={`${k}: ${v}`}>
          <span className="dim">{k}</span> <Txt value={v} className="cut" />
        </span>
      ))}
    </span>
  );
}

export type Draft = { detector: string; entity_type: string; entity_id: string; action: string; network: string; label: string };
export const EMPTY: Draft = { detector: "", entity_type: "", entity_id: "", action: "", network: "", label: "" };

/** What is sent: empty fields left out. A detector alone is no scope. */
export function scopeOf(d: Draft): SuppressionScope {
  return Object.fromEntries(Object.entries(d).flatMap(([k, v]) => (v.trim() ? [[k, v.trim()]] : []))) as SuppressionScope;
}
export const scopeReady = (s: SuppressionScope): boolean => Boolean(s.entity_id || s.action || s.network || s.label);

export interface Offer {
  label: string;
  field: keyof Draft;
  value: string;
  /** Set with it, such as the entity's type. */
  also?: Partial<Draft>;
}

/** One line for each part of a scope: taken or not, and editable. */
export function ScopeFields({ draft, set, offers }: { draft: Draft; set: (d: Draft) => void; offers: Offer[] }) {
  const field = (name: keyof Draft, label: string, placeholder: string, description?: string) => (
    <TextInput key={name} size="sm" label={label} description={description} placeholder={placeholder} value={draft[name]} onChange={(e) => set({ ...draft, [name]: e.currentTarget.value })} />
  );
  return (
    <fieldset className="scopefields">
      <legend>What it hides: every part that is given must fit</legend>
      {offers.length > 0 && (
        <div className="stack" style={{ gap: 8, marginBottom: 12 }}>
          {offers.map((o) => (
            <Checkbox
              key={`${o.field}${o.value}`}
              size="xs"
              label={
                <span className="wrap">
                  <span className="dim">{o.label}</span> <Txt value={o.value} className="strong wrap" />
                </span>
              }
              checked={draft[o.field] === o.value}
              onChange={(e) => {
                const on = e.currentTarget.checked;
                const also = Object.fromEntries(Object.keys(o.also ?? {}).map((k) => [k, on ? o.also?.[k as keyof Draft] : ""]));
                set({ ...draft, ...also, [o.field]: on ? o.value : "" });
              }}
            />
          ))}
        </div>
      )}
      <details open={offers.length === 0}>
        <summary>{offers.length ? "Write it yourself" : "Parts"}</summary>
        <div className="scopegrid">
          {field("detector", "Detector", "any")}
          {field("entity_type", "Entity's type", "user")}
          {field("entity_id", "Entity", "svc-backup@acme.example")}
          {field("action", "Action", "storage.object.*", "Verbatim, or with one * at the end")}
          {field("network", "Network", "203.0.113.0/24")}
          {field("label", "Label", "env=test", "key=value")}
        </div>
      </details>
    </fieldset>
  );
}
