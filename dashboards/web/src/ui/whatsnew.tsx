/* What an entity did for the first time, beside what was known of it, and how active it is. */
import { Skeleton } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { Link, useNavigate } from "@tanstack/react-router";
import { useMemo } from "react";
import { histogramQuery } from "../api/queries";
import type { Alert } from "../api/types";
import { plural } from "../lib/format";
import { entityTerm } from "../lib/investigate";
import { firstTimeTerm, novelty, withRelated } from "../lib/novelty";
import { useCan } from "../session";
import { Histogram } from "./plots";
import { Txt } from "./text";

const DAY = 86_400_000;

export function WhatsNew({ a, multi }: { a: Alert; multi: boolean }) {
  const n = useMemo(() => {
    const found = novelty(a.reason);
    return found && withRelated(found, a.related);
  }, [a.reason, a.related]);
  if (!n) return null;
  const base = { ...(multi ? { tenant: a.tenant_id } : {}), range: "all" as const };
  const who = entityTerm(a.entity);
  return (
    <section className="panel">
      <header>
        <h2>Never seen before</h2>
        <span className="dim">{n.window}</span>
      </header>
      <ul className="firsts">
        {n.items.map((i) => {
          const t = firstTimeTerm(i);
          return (
            <li key={`${i.kind} ${i.value}`}>
              <span className="dim">{i.kind}</span>
              {t ? (
                <Link className="entlink strong wrap" to="/audit" search={{ ...base, q: who ? `${who} ${t}` : t }} title="Every event with it, in the audit log">
                  <Txt value={i.value} title="" />
                </Link>
              ) : (
                <Txt value={i.value} className="strong wrap" title="" />
              )}
              <span className="newtag">new</span>
            </li>
          );
        })}
        {n.more > 0 && (
          <li>
            <span className="dim" />
            <span className="dim">and {plural(n.more, "more first-time value")}, in the events below</span>
          </li>
        )}
        <li>
          <span className="dim">{n.before.values.length ? `${n.before.kinds} before` : "before"}</span>
          {n.before.values.length ? (
            <span className="wrap">
              <Txt value={n.before.values.join(", ")} title="" /> <span className="dim">(about {n.before.observations} observations)</span>
            </span>
          ) : (
            <span className="dim">no {n.before.kinds} was known</span>
          )}
        </li>
        <li>
          <span className="dim">Chance</span>
          <span className="num">
            {n.own} <span className="dim">for it,</span> {n.peers} <span className="dim">among its peers</span>
          </span>
        </li>
      </ul>
    </section>
  );
}

/** Where no plot was kept: the entity's events over the week that ends with the alert. */
export function Activity({ a, multi }: { a: Alert; multi: boolean }) {
  const may = useCan("events:read");
  const navigate = useNavigate();
  // A silence is a source's, told of its tenant: what matters are the events of that source.
  const subject = (a.detectors[0]?.name === "silence" && a.related.find((r) => r.type === "source")) || a.entity;
  const q = entityTerm(subject);
  const tenant = multi ? a.tenant_id : undefined;
  const end = Math.ceil((Date.parse(a.last_seen) + 1) / 3_600_000) * 3_600_000;
  const range = { from: new Date(end - 7 * DAY).toISOString(), to: new Date(end).toISOString() };
  const found = useQuery({ ...histogramQuery({ tenant, q, ...range }, 84), enabled: may });
  if (!may || found.isError) return null;
  return (
    <section className="panel">
      <header>
        <h2>
          Events of <Txt value={subject.id} title="" />
        </h2>
        <span className="dim">7 days up to this alert</span>
        <span className="grow" />
        <span className="key">
          <i className="k-count" /> events
        </span>
        <span className="key">
          <i className="k-fail" /> failures
        </span>
      </header>
      <div className="body">
        {found.data ? (
          <Histogram data={found.data} onBrush={(from, to) => void navigate({ to: "/audit", search: { ...(tenant ? { tenant } : {}), ...(q ? { q } : {}), from, to } })} />
        ) : (
          <Skeleton h={104} />
        )}
      </div>
    </section>
  );
}
