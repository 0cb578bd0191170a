/* What went wrong, in one type whatever the cause: an RFC 9457 problem, or no answer at all. */
import type { FieldError, Problem } from "./types";

export class ApiError extends Error {
  readonly status: number;
  /** The last part of the problem's type, such as "totp-required". */
  readonly kind: string;
  readonly title: string;
  readonly detail: string;
  readonly errors: FieldError[];
  readonly instance: string;
  readonly retryAfter: number | undefined;

  constructor(status: number, p: Partial<Problem>, retryAfter?: number) {
    super(p.detail ?? p.title ?? `status ${status}`);
    this.name = "ApiError";
    this.status = status;
    this.kind = p.type?.split("/").at(-1) ?? "";
    this.title = p.title ?? (status === 0 ? "The server cannot be reached" : `The server answered ${status}`);
    this.detail = p.detail ?? "";
    this.errors = p.errors ?? [];
    this.instance = p.instance ?? "";
    this.retryAfter = retryAfter;
  }

  /** The complaint about one parameter, if there is one. */
  field(name: string): FieldError | undefined {
    return this.errors.find((e) => e.field === name);
  }
}

/** Anything thrown, as an ApiError. */
export function asApiError(e: unknown): ApiError {
  if (e instanceof ApiError) return e;
  // What the browsers say of a fetch that got no answer; other type errors are our own.
  if (e instanceof TypeError && /fetch|network|load failed|import/i.test(e.message)) return new ApiError(0, { detail: "Check the network, then try again." });
  return new ApiError(-1, { title: "Something went wrong", detail: e instanceof Error ? e.message : String(e) });
}
