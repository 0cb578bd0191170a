/* What the small administrative pages share. */
import "@mantine/core/styles/Alert.layer.css";
import "../styles/dialog";
import { Alert as Box, Button, Modal, Select } from "@mantine/core";
import { useState, type ReactNode } from "react";
import { useScope, useSession } from "../session";
import { CopyButton } from "./copy";
import { visible } from "../lib/text";

/** The tenant a new thing is for: fixed, or chosen by a role with several. */
export function useTenantField(fromURL: string | undefined): { value: string | undefined; body: { tenant_id?: string }; field: ReactNode } {
  const { multi, tenant } = useScope(fromURL);
  const session = useSession();
  const [picked, pick] = useState<string | null>(tenant ?? null);
  const value = multi ? (picked ?? undefined) : tenant;
  return {
    value,
    body: multi && value ? { tenant_id: value } : {},
    field: multi ? (
      <Select
        label="Tenant"
        size="sm"
        required
        searchable
        value={picked}
        onChange={pick}
        data={session.tenants.map((t) => ({ value: t.id, label: t.name === t.id ? t.id : `${visible(t.name)} (${t.id})` }))}
        placeholder="Whose?"
        nothingFoundMessage="No tenant matches"
      />
    ) : null,
  };
}

/** A secret that can be read now and never again. */
export function Secret({ secret, label, children }: { secret: string; label: string; children?: ReactNode }) {
  return (
    <div className="stack" style={{ gap: 12 }}>
      <Box color="tide" variant="light" title="Copy it now">
        This {label} is shown once. It is stored only as a hash and cannot be read again.
      </Box>
      <div>
        <pre className="code" data-testid="secret">
          {secret}
        </pre>
        <div className="row" style={{ marginTop: 8 }}>
          <CopyButton text={secret}>Copy the {label}</CopyButton>
        </div>
      </div>
      {children}
    </div>
  );
}

export function Confirm({ opened, close, run, title, verb, pending, children }: { opened: boolean; close: () => void; run: () => void; title: string; verb: string; pending: boolean; children: ReactNode }) {
  return (
    <Modal opened={opened} onClose={close} title={title} closeButtonProps={{ "aria-label": "Close" }}>
      <div className="stack" style={{ gap: 16 }}>
        <div className="wrap">{children}</div>
        <div className="row" style={{ justifyContent: "flex-end" }}>
          <Button variant="default" onClick={close} data-autofocus>
            Cancel
          </Button>
          <Button color="red.8" onClick={run} loading={pending}>
            {verb}
          </Button>
        </div>
      </div>
    </Modal>
  );
}

export function More({ has, loading, load }: { has: boolean; loading: boolean; load: () => void }) {
  return has ? (
    <div className="row" style={{ justifyContent: "center", padding: 12 }}>
      <Button variant="default" loading={loading} onClick={load}>
        Show more
      </Button>
    </div>
  ) : null;
}
