/* A tenant's life: suspended, resumed, deleted, made. */
import "../styles/dialog";
import { Button, Modal, TextInput } from "@mantine/core";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { useState } from "react";
import { attempt, body, client } from "../api/client";
import { asApiError } from "../api/problem";
import { sessionQuery, tenantQuery } from "../api/queries";
import type { Tenant } from "../api/types";
import { useCan } from "../session";
import { Confirm } from "./admin";
import { IconPlus } from "./icons";
import { Txt } from "./text";
import { Time } from "./time";
import { useToast } from "./toast";

export default function State({ t }: { t: Tenant }) {
  const [ask, setAsk] = useState<"suspend" | "delete" | "rename">();
  const [text, setText] = useState("");
  const queries = useQueryClient();
  const say = useToast();
  const path = { params: { path: { id: t.id } } };
  const act = useMutation({
    mutationFn: (what: "suspend" | "resume" | "delete" | "restore" | "rename") => {
      switch (what) {
        case "suspend":
          return body(client.POST("/api/v1/tenants/{id}/suspend", { ...path, body: { reason: text } }));
        case "resume":
          return body(client.POST("/api/v1/tenants/{id}/resume", { ...path, body: {} }));
        case "restore":
          return body(client.POST("/api/v1/tenants/{id}/restore", { ...path, body: {} }));
        case "rename":
          return body(client.PATCH("/api/v1/tenants/{id}", { ...path, body: { name: text.trim() } }));
        case "delete":
          return body(client.DELETE("/api/v1/tenants/{id}", { params: { path: { id: t.id }, query: { grace_days: 30, ...(text ? { reason: text } : {}) } } }));
      }
    },
    onSuccess: (now) => {
      setAsk(undefined);
      setText("");
      queries.setQueryData(tenantQuery(t.id).queryKey, now);
      void queries.invalidateQueries({ queryKey: sessionQuery.queryKey });
      say(`${now.name}: ${now.status}`);
    },
    onError: (e) => say(`Not changed: ${e.message}`, { bad: true }),
  });
  return (
    <section className="panel">
      <header>
        <h2>State</h2>
        <span className="dim">
          {t.status}
          {t.status_reason ? `: ${t.status_reason}` : ""} · {t.placement}
        </span>
      </header>
      <div className="body row" style={{ flexWrap: "wrap" }}>
        {t.status === "deleting" ? (
          <>
            <span className="grow">
              Its data are removed <Time at={t.delete_after} as="both" />.
            </span>
            <Button onClick={() => act.mutate("restore")} loading={act.isPending}>
              Restore
            </Button>
          </>
        ) : (
          <>
            <Button variant="default" onClick={() => (setText(t.name), setAsk("rename"))}>
              Rename…
            </Button>
            {t.status === "active" ? (
              <Button variant="default" onClick={() => (setText(""), setAsk("suspend"))}>
                Suspend…
              </Button>
            ) : (
              <Button onClick={() => act.mutate("resume")} loading={act.isPending}>
                Resume
              </Button>
            )}
            <span className="grow" />
            <Button variant="default" color="red" onClick={() => (setText(""), setAsk("delete"))}>
              Delete…
            </Button>
          </>
        )}
      </div>
      <Modal opened={ask === "rename"} onClose={() => setAsk(undefined)} title="Rename the tenant" closeButtonProps={{ "aria-label": "Close" }}>
        <div className="stack" style={{ gap: 16 }}>
          <TextInput label="Name" description="Its id stays." maxLength={200} value={text} onChange={(e) => setText(e.currentTarget.value)} data-autofocus />
          <div className="row" style={{ justifyContent: "flex-end" }}>
            <Button onClick={() => act.mutate("rename")} loading={act.isPending} disabled={!text.trim()}>
              Rename
            </Button>
          </div>
        </div>
      </Modal>
      <Confirm opened={ask === "suspend" || ask === "delete"} close={() => setAsk(undefined)} run={() => ask && act.mutate(ask)} pending={act.isPending} title={ask === "delete" ? "Delete this tenant?" : "Suspend this tenant?"} verb={ask === "delete" ? "Delete after 30 days" : "Suspend"}>
        <p style={{ margin: "0 0 12px" }}>
          <b>
            <Txt value={t.name} />
          </b>{" "}
          {ask === "delete" ? "takes nothing in from now on. For 30 days it can be restored whole; then its data are removed everywhere, and only the counts of what was removed are kept." : "takes nothing in: senders get 403 and keep their events. Only platform administrators read it until it is resumed."}
        </p>
        <TextInput label="Why" maxLength={500} value={text} onChange={(e) => setText(e.currentTarget.value)} />
      </Confirm>
    </section>
  );
}

export function NewTenant() {
  const may = useCan("tenants:manage");
  const [open, setOpen] = useState(false);
  const [id, setID] = useState("");
  const [name, setName] = useState("");
  const [once, setOnce] = useState(attempt);
  const navigate = useNavigate();
  const queries = useQueryClient();
  const make = useMutation({
    mutationFn: () => body(client.POST("/api/v1/tenants", { params: { header: { "Idempotency-Key": once } }, body: { id: id.trim(), name: name.trim() || id.trim() } })),
    onSuccess: async (t) => {
      setOpen(false);
      await queries.invalidateQueries({ queryKey: sessionQuery.queryKey });
      void navigate({ to: "/keys", search: { tenant: t.id } });
    },
    onError: () => setOnce(attempt()),
  });
  if (!may) return null;
  const error = make.error ? asApiError(make.error) : undefined;
  return (
    <div className="doc narrowdoc" style={{ paddingTop: 0 }}>
      <Button variant="default" leftSection={<IconPlus size={14} />} onClick={() => setOpen(true)}>
        New tenant
      </Button>
      <Modal opened={open} onClose={() => setOpen(false)} title="New tenant" closeButtonProps={{ "aria-label": "Close" }}>
        <form
          className="stack"
          style={{ gap: 14 }}
          onSubmit={(e) => {
            e.preventDefault();
            make.mutate();
          }}
        >
          <TextInput label="Id" description="For ever: a to z, 0 to 9 and -, at most 63." required pattern="[a-z0-9][a-z0-9\\-]{0,62}" data-autofocus value={id} onChange={(e) => setID(e.currentTarget.value)} error={error?.field("id")?.message} />
          <TextInput label="Name" description="For people; it can be changed." maxLength={200} value={name} onChange={(e) => setName(e.currentTarget.value)} />
          {error && (
            <div role="alert" className="formerror wrap">
              {error.title}. {error.detail}
            </div>
          )}
          <div className="row" style={{ justifyContent: "flex-end" }}>
            <Button type="submit" loading={make.isPending} disabled={!id.trim()}>
              Create, then make a key
            </Button>
          </div>
        </form>
      </Modal>
    </div>
  );
}
