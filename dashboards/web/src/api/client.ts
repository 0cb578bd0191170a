/* The typed client, generated from the API's own description. */
import createClient, { type Middleware } from "openapi-fetch";
import type { components, paths } from "./schema";
import { ApiError, asApiError } from "./problem";

let csrf = "";

/** Remembers the session's token for requests that change something. */
export function setCSRF(token: string): void {
  csrf = token;
}

let onUnauthenticated: () => void = () => undefined;

/** What to do when the session has ended under an open page. */
export function whenUnauthenticated(f: () => void): void {
  onUnauthenticated = f;
}

const guard: Middleware = {
  onRequest({ request }) {
    if (request.method !== "GET" && request.method !== "HEAD" && csrf) request.headers.set("X-CSRF-Token", csrf);
    return request;
  },
  onResponse({ request, response }) {
    if (response.status === 401 && !new URL(request.url).pathname.endsWith("/api/v1/session")) onUnauthenticated();
    return undefined;
  },
};

export const client = createClient<paths>({
  baseUrl: typeof location === "undefined" ? "http://localhost" : location.origin,
  credentials: "same-origin",
  querySerializer: { array: { style: "form", explode: false } },
});
client.use(guard);

interface Answer<T> {
  data?: T;
  error?: unknown;
  response: Response;
}

/** The body of an answer, or an ApiError thrown. */
export async function body<T>(p: Promise<Answer<T>>): Promise<T> {
  return (await answer(p)).data;
}

/** The body with the response, for its headers. */
export async function answer<T>(p: Promise<Answer<T>>): Promise<{ data: T; response: Response }> {
  let a: Answer<T>;
  try {
    a = await p;
  } catch (e) {
    if (e instanceof DOMException && e.name === "AbortError") throw e;
    throw asApiError(e);
  }
  if (!a.response.ok) {
    const problem = (typeof a.error === "object" && a.error !== null ? a.error : {}) as Partial<components["schemas"]["Problem"]>;
    const wait = Number(a.response.headers.get("Retry-After"));
    throw new ApiError(a.response.status, problem, Number.isFinite(wait) && wait > 0 ? wait : undefined);
  }
  return { data: a.data as T, response: a.response };
}

/** A fresh name for one attempt at creating something. */
export const attempt = (): string =>
  typeof crypto.randomUUID === "function" ? crypto.randomUUID() : Array.from(crypto.getRandomValues(new Uint8Array(16)), (b) => b.toString(16).padStart(2, "0")).join("");
