/* Empty, loading, failed and offline, the same on every page. */
import { Button, Skeleton } from "@mantine/core";
import type { ComponentType, ReactNode } from "react";
import { asApiError } from "../api/problem";
import { IconAlertCircle, IconOff, IconRefresh, IconSearch } from "./icons";

type IconType = ComponentType<{ size?: number; stroke?: number; "aria-hidden"?: boolean }>;

export function Empty({ icon: Icon = IconSearch as IconType, title, children }: { icon?: IconType; title: string; children?: ReactNode }) {
  return (
    <div className="state">
      <Icon size={28} stroke={1.5} aria-hidden />
      <h2>{title}</h2>
      {children}
    </div>
  );
}

/** A failure says what failed, in the server's words, and offers the way on. */
export function Failed({ error, retry, what }: { error: unknown; retry?: (() => void) | undefined; what: string }) {
  const e = asApiError(error);
  const offline = e.status === 0;
  const Icon = offline ? IconOff : IconAlertCircle;
  return (
    <div className="state" role="alert">
      <Icon size={28} stroke={1.5} aria-hidden />
      <h2>{offline ? "The server cannot be reached" : `${what}: ${e.title}`}</h2>
      {e.detail && <p className="wrap">{e.detail}</p>}
      {e.retryAfter !== undefined && <p>Wait {e.retryAfter} seconds before you try again.</p>}
      {e.instance && <p className="mono dim wrap">{e.instance}</p>}
      {retry && (
        <Button variant="default" leftSection={<IconRefresh size={14} />} onClick={retry} mt={4}>
          Try again
        </Button>
      )}
    </div>
  );
}

export function SkeletonRows({ rows = 12, height = 44 }: { rows?: number; height?: number }) {
  return (
    <div role="status" aria-label="Loading">
      {Array.from({ length: rows }, (_, i) => (
        <div key={i} className="row" style={{ height, padding: "0 14px", gap: 20, borderBottom: "1px solid var(--tw-line)", opacity: 1 - i / (rows + 3) }}>
          <Skeleton h={10} w={64} />
          <Skeleton h={10} w={36} />
          <Skeleton h={10} style={{ flex: 1, maxWidth: `${60 - ((i * 7) % 25)}%` }} />
          <Skeleton h={10} w={80} ml="auto" />
        </div>
      ))}
    </div>
  );
}
