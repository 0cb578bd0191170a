/* The frame of every page: where one is, whose data it is, who one is. */
import { useDisclosure } from "@mantine/hooks";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { Outlet, useRouterState } from "@tanstack/react-router";
import { lazy, Suspense, useEffect, useState } from "react";
import { body, client, setCSRF } from "../api/client";
import { sessionQuery } from "../api/queries";
import { live } from "../api/stream";
import { SessionContext } from "../session";
import { useKeys } from "../ui/keys";
import { Txt } from "../ui/text";
import { Sidebar } from "./sidebar";
import { Topbar } from "./topbar";
import { RoutePending } from "./edges";

// What lies over the page is fetched when it is first opened.
const Help = lazy(() => import("./help"));
const Palette = lazy(() => import("./palette"));
const NavDrawer = lazy(() => import("./navdrawer"));

export function Shell() {
  // Read again now and then: tenants come to be while the page is open.
  const { data: session } = useQuery({ ...sessionQuery, refetchInterval: (q) => (q.state.data?.tenants.length ? 60_000 : 4_000) });
  useEffect(() => {
    if (session) setCSRF(session.csrf);
  }, [session]);
  const [nav, navs] = useDisclosure(false);
  const [help, helps] = useDisclosure(false);
  const [palette, palettes] = useDisclosure(false);
  const path = useRouterState({ select: (s) => s.location.pathname });
  const queries = useQueryClient();
  const [offline, setOffline] = useState(!navigator.onLine);

  useEffect(navs.close, [path, navs.close]);
  useEffect(() => {
    const on = () => setOffline(false);
    const off = () => setOffline(true);
    addEventListener("online", on);
    addEventListener("offline", off);
    return () => {
      removeEventListener("online", on);
      removeEventListener("offline", off);
    };
  }, []);
  // Counts follow the stream, at most once in two seconds.
  useEffect(() => {
    let due: ReturnType<typeof setTimeout> | undefined;
    const stop = live.listen(() => {
      due ??= setTimeout(() => {
        due = undefined;
        void queries.invalidateQueries({ queryKey: ["overview"] });
      }, 2000);
    });
    return () => {
      stop();
      clearTimeout(due);
    };
  }, [queries]);
  useKeys({ "?": helps.open });
  useEffect(() => {
    const on = (e: KeyboardEvent) => {
      if ((e.ctrlKey || e.metaKey) && !e.altKey && !e.shiftKey && e.key.toLowerCase() === "k") {
        e.preventDefault();
        palettes.toggle();
      }
    };
    addEventListener("keydown", on);
    return () => removeEventListener("keydown", on);
  }, [palettes]);

  if (!session) return <RoutePending />;
  return (
    <SessionContext value={session}>
      <a href="#main" className="skip">
        Skip to the content
      </a>
      <div className="shell">
        <aside className="side">
          <Sidebar openHelp={helps.open} openPalette={palettes.open} />
        </aside>
        <div className="page">
          <Topbar openNav={navs.open} />
          {session.view_as && <Viewing tenant={session.view_as.tenant_id} reason={session.view_as.reason} />}
          {offline && (
            <div className="strip" role="status">
              You are offline. What you see is what was loaded before.
            </div>
          )}
          <main id="main" tabIndex={-1} className="main">
            <Outlet />
          </main>
        </div>
      </div>
      <Suspense>
        {nav && (
          <NavDrawer close={navs.close}>
            <Sidebar openHelp={helps.open} openPalette={palettes.open} />
          </NavDrawer>
        )}
        {help && <Help close={helps.close} />}
        {palette && <Palette close={palettes.close} openHelp={helps.open} />}
      </Suspense>
    </SessionContext>
  );
}

/** Stepping into a tenant must never be overlooked, nor forgotten. */
function Viewing({ tenant, reason }: { tenant: string; reason: string }) {
  const queries = useQueryClient();
  const [pending, setPending] = useState(false);
  const end = async () => {
    setPending(true);
    try {
      const s = await body(client.DELETE("/api/v1/session/view-as"));
      setCSRF(s.csrf);
      queries.clear();
      queries.setQueryData(sessionQuery.queryKey, s);
      location.assign("/");
    } catch {
      setPending(false);
    }
  };
  return (
    <div className="viewing" role="status">
      <b>You see this as {tenant} does.</b>
      <span className="cut grow">
        <Txt value={reason} title="" /> It is in their audit log.
      </span>
      <button type="button" onClick={() => void end()} disabled={pending}>
        Step out
      </button>
    </div>
  );
}
