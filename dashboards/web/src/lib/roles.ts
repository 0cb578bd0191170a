/* What a session may do here. The server decides; this only hides what it would refuse. */
import type { Role, Session } from "../api/types";

export type Ability = "triage" | "audit" | "keys" | "webhooks" | "quarantine";

const BY_ROLE: Record<Role, Ability[]> = {
  platform_admin: ["triage", "audit", "keys", "webhooks", "quarantine"],
  soc_analyst: ["triage", "audit", "quarantine"],
  soc_reader: ["audit"],
  tenant_admin: ["triage", "audit", "keys", "webhooks", "quarantine"],
  tenant_auditor: ["audit"],
};

export const ROLE_NAMES: Record<Role, string> = {
  platform_admin: "Platform admin",
  soc_analyst: "SOC analyst",
  soc_reader: "SOC reader",
  tenant_admin: "Tenant admin",
  tenant_auditor: "Tenant auditor",
};

export function can(s: Session, a: Ability): boolean {
  return BY_ROLE[s.user.role]?.includes(a) ?? false;
}
