/* Saved searches: one's own and those the tenant shares. */
import { Button, Menu, Modal, Switch, TextInput } from "@mantine/core";
import "@mantine/core/styles/InlineInput.layer.css";
import "@mantine/core/styles/Switch.layer.css";
import "../styles/dialog";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { attempt, body, client } from "../api/client";
import { asApiError } from "../api/problem";
import { searchesQuery } from "../api/queries";
import type { SavedSearch } from "../api/types";
import { PRESETS } from "../lib/timerange";
import type { AuditSearch } from "../lib/urlstate";
import { IconDown, IconTrash } from "./icons";
import { Txt } from "./text";
import { useToast } from "./toast";

/** The range of a saved search, as the page's URL says it. */
export function rangeOf(text: string): Pick<AuditSearch, "range" | "from" | "to"> {
  const [from, to] = text.split("..");
  if (to !== undefined) return { ...(from ? { from } : {}), ...(to ? { to } : {}) };
  const preset = PRESETS.find((p) => p.key === text);
  return preset ? { range: preset.key } : text === "" ? { range: "all" } : {};
}

function textOf(s: AuditSearch): string {
  if (s.from || s.to) return `${s.from ?? ""}..${s.to ?? ""}`;
  return s.range === "all" ? "" : (s.range ?? "24h");
}

export function Searches({ search, param, open }: { search: AuditSearch; param: string | undefined; open: (s: Partial<AuditSearch>) => void }) {
  const list = useQuery(searchesQuery(param));
  const [saving, setSaving] = useState(false);
  const queries = useQueryClient();
  const say = useToast();
  const remove = useMutation({
    mutationFn: (s: SavedSearch) => body(client.DELETE("/api/v1/searches/{id}", { params: { path: { id: s.id }, query: param ? { tenant_id: param } : {} } })),
    onSuccess: (_x, s) => {
      say(`Forgotten: ${s.name}`);
      void queries.invalidateQueries({ queryKey: ["searches"] });
    },
    onError: (e) => say(`Not removed: ${e.message}`, { bad: true }),
  });
  const items = list.data?.items ?? [];
  return (
    <>
      <Menu position="bottom-end" width={300}>
        <Menu.Target>
          <Button size="sm" variant="default" rightSection={<IconDown size={14} />}>
            Saved
          </Button>
        </Menu.Target>
        <Menu.Dropdown>
          {items.length === 0 && <Menu.Label>No search is saved yet</Menu.Label>}
          <div className="scrollbox">
            {items.map((s) => (
              <Menu.Item
                key={s.id}
                onClick={() => open({ q: s.query || undefined, range: undefined, from: undefined, to: undefined, ...rangeOf(s.range) } as Partial<AuditSearch>)}
                rightSection={
                  s.own ? (
                    <span
                      role="button"
                      tabIndex={0}
                      aria-label={`Forget ${s.name}`}
                      style={{ display: "inline-flex", padding: 2 }}
                      onClick={(e) => {
                        e.stopPropagation();
                        remove.mutate(s);
                      }}
                      onKeyDown={(e) => {
                        if (e.key !== "Enter" && e.key !== " ") return;
                        e.preventDefault();
                        e.stopPropagation();
                        remove.mutate(s);
                      }}
                    >
                      <IconTrash size={14} />
                    </span>
                  ) : null
                }
              >
                <Txt value={s.name} className="cut blk" />
                <span className="dim mono cut blk">
                  <Txt value={s.query || "everything"} />
                </span>
              </Menu.Item>
            ))}
          </div>
          <Menu.Divider />
          <Menu.Item onClick={() => setSaving(true)}>Save this search…</Menu.Item>
        </Menu.Dropdown>
      </Menu>
      <Modal opened={saving} onClose={() => setSaving(false)} title="Save this search" closeButtonProps={{ "aria-label": "Close" }}>
        {saving && <Save search={search} param={param} close={() => setSaving(false)} />}
      </Modal>
    </>
  );
}

function Save({ search, param, close }: { search: AuditSearch; param: string | undefined; close: () => void }) {
  const [name, setName] = useState("");
  const [shared, setShared] = useState(false);
  const [once, setOnce] = useState(attempt);
  const queries = useQueryClient();
  const say = useToast();
  const make = useMutation({
    mutationFn: () =>
      body(client.POST("/api/v1/searches", { params: { header: { "Idempotency-Key": once } }, body: { ...(param ? { tenant_id: param } : {}), name: name.trim(), query: search.q ?? "", range: textOf(search), shared } })),
    onSuccess: () => {
      void queries.invalidateQueries({ queryKey: ["searches"] });
      say("Search saved");
      close();
    },
    onError: () => setOnce(attempt()),
  });
  const error = make.error ? asApiError(make.error) : undefined;
  return (
    <form
      className="stack"
      style={{ gap: 14 }}
      onSubmit={(e) => {
        e.preventDefault();
        make.mutate();
      }}
    >
      <TextInput label="Name" required maxLength={200} data-autofocus value={name} onChange={(e) => setName(e.currentTarget.value)} error={error?.field("name")?.message} />
      <p className="mono dim wrap" style={{ margin: 0 }}>
        <Txt value={search.q || "everything"} />
      </p>
      <Switch label="Everybody who reads this tenant's events sees it" checked={shared} onChange={(e) => setShared(e.currentTarget.checked)} />
      {error && (
        <div role="alert" className="formerror wrap">
          {error.title}. {error.detail}
        </div>
      )}
      <div className="row" style={{ justifyContent: "flex-end" }}>
        <Button type="submit" loading={make.isPending} disabled={!name.trim()}>
          Save
        </Button>
      </div>
    </form>
  );
}
