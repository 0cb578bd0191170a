/* What was sent to one webhook, and how it went. */
import { Button } from "@mantine/core";
import { useInfiniteQuery } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { deliveriesQuery, webhooksQuery } from "../api/queries";
import type { Delivery } from "../api/types";
import { useScope } from "../session";
import { More } from "../ui/admin";
import { IconAlertCircle, IconClock, IconDone, IconRefresh, IconWebhook } from "../ui/icons";
import { Empty, Failed, SkeletonRows } from "../ui/states";
import { Txt } from "../ui/text";
import { Time } from "../ui/time";
import { useTitle } from "../ui/title";
import { HookState } from "../ui/hookstate";

const route = getRouteApi("/in/webhooks/$id");

const STATES = {
  delivered: [IconDone, "Delivered", "var(--tw-good)"],
  pending: [IconClock, "Pending", "var(--tw-medium)"],
  dead: [IconAlertCircle, "Given up", "var(--tw-critical)"],
} as const;

export default function WebhookPage() {
  const { id } = route.useParams();
  const search = route.useSearch();
  const { param } = useScope(search.tenant);
  const hooks = useInfiniteQuery(webhooksQuery(param));
  const hook = hooks.data?.pages.flatMap((p) => p.items).find((w) => w.id === id);
  const list = useInfiniteQuery({ ...deliveriesQuery(id), refetchInterval: 5000 });
  const rows = list.data?.pages.flatMap((p) => p.items) ?? [];
  useTitle(hook?.name || "Webhook");
  return (
    <div className="doc">
      <header className="dochead">
        <div className="grow">
          <h1>
            <Txt value={hook?.name || "Webhook"} />
          </h1>
          {hook && (
            <p className="dim wrap">
              <Txt value={hook.url} mono />
              {" · "}
              <HookState hook={hook} />
            </p>
          )}
        </div>
        <Button variant="default" leftSection={<IconRefresh size={14} />} onClick={() => void list.refetch()}>
          Read again
        </Button>
      </header>
      <section className="panel">
        <header>
          <h2>Deliveries</h2>
          <span className="dim">newest first</span>
        </header>
        {list.isPending ? (
          <SkeletonRows rows={6} />
        ) : list.isError ? (
          <Failed what="The deliveries could not be read" error={list.error} retry={() => void list.refetch()} />
        ) : rows.length === 0 ? (
          <Empty icon={IconWebhook} title="Nothing was sent yet">
            <p>The next alert of this tenant is delivered here.</p>
          </Empty>
        ) : (
          <div className="tscroll" tabIndex={0} role="region" aria-label="Deliveries">
            <table className="plain num">
              <thead>
                <tr>
                  <th>State</th>
                  <th>Alert</th>
                  <th className="right">Sequence</th>
                  <th className="right">Attempts</th>
                  <th>Answer</th>
                  <th>Created</th>
                  <th>Finished</th>
                </tr>
              </thead>
              <tbody>
                {rows.map((d) => (
                  <Row key={`${d.alert_id}/${d.revision}`} d={d} />
                ))}
              </tbody>
            </table>
            <More has={list.hasNextPage} loading={list.isFetchingNextPage} load={() => void list.fetchNextPage()} />
          </div>
        )}
      </section>
    </div>
  );
}

function Row({ d }: { d: Delivery }) {
  const [Icon, name, color] = STATES[d.status];
  return (
    <tr>
      <th scope="row">
        <span className="row" style={{ gap: 6 }}>
          <Icon size={15} style={{ color }} aria-hidden /> {name}
        </span>
      </th>
      <td>
        <Link to="/alerts/$id" params={{ id: d.alert_id }} className="link mono" title={d.alert_id}>
          …{d.alert_id.slice(-8)}
        </Link>
        {d.revision > 1 && <span className="dim">, revision {d.revision}</span>}
      </td>
      <td className="right">{d.seq}</td>
      <td className="right">{d.attempts}</td>
      <td className="wrap" style={{ maxWidth: 320 }}>
        {d.error?.startsWith(String(d.response_status)) ? "" : d.response_status} {d.error && <Txt value={d.error} className="dim" />}
        {d.response_status === null && !d.error && <span className="dim">–</span>}
      </td>
      <td>
        <Time at={d.created_at} />
      </td>
      <td>{d.finished_at ? <Time at={d.finished_at} /> : <span className="dim">not yet</span>}</td>
    </tr>
  );
}
