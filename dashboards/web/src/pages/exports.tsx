/* Exports: files made of a tenant's events, with what proves that they are whole. */
import { Button, Progress } from "@mantine/core";
import "@mantine/core/styles/Progress.layer.css";
import { useInfiniteQuery, useMutation, useQueryClient } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { body, client } from "../api/client";
import { exportsQuery } from "../api/queries";
import type { ExportJob } from "../api/types";
import { bytes, count } from "../lib/format";
import { useCan, useScope } from "../session";
import { More } from "../ui/admin";
import { TenantMark } from "../ui/badges";
import { CopyIcon } from "../ui/copy";
import { IconDownload } from "../ui/icons";
import { Denied, Empty, Failed, SkeletonRows } from "../ui/states";
import { Txt } from "../ui/text";
import { Time } from "../ui/time";
import { useTitle } from "../ui/title";
import { useToast } from "../ui/toast";

const route = getRouteApi("/in/exports");
const FORMATS = { csv: "CSV", ndjson: "NDJSON", ocsf: "OCSF", parquet: "Parquet" } as const;

export default function Exports() {
  const search = route.useSearch();
  const { multi, param } = useScope(search.tenant);
  const may = useCan("events:export");
  const list = useInfiniteQuery({ ...exportsQuery(param), enabled: may });
  const rows = list.data?.pages.flatMap((p) => p.items) ?? [];
  const queries = useQueryClient();
  const say = useToast();
  useTitle("Exports");
  const remove = useMutation({
    mutationFn: (j: ExportJob) => body(client.DELETE("/api/v1/exports/{id}", { params: { path: { id: j.id }, query: multi ? { tenant_id: j.tenant_id } : {} } })),
    onSuccess: (_x, j) => {
      say(j.state === "running" || j.state === "queued" ? "Cancelled" : "Removed");
      void queries.invalidateQueries({ queryKey: ["exports"] });
    },
    onError: (e) => say(`Not removed: ${e.message}`, { bad: true }),
  });
  if (!may) return <Denied what="Exports" />;
  return (
    <div className="doc">
      <header className="dochead">
        <div className="grow">
          <h1>Exports</h1>
          <p className="dim">Large exports are made in the background. Each says how many rows it holds and their SHA-256, so that whoever gets the file can check that it is whole.</p>
        </div>
        <Button variant="default" renderRoot={(p) => <Link to="/audit" search={param ? { tenant: param } : {}} {...p} />}>
          New, from a search
        </Button>
      </header>
      <section className="panel">
        {list.isPending ? (
          <SkeletonRows rows={5} />
        ) : list.isError ? (
          <Failed what="The exports could not be read" error={list.error} retry={() => void list.refetch()} />
        ) : rows.length === 0 ? (
          <Empty icon={IconDownload} title="No export yet">
            <p>Search the audit log, then choose Export.</p>
          </Empty>
        ) : (
          <div className="tscroll" tabIndex={0} role="region" aria-label="Exports">
            <table className="plain num">
              <thead>
                <tr>
                  <th>What</th>
                  {multi && <th>Tenant</th>}
                  <th>Format</th>
                  <th className="right">Rows</th>
                  <th className="right">Size</th>
                  <th>SHA-256</th>
                  <th>State</th>
                  <th>Made</th>
                  <th>
                    <span className="sr">Actions</span>
                  </th>
                </tr>
              </thead>
              <tbody>
                {rows.map((j) => (
                  <tr key={j.id}>
                    <th scope="row" style={{ maxWidth: 260 }}>
                      <Txt value={j.query || "Everything"} className="cut blk" />
                      <span className="dim">
                        {j.from || j.to ? (
                          <>
                            {j.from ? <Time at={j.from} as="stamp" /> : "the beginning"} to {j.to ? <Time at={j.to} as="stamp" /> : "now"}
                          </>
                        ) : (
                          "all time"
                        )}
                      </span>
                    </th>
                    {multi && (
                      <td>
                        <span className="row" style={{ gap: 6 }}>
                          <TenantMark id={j.tenant_id} /> {j.tenant_id}
                        </span>
                      </td>
                    )}
                    <td>{FORMATS[j.format]}</td>
                    <td className="right">{count(j.rows)}</td>
                    <td className="right">{j.bytes > 0 ? bytes(j.bytes) : "–"}</td>
                    <td>
                      {j.sha256 ? (
                        <span className="row" style={{ gap: 2 }}>
                          <span className="mono dim" title={j.sha256}>
                            {j.sha256.slice(0, 10)}…
                          </span>
                          <CopyIcon text={j.sha256} label="Copy the SHA-256" />
                        </span>
                      ) : (
                        "–"
                      )}
                    </td>
                    <td style={{ minWidth: 140 }}>
                      {j.state === "running" || j.state === "queued" ? (
                        <Progress value={Math.round(j.progress * 100)} size="sm" aria-label={`${Math.round(j.progress * 100)} % done`} />
                      ) : j.state === "failed" ? (
                        <span className="wrap" style={{ color: "var(--tw-critical)" }}>
                          Failed: <Txt value={j.error ?? ""} />
                        </span>
                      ) : j.state === "done" ? (
                        <>
                          Ready{j.expires_at ? <span className="dim"> until <Time at={j.expires_at} /></span> : null}
                        </>
                      ) : j.state === "cancelled" ? (
                        "Cancelled"
                      ) : (
                        "No longer kept"
                      )}
                    </td>
                    <td>
                      <Time at={j.created_at} />
                    </td>
                    <td className="right">
                      <span className="row" style={{ justifyContent: "flex-end", gap: 4 }}>
                        {j.download && (
                          <Button size="compact-xs" variant="default" component="a" href={j.download} download leftSection={<IconDownload size={13} />}>
                            Download
                          </Button>
                        )}
                        <Button size="compact-xs" variant="subtle" color="gray" onClick={() => remove.mutate(j)}>
                          {j.state === "running" || j.state === "queued" ? "Cancel" : "Remove"}
                        </Button>
                      </span>
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
