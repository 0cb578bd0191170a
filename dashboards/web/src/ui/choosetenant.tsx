/* For pages that read one tenant at a time: which one, with what it holds. */
import { useQuery } from "@tanstack/react-query";
import { useNavigate, useRouterState } from "@tanstack/react-router";
import { overviewQuery } from "../api/queries";
import { compact } from "../lib/format";
import { useSession } from "../session";
import { TenantMark } from "./badges";
import { IconBuilding } from "./icons";
import { Empty } from "./states";
import { Txt } from "./text";

export function ChooseTenant({ what }: { what: string }) {
  const session = useSession();
  const { data } = useQuery(overviewQuery(undefined));
  const navigate = useNavigate();
  const to = useRouterState({ select: (s) => s.location.pathname });
  if (session.tenants.length === 0)
    return (
      <Empty page icon={IconBuilding} title="No tenant yet">
        <p>The first log line pushed for a tenant creates what is to be seen here.</p>
        <pre className="code">tenantwatch ingest /var/log/auth.log --tenant acme --create</pre>
      </Empty>
    );
  return (
    <div className="doc narrowdoc">
      <h1>Choose a tenant</h1>
      <p className="dim">{what}</p>
      <ul className="choices">
        {session.tenants.slice(0, 200).map((t) => {
          const c = data?.tenants.find((x) => x.tenant_id === t.id);
          return (
            <li key={t.id}>
              <button type="button" onClick={() => void navigate({ to, search: ((s: Record<string, unknown>) => ({ ...s, tenant: t.id })) as never })}>
                <TenantMark id={t.id} size={24} />
                <span className="grow">
                  <Txt value={t.name} className="strong cut blk" />
                  <span className="mono dim cut blk">{t.id}</span>
                </span>
                {c && (
                  <span className="dim num" style={{ textAlign: "right" }}>
                    {compact(c.events_24h)} events
                    <br />
                    {compact(c.open_alerts)} open alerts
                  </span>
                )}
              </button>
            </li>
          );
        })}
      </ul>
    </div>
  );
}
