/* Other alerts that resemble this one: of the same entity, and of the same kind. */
import { Skeleton } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { similarQuery } from "../api/queries";
import type { Alert } from "../api/types";
import { useSession } from "../session";
import { SeverityMark, StatusMark } from "./badges";
import { Txt } from "./text";
import { Time } from "./time";

export function Similar({ a }: { a: Alert }) {
  const { multi_tenant: multi } = useSession();
  const same = useQuery(similarQuery(a.tenant_id, multi, a.entity.id.slice(0, 200)));
  const items = (same.data?.items ?? []).filter((x) => x.id !== a.id);
  // The same kind first: what one detector and technique found here before says most about this time.
  const kind = (x: Alert) => Number(x.detectors[0]?.name === a.detectors[0]?.name) + Number(x.technique.some((t) => a.technique.includes(t)));
  const shown = [...items].sort((x, y) => kind(y) - kind(x)).slice(0, 6);
  return (
    <section className="panel" aria-label="Similar alerts">
      <header>
        <h2>Similar alerts</h2>
        <span className="grow" />
        {items.length > shown.length && (
          <Link className="link" to="/alerts" search={{ ...(multi ? { tenant: a.tenant_id } : {}), q: a.entity.id, status: "any" }}>
            All {same.data ? same.data.total - 1 : ""}
          </Link>
        )}
      </header>
      {same.isPending ? (
        <div className="body">
          <Skeleton h={36} />
        </div>
      ) : shown.length === 0 ? (
        <div className="body dim wrap">
          {same.isError ? `They could not be read: ${same.error.message}` : <>No other alert names <Txt value={a.entity.id} />.</>}
        </div>
      ) : (
        <ul className="similar">
          {shown.map((x) => (
            <li key={x.id}>
              <Link to="/alerts/$id" params={{ id: x.id }} search={(s) => s}>
                <SeverityMark value={x.severity} iconOnly />
                <span className="grow" style={{ lineHeight: 1.4 }}>
                  <Txt value={x.title} className="wrap" />
                  <span className="row dim" style={{ fontSize: "0.75rem" }}>
                    <Time at={x.raised_at_event_time} />
                    <span className="grow" />
                    <StatusMark value={x.triage.status} verdict={x.triage.verdict} />
                  </span>
                </span>
              </Link>
            </li>
          ))}
        </ul>
      )}
    </section>
  );
}
