import "./styles/mantine";
import "./styles/base.css";
import "./styles/shell.css";
import "./styles/pages.css";
import "./styles/alert.css";
import "./styles/audit.css";
import "./styles/overview.css";
import "./styles/narrow.css";
import { localStorageColorSchemeManager, MantineProvider } from "@mantine/core";
import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { RouterProvider } from "@tanstack/react-router";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { asApiError } from "./api/problem";
import { setCSRF, whenUnauthenticated } from "./api/client";
import { live } from "./api/stream";
import { makeRouter } from "./router";
import { resolver, theme } from "./theme";
import { PrefsProvider } from "./ui/prefs";
import { ToastProvider } from "./ui/toast";

const queries = new QueryClient({
  defaultOptions: {
    queries: {
      // What the server refuses stays refused; what did not arrive may arrive the next time.
      retry: (n, e) => n < 2 && [0, 502, 503, 504].includes(asApiError(e).status),
      retryDelay: (n) => 500 * 2 ** n,
      networkMode: "always",
    },
    mutations: { networkMode: "always" },
  },
});
const router = makeRouter(queries);

whenUnauthenticated(() => {
  setCSRF("");
  live.stop();
  queries.clear();
  const next = router.state.location.href;
  void router.navigate({ to: "/signin", search: next === "/" || next.startsWith("/signin") ? {} : { next }, replace: true });
});

const root = document.getElementById("root");
if (!root) throw new Error("index.html has no #root");
createRoot(root).render(
  <StrictMode>
    <MantineProvider deduplicateCssVariables={false} theme={theme} cssVariablesResolver={resolver} defaultColorScheme="auto" colorSchemeManager={localStorageColorSchemeManager({ key: "tw-scheme" })}>
      <QueryClientProvider client={queries}>
        <PrefsProvider>
          <ToastProvider>
            <RouterProvider router={router} />
          </ToastProvider>
        </PrefsProvider>
      </QueryClientProvider>
    </MantineProvider>
  </StrictMode>,
);
