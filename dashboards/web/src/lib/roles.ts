/* What a session may do here. The server decides; this only hides what it would refuse. */
import type { Role, Session } from "../api/types";

/** The permissions this application asks for, by the server's names. */
export type Permission =
  | "alerts:triage"
  | "events:read"
  | "events:export"
  | "quarantine:read"
  | "keys:read"
  | "keys:manage"
  | "webhooks:read"
  | "webhooks:manage"
  | "audit:read"
  | "users:read"
  | "users:manage"
  | "tenants:manage"
  | "tenants:view_as"
  | "settings:manage"
  | "alerts:tune"
  | "accounting:read"
  | "quarantine:replay";

export const ROLE_NAMES: Record<Role, string> = {
  platform_admin: "Platform admin",
  soc_analyst: "SOC analyst",
  soc_reader: "SOC reader",
  tenant_admin: "Tenant admin",
  tenant_auditor: "Tenant auditor",
};

export const can = (s: Pick<Session, "permissions">, p: Permission): boolean => s.permissions.includes(p);
