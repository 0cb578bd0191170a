/* What people and keys did here: the platform's own record, as it was written. */
import { useInfiniteQuery } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { trailQuery } from "../api/queries";
import { useCan, useScope } from "../session";
import { More } from "../ui/admin";
import { IconLock } from "../ui/icons";
import { Denied, Empty, Failed, SkeletonRows } from "../ui/states";
import { Txt } from "../ui/text";
import { Time } from "../ui/time";
import { useTitle } from "../ui/title";

const route = getRouteApi("/in/trail");

export default function Trail() {
  const search = route.useSearch();
  const { multi, tenant, param } = useScope(search.tenant);
  const may = useCan("audit:read");
  const list = useInfiniteQuery({ ...trailQuery(param), enabled: may });
  const rows = list.data?.pages.flatMap((p) => p.items) ?? [];
  useTitle("Trail");
  if (!may) return <Denied what="Trails" />;
  return (
    <div className="doc">
      <header className="dochead">
        <div className="grow">
          <h1>Trail</h1>
          <p className="dim">
            {multi && !tenant ? "What concerns no one tenant: operators' sign-ins, settings of the installation. Choose a tenant for its own." : "Sign-ins, refusals, keys, settings, exports and what the operator's people looked at."}{" "}
            {tenant && (
              <Link className="link" to="/audit" search={{ ...(param ? { tenant: param } : {}), q: "source:tenantwatch", range: "all" as const }}>
                The same as events
              </Link>
            )}
          </p>
        </div>
      </header>
      <section className="panel">
        {list.isPending ? (
          <SkeletonRows rows={10} />
        ) : list.isError ? (
          <Failed what="The trail could not be read" error={list.error} retry={() => void list.refetch()} />
        ) : rows.length === 0 ? (
          <Empty icon={IconLock} title="Nothing was done yet" />
        ) : (
          <div className="tscroll" tabIndex={0} role="region" aria-label="Trail">
            <table className="plain">
              <thead>
                <tr>
                  <th>When</th>
                  <th>Who</th>
                  <th>What</th>
                  <th>On</th>
                  <th>Details</th>
                </tr>
              </thead>
              <tbody>
                {rows.map((r) => (
                  <tr key={r.id}>
                    <td>
                      <Time at={r.time} as="stamp" />
                    </td>
                    <th scope="row">
                      <Txt value={r.actor.name || r.actor.id} className="cut blk" />
                      <span className="dim">{r.actor.kind.replaceAll("_", " ")}</span>
                    </th>
                    <td className="mono">{r.action}</td>
                    <td className="mono" style={{ maxWidth: 220 }}>
                      <Txt value={r.target} className="cut blk" />
                    </td>
                    <td className="mono dim" style={{ maxWidth: 380 }}>
                      <Txt value={r.detail && Object.keys(r.detail).length > 0 ? JSON.stringify(r.detail) : ""} className="cut blk" />
                    </td>
                  </tr>
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
