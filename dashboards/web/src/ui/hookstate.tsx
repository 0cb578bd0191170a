/* How an endpoint is doing. */
import type { Webhook } from "../api/types";
import { plural } from "../lib/format";
import { IconAlertCircle, IconDash, IconDone } from "./icons";
import { Time } from "./time";

export function HookState({ hook: w }: { hook: Webhook }) {
  const [Icon, text, color] =
    w.status === "paused"
      ? ([IconDash, "Paused", "var(--tw-dim)"] as const)
      : w.status === "gone"
        ? ([IconAlertCircle, "Gone: it answered 410", "var(--tw-critical)"] as const)
        : w.failures > 0
          ? ([IconAlertCircle, `Failing, ${plural(w.failures, "time")} in a row`, "var(--tw-critical)"] as const)
          : ([IconDone, "Active", "var(--tw-good)"] as const);
  return (
    <span style={{ display: "inline-flex", alignItems: "center", gap: 6 }}>
      <Icon size={15} style={{ color, flex: "none" }} aria-hidden />
      <span>
        {text}
        {w.status === "active" && w.failing_since && (
          <>
            , since <Time at={w.failing_since} />
          </>
        )}
      </span>
    </span>
  );
}
