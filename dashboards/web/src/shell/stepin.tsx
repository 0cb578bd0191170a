/* Stepping into a tenant: never without a reason that the tenant can read. */
import "../styles/dialog";
import { Button, Modal, Select, TextInput } from "@mantine/core";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { body, client, setCSRF } from "../api/client";
import { asApiError } from "../api/problem";
import { sessionQuery } from "../api/queries";

export default function StepInForm({ tenant, close }: { tenant: string; close: () => void }) {
  const [reason, setReason] = useState("");
  const [role, setRole] = useState<"tenant_auditor" | "tenant_admin">("tenant_auditor");
  const queries = useQueryClient();
  const go = useMutation({
    mutationFn: () => body(client.POST("/api/v1/session/view-as", { body: { tenant_id: tenant, reason: reason.trim(), role } })),
    onSuccess: (s) => {
      setCSRF(s.csrf);
      queries.clear();
      queries.setQueryData(sessionQuery.queryKey, s);
      location.assign("/");
    },
  });
  const error = go.error ? asApiError(go.error) : undefined;
  return (
    <Modal opened onClose={close} title={`See ${tenant} as its own people do`} closeButtonProps={{ "aria-label": "Close" }}>
      <form
        className="stack"
        style={{ gap: 14 }}
        onSubmit={(e) => {
          e.preventDefault();
          go.mutate();
        }}
      >
        <p className="dim wrap" style={{ margin: 0 }}>
          Your name, the reason and all you look at land in this tenant's own audit log.
        </p>
        <TextInput label="Reason" placeholder="Ticket 4711: they cannot find an export" required minLength={3} maxLength={500} data-autofocus value={reason} onChange={(e) => setReason(e.currentTarget.value)} error={error?.field("reason")?.message} />
        <Select
          label="As"
          size="sm"
          allowDeselect={false}
          value={role}
          onChange={(v) => setRole(v === "tenant_admin" ? "tenant_admin" : "tenant_auditor")}
          data={[
            { value: "tenant_auditor", label: "Tenant auditor: reads" },
            { value: "tenant_admin", label: "Tenant admin: reads and administers" },
          ]}
        />
        {error && (
          <div role="alert" className="formerror wrap">
            {error.title}. {error.detail}
          </div>
        )}
        <div className="row" style={{ justifyContent: "flex-end" }}>
          <Button variant="default" onClick={close}>
            Cancel
          </Button>
          <Button type="submit" loading={go.isPending} disabled={reason.trim().length < 3}>
            Step in
          </Button>
        </div>
      </form>
    </Modal>
  );
}
