/* What narrows the queue down, and what stands there when nothing is left. */
import { Button, CloseButton, Kbd, TextInput } from "@mantine/core";
import { useDebouncedCallback } from "@mantine/hooks";
import { Link } from "@tanstack/react-router";
import { useEffect, useState } from "react";
import { SEVERITIES, type Severity } from "../lib/urlstate";
import { SeverityMark, severityName } from "./badges";
import { IconBell, IconSearch } from "./icons";
import { Empty } from "./states";

export function SearchBox({ value, onChange, ref }: { value: string; onChange: (q: string) => void; ref: React.RefObject<HTMLInputElement | null> }) {
  const [text, setText] = useState(value);
  useEffect(() => setText(value), [value]);
  const send = useDebouncedCallback(onChange, 250);
  return (
    <TextInput
      ref={ref}
      size="xs"
      className="searchbox"
      aria-label="Search alerts"
      placeholder="Title, reason, entity"
      maxLength={256}
      leftSection={<IconSearch size={14} aria-hidden />}
      rightSection={text ? <CloseButton size="xs" aria-label="Clear the search" onClick={() => (setText(""), onChange(""))} /> : <Kbd size="xs">/</Kbd>}
      value={text}
      onChange={(e) => {
        setText(e.currentTarget.value);
        send(e.currentTarget.value);
      }}
      onKeyDown={(e) => {
        if (e.key === "Escape") e.currentTarget.blur();
        if (e.key === "Enter") {
          onChange(text);
          e.currentTarget.blur();
        }
      }}
    />
  );
}

export function SeverityFilter({ value, onChange }: { value: Severity[]; onChange: (v: Severity[]) => void }) {
  return (
    <div className="row sevfilter" role="group" aria-label="Severity">
      {SEVERITIES.map((s) => (
        <button
          type="button"
          key={s}
          className="chip"
          aria-pressed={value.includes(s)}
          aria-label={severityName(s)}
          title={severityName(s)}
          onClick={() => onChange(value.includes(s) ? value.filter((x) => x !== s) : SEVERITIES.filter((x) => x === s || value.includes(x)))}
        >
          <SeverityMark value={s} />
        </button>
      ))}
    </div>
  );
}

export function NoAlerts({ keys }: { keys: boolean }) {
  return (
    <Empty icon={IconBell} title="No open alerts">
      <p>
        Either nothing unusual has happened, or no logs have come in yet. Detectors score a tenant from its first event; push some and watch this page.
      </p>
      <pre className="code" style={{ maxWidth: 640, width: "100%" }}>
        tenantwatch ingest /var/log/auth.log --tenant acme --create
      </pre>
      <div className="row">
        {keys && (
          <Button variant="default" renderRoot={(p) => <Link to="/keys" {...p} />}>
            Create an ingest key
          </Button>
        )}
        <Button variant="default" renderRoot={(p) => <Link to="/alerts" search={{ status: "any" }} {...p} />}>
          Show closed alerts too
        </Button>
      </div>
    </Empty>
  );
}
