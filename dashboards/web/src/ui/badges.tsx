/* Severity, status and entity: always an icon and a word, never a colour alone. */
import type { Severity, Status } from "../lib/urlstate";
import type { Entity, Verdict } from "../api/types";
import { Txt } from "./text";
import {
  IconAlertCircle, IconAlertOctagon, IconAlertTriangle, IconBuilding, IconCircle, IconDash, IconDevice, IconDone, IconFile,
  IconFingerprint, IconInfo, IconNetwork, IconProgress, IconRobot, IconServer, IconUser,
} from "./icons";

const SEV = {
  critical: [IconAlertOctagon, "Critical"],
  high: [IconAlertTriangle, "High"],
  medium: [IconAlertCircle, "Medium"],
  low: [IconInfo, "Low"],
  informational: [IconDash, "Info"],
} as const;

export const severityName = (s: Severity): string => (s === "informational" ? "Informational" : SEV[s][1]);

export function SeverityMark({ value, iconOnly = false }: { value: Severity; iconOnly?: boolean }) {
  const [Icon, name] = SEV[value];
  return (
    <span className="sev" style={{ color: `var(--tw-${value})` }} title={iconOnly ? severityName(value) : undefined}>
      <Icon size={15} aria-hidden />
      {iconOnly ? <span className="sr">{severityName(value)}</span> : name}
    </span>
  );
}

const STATUS = {
  new: [IconCircle, "New", "var(--tw-accent)"],
  in_progress: [IconProgress, "In progress", "var(--tw-medium)"],
  closed: [IconDone, "Closed", "var(--tw-dim)"],
} as const;

export const statusName = (s: Status): string => STATUS[s][1];

export const VERDICTS: Record<Verdict, string> = {
  true_positive: "True positive",
  benign: "Benign",
  false_positive: "False positive",
  duplicate: "Duplicate",
};

export function StatusMark({ value, verdict }: { value: Status; verdict?: Verdict | null }) {
  const [Icon, name, color] = STATUS[value];
  return (
    <span className="row status" style={{ gap: 6, whiteSpace: "nowrap" }}>
      <Icon size={15} style={{ color, flex: "none" }} aria-hidden />
      <span className="cut">{value === "closed" && verdict ? VERDICTS[verdict] : name}</span>
    </span>
  );
}

const ENTITY = {
  user: IconUser,
  service: IconRobot,
  address: IconNetwork,
  device: IconDevice,
  session: IconFingerprint,
  resource: IconFile,
  source: IconServer,
  tenant: IconBuilding,
} as const;

export function EntityMark({ value }: { value: Entity }) {
  const Icon = ENTITY[value.type] ?? IconDash;
  return (
    <span className="row" style={{ gap: 6 }}>
      <span title={value.type} style={{ flex: "none", display: "inline-flex", color: "var(--tw-dim)" }}>
        <Icon size={15} aria-hidden />
        <span className="sr">{value.type}</span>
      </span>
      <Txt value={value.id} className="cut" />
    </span>
  );
}

/** A steady hue per tenant, so that a change of tenant is seen before it is read. */
export function tenantHue(id: string): number {
  let h = 2166136261;
  for (let i = 0; i < id.length; i++) h = Math.imul(h ^ id.charCodeAt(i), 16777619) >>> 0;
  return h % 360;
}

export function TenantMark({ id, size = 16 }: { id: string; size?: number }) {
  return (
    <span
      aria-hidden
      className="tenantmark"
      style={{ width: size, height: size, fontSize: size * 0.62, ["--hue" as string]: tenantHue(id) }}
    >
      {id.slice(0, 1).toUpperCase()}
    </span>
  );
}
