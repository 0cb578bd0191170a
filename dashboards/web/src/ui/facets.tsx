import { Skeleton } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { facetsQuery, type AuditKey } from "../api/queries";
import { compact, count } from "../lib/format";
import { holds, term } from "../lib/querylang";
import { visible } from "../lib/text";
import { IconMinus, IconRight } from "./icons";
import { Txt } from "./text";

const FIELDS = [
  ["outcome", "Outcome", true],
  ["action", "Action", true],
  ["actor", "Actor", true],
  ["src_ip", "Address", true],
  ["country", "Country", false],
  ["resource", "Resource", false],
  ["user_agent", "User agent", false],
  ["source", "Source", false],
  ["format", "Format", false],
] as const;

type Toggle = (field: string, value: string, negate: boolean) => void;

export function FacetList({ scope, q, toggle }: { scope: AuditKey; q: string; toggle: Toggle }) {
  return (
    <div className="facets">
      {FIELDS.map(([field, name, open]) => (
        <Facet key={field} scope={scope} q={q} field={field} name={name} initially={open} toggle={toggle} />
      ))}
    </div>
  );
}

function Facet({ scope, q, field, name, initially, toggle }: { scope: AuditKey; q: string; field: string; name: string; initially: boolean; toggle: Toggle }) {
  const [open, setOpen] = useState(initially);
  const [more, setMore] = useState(false);
  const limit = more ? 50 : 6;
  const found = useQuery({ ...facetsQuery(scope, field, limit), enabled: open });
  const values = found.data?.values ?? [];
  const top = Math.max(1, ...values.map((v) => v.count));
  return (
    <section>
      <button type="button" className="facethead" aria-expanded={open} onClick={() => setOpen(!open)}>
        <IconRight size={13} style={{ transform: open ? "rotate(90deg)" : undefined }} aria-hidden />
        {name}
      </button>
      {open &&
        (found.isPending ? (
          <div style={{ padding: "2px 10px", display: "grid", gap: 8 }}>
            <Skeleton h={9} w="80%" />
            <Skeleton h={9} w="55%" />
          </div>
        ) : found.isError ? (
          <button type="button" className="link plain" style={{ margin: "0 22px" }} onClick={() => void found.refetch()}>
            Could not be read. Try again
          </button>
        ) : values.length === 0 ? (
          <div className="dim" style={{ padding: "0 22px" }}>
            none
          </div>
        ) : (
          <ul>
            {values.map((v) => {
              const on = holds(q, term(field, v.value));
              const shown = v.value === "" ? "(empty)" : visible(v.value);
              return (
                <li key={v.value}>
                  <button type="button" className="facet" aria-pressed={on} onClick={() => toggle(field, v.value, false)} title={`${shown}: ${count(v.count)}`}>
                    <i style={{ width: `${(v.count / top) * 100}%` }} aria-hidden />
                    <span className="cut grow">{v.value === "" ? <em className="dim">(empty)</em> : <Txt value={v.value} title="" />}</span>
                    <span className="num dim">{compact(v.count)}</span>
                  </button>
                  <button type="button" className="facetnot" aria-label={`Without ${name} ${shown}`} title="Without this" onClick={() => toggle(field, v.value, true)}>
                    <IconMinus size={12} aria-hidden />
                  </button>
                </li>
              );
            })}
            {values.length === limit && !more && (
              <li>
                <button type="button" className="link plain" style={{ margin: "2px 12px" }} onClick={() => setMore(true)}>
                  More
                </button>
              </li>
            )}
          </ul>
        ))}
    </section>
  );
}
