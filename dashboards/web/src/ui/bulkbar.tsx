/* What can be done with the rows that are picked; and, after it, which of them stayed as they were. */
import { ActionIcon, Button, Popover, TextInput, Tooltip } from "@mantine/core";
import { useMutation } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useState } from "react";
import { BULK_MOST } from "../api/bulk";
import { body, client } from "../api/client";
import { count, plural } from "../lib/format";
import { severities, statuses, type AlertsSearch } from "../lib/urlstate";
import { IconAlertCircle, IconX } from "./icons";
import { pickedOf } from "./pick";
import type { QueueActions } from "./queueactions";
import { Txt } from "./text";
import { useToast } from "./toast";
import type { QueuePicks } from "./usepicks";

const WHY = {
  not_found: "is no longer there",
  conflict: "was changed by somebody else at the same moment",
  unchanged: "already was so",
} as const;

export default function BulkBar({ picks, acts, total, filters }: { picks: QueuePicks; acts: QueueActions; total: number; filters: AlertsSearch }) {
  const say = useToast();
  const [tagging, setTagging] = useState(false);
  const [tag, setTag] = useState("");
  const all = useMutation({
    mutationFn: () => {
      const sev = severities(filters.severity);
      const st = statuses(filters.status);
      return body(
        client.GET("/api/v1/alerts", {
          params: { query: { ...(filters.tenant ? { tenant_id: filters.tenant } : {}), ...(sev.length ? { severity: sev } : {}), ...(st ? { status: st } : {}), ...(filters.q ? { q: filters.q } : {}), limit: BULK_MOST } },
        }),
      );
    },
    onSuccess: (p) => {
      picks.set(p.items);
      if (p.total > p.items.length) say(`The newest ${count(p.items.length)} are selected: as many as can be changed at once`);
    },
    onError: (e) => say(`Not selected: ${e.message}`, { bad: true }),
  });
  const most = Math.min(total, BULK_MOST);
  return (
    <>
      {picks.size > 0 && (
        <div className="bulkbar" role="region" aria-label="Selected alerts">
          <span className="num strong" role="status">
            {pickedOf(picks.size, total)}
          </span>
          {picks.size < most && (
            <Button size="compact-xs" variant="subtle" loading={all.isPending} onClick={() => all.mutate()}>
              Select {most < total ? `the newest ${count(most)}` : `all ${count(total)} that match`}
            </Button>
          )}
          <span className="grow" />
          <Tooltip label="Start work (s)">
            <Button size="compact-sm" variant="default" disabled={acts.pending} onClick={acts.start}>
              Start work
            </Button>
          </Tooltip>
          <Tooltip label="Assign to me (a)">
            <Button size="compact-sm" variant="default" disabled={acts.pending} onClick={acts.assign}>
              Assign to me
            </Button>
          </Tooltip>
          <Popover opened={tagging} onChange={setTagging} position="bottom" shadow="md" withinPortal trapFocus>
            <Popover.Target>
              <Button size="compact-sm" variant="default" disabled={acts.pending} onClick={() => setTagging(!tagging)} aria-expanded={tagging}>
                Tag…
              </Button>
            </Popover.Target>
            <Popover.Dropdown>
              <form
                className="row"
                onSubmit={(e) => {
                  e.preventDefault();
                  if (!tag.trim()) return;
                  acts.tag(tag.trim());
                  setTag("");
                  setTagging(false);
                }}
              >
                <TextInput size="xs" aria-label="Tag" placeholder="phishing" maxLength={64} data-autofocus value={tag} onChange={(e) => setTag(e.currentTarget.value)} />
                <Button type="submit" disabled={!tag.trim()}>
                  Add
                </Button>
              </form>
            </Popover.Dropdown>
          </Popover>
          <Tooltip label="Close with a verdict (e)">
            <Button size="compact-sm" disabled={acts.pending} onClick={acts.close}>
              Close…
            </Button>
          </Tooltip>
          <Tooltip label="Select none (Esc)">
            <ActionIcon size="sm" aria-label="Select none" onClick={picks.clear}>
              <IconX size={15} />
            </ActionIcon>
          </Tooltip>
        </div>
      )}
      {acts.left.length > 0 && (
        <div className="bulkleft" role="alert">
          <IconAlertCircle size={16} aria-hidden />
          <div className="grow">
            <b>{plural(acts.left.length, "alert")} stayed as before</b>
            <ul>
              {acts.left.slice(0, 8).map(({ alert: a, why }) => (
                <li key={a.id} className="wrap">
                  <Link className="link" to="/alerts/$id" params={{ id: a.id }} search={filters.tenant ? { tenant: filters.tenant } : {}}>
                    <Txt value={a.title} />
                  </Link>{" "}
                  {WHY[why]}
                </li>
              ))}
              {acts.left.length > 8 && <li className="dim">and {count(acts.left.length - 8)} more</li>}
            </ul>
          </div>
          <Button size="compact-xs" variant="default" onClick={acts.dismiss}>
            Dismiss
          </Button>
        </div>
      )}
    </>
  );
}
