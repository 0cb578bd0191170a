/* Empty, loading, failed and offline, the same on every page. */
import { Button, Skeleton } from "@mantine/core";
import type { ComponentType, ReactNode } from "react";
import { asApiError } from "../api/problem";
import { IconAlertCircle, IconLock, IconOff, IconRefresh, IconSearch } from "./icons";

type IconType = ComponentType<{ size?: number; stroke?: number; "aria-hidden"?: boolean }>;

/** `page`: the state stands for the whole page, so its title is the page's heading. */
export function Empty({ icon: Icon = IconSearch as IconType, title, page, children }: { icon?: IconType; title: string; page?: boolean; children?: ReactNode }) {
  const H = page ? "h1" : "h2";
  return (
    <div className="state">
      <Icon size={28} stroke={1.5} aria-hidden />
      <H>{title}</H>
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

/** For a page that was opened by its address and that the role has no use for. */
export const Denied = ({ what }: { what: string }) => (
  <Empty page icon={IconLock} title={`${what} are not part of your role`}>
    <p>Ask an administrator of the tenant if you need them.</p>
  </Empty>
);

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
