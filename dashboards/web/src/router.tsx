/* The routes. Each page is a chunk of its own, fetched when it is first opened. */
import type { QueryClient } from "@tanstack/react-query";
import { createRootRouteWithContext, createRoute, createRouter, lazyRouteComponent, Outlet, redirect } from "@tanstack/react-router";
import { setCSRF } from "./api/client";
import { asApiError } from "./api/problem";
import { sessionQuery } from "./api/queries";
import { live } from "./api/stream";
import { alertsSearch, auditSearch, detectorsSearch, entitiesSearch, parseSearch, stringifySearch, tenantSearch, tidy } from "./lib/urlstate";
import { Shell } from "./shell/shell";
import { RouteFailed, RouteMissing, RoutePending } from "./shell/edges";

const root = createRootRouteWithContext<{ queries: QueryClient }>()({ component: Outlet, notFoundComponent: RouteMissing });

export interface SignInSearch {
  next?: string;
}

const signin = createRoute({
  getParentRoute: () => root,
  path: "/signin",
  // Only a path of this application: never another site.
  validateSearch: (s: Record<string, unknown>): SignInSearch =>
    tidy<SignInSearch>({ next: typeof s.next === "string" && /^\/(?![/\\])/.test(s.next) ? s.next : undefined }),
  component: lazyRouteComponent(() => import("./pages/signin")),
});

const shell = createRoute({
  getParentRoute: () => root,
  id: "in",
  beforeLoad: async ({ context, location }) => {
    try {
      const session = await context.queries.ensureQueryData(sessionQuery);
      setCSRF(session.csrf);
      if (session.must_change_password && location.pathname !== "/account") throw redirect({ to: "/account", search: {} });
      live.start();
      return { session };
    } catch (e) {
      if (asApiError(e).status === 401) {
        throw redirect({ to: "/signin", search: location.href === "/" ? {} : { next: location.href } });
      }
      throw e;
    }
  },
  component: Shell,
});

const overview = createRoute({ getParentRoute: () => shell, path: "/", validateSearch: tenantSearch, component: lazyRouteComponent(() => import("./pages/overview")) });
const alerts = createRoute({ getParentRoute: () => shell, path: "/alerts", validateSearch: alertsSearch, component: lazyRouteComponent(() => import("./pages/alerts")) });
const alert = createRoute({ getParentRoute: () => shell, path: "/alerts/$id", validateSearch: tenantSearch, component: lazyRouteComponent(() => import("./pages/alert")) });
const audit = createRoute({ getParentRoute: () => shell, path: "/audit", validateSearch: auditSearch, component: lazyRouteComponent(() => import("./pages/audit")) });
const entities = createRoute({ getParentRoute: () => shell, path: "/entities", validateSearch: entitiesSearch, component: lazyRouteComponent(() => import("./pages/entities")) });
const entity = createRoute({ getParentRoute: () => shell, path: "/entities/$type/$id", validateSearch: tenantSearch, component: lazyRouteComponent(() => import("./pages/entity")) });
const detectors = createRoute({ getParentRoute: () => shell, path: "/detectors", validateSearch: detectorsSearch, component: lazyRouteComponent(() => import("./pages/detectors")) });
const quarantine = createRoute({ getParentRoute: () => shell, path: "/quarantine", validateSearch: tenantSearch, component: lazyRouteComponent(() => import("./pages/quarantine")) });
const keys = createRoute({ getParentRoute: () => shell, path: "/keys", validateSearch: tenantSearch, component: lazyRouteComponent(() => import("./pages/keys")) });
const webhooks = createRoute({ getParentRoute: () => shell, path: "/webhooks", validateSearch: tenantSearch, component: lazyRouteComponent(() => import("./pages/webhooks")) });
const users = createRoute({ getParentRoute: () => shell, path: "/users", validateSearch: tenantSearch, component: lazyRouteComponent(() => import("./pages/users")) });
const settings = createRoute({ getParentRoute: () => shell, path: "/settings", validateSearch: tenantSearch, component: lazyRouteComponent(() => import("./pages/settings")) });
const exports_ = createRoute({ getParentRoute: () => shell, path: "/exports", validateSearch: tenantSearch, component: lazyRouteComponent(() => import("./pages/exports")) });
const account = createRoute({ getParentRoute: () => shell, path: "/account", validateSearch: tenantSearch, component: lazyRouteComponent(() => import("./pages/account")) });
const trailRoute = createRoute({ getParentRoute: () => shell, path: "/trail", validateSearch: tenantSearch, component: lazyRouteComponent(() => import("./pages/trail")) });
const webhook = createRoute({ getParentRoute: () => shell, path: "/webhooks/$id", validateSearch: tenantSearch, component: lazyRouteComponent(() => import("./pages/webhook")) });

const suppressions = createRoute({ getParentRoute: () => shell, path: "/suppressions", validateSearch: tenantSearch, component: lazyRouteComponent(() => import("./pages/suppressions")) });
const accounting = createRoute({ getParentRoute: () => shell, path: "/accounting", validateSearch: tenantSearch, component: lazyRouteComponent(() => import("./pages/accounting")) });

const tree = root.addChildren([signin, shell.addChildren([overview, alerts, alert, audit, entities, entity, detectors, quarantine, keys, webhooks, webhook, users, settings, exports_, account, trailRoute, suppressions, accounting])]);

export function makeRouter(queries: QueryClient) {
  return createRouter({
    routeTree: tree,
    context: { queries },
    parseSearch: (s) => parseSearch(s),
    stringifySearch: (o) => stringifySearch(o),
    defaultPreload: "intent",
    defaultPreloadDelay: 60,
    defaultErrorComponent: RouteFailed,
    defaultPendingComponent: RoutePending,
    defaultPendingMs: 300,
    scrollRestoration: true,
  });
}

declare module "@tanstack/react-router" {
  interface Register {
    router: ReturnType<typeof makeRouter>;
  }
}
