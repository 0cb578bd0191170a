/* Who is signed in. Pages below the shell may rely on there being a session. */
import { createContext, use } from "react";
import { can, type Permission } from "./lib/roles";
import type { Session } from "./api/types";

export const SessionContext = createContext<Session | undefined>(undefined);

export function useSession(): Session {
  const s = use(SessionContext);
  if (!s) throw new Error("this page needs a session");
  return s;
}

export function useCan(p: Permission): boolean {
  return can(useSession(), p);
}

/** The tenant a page looks at: the only one, or the one in the URL; undefined means all of them. */
export function useScope(fromURL: string | undefined): { multi: boolean; tenant: string | undefined; param: string | undefined } {
  const s = useSession();
  if (!s.multi_tenant) return { multi: false, tenant: s.tenants[0]?.id, param: undefined };
  return { multi: true, tenant: fromURL, param: fromURL };
}
