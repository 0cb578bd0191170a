/* The banner: which tenant's data this is, on every page, before anything else. */
import { ActionIcon, Combobox, useCombobox } from "@mantine/core";
import { lazy, Suspense } from "react";
import { Link, useNavigate, useRouterState, useSearch } from "@tanstack/react-router";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { alertQuery } from "../api/queries";
import { useCan, useScope, useSession } from "../session";
import { TenantMark } from "../ui/badges";
import { IconBuilding, IconCheck, IconDown, IconMenu, IconRight } from "../ui/icons";
import { Txt } from "../ui/text";
import { usePrefs } from "../ui/prefs";
import { zoneName } from "../lib/format";

const TITLES: Record<string, string> = {
  alerts: "Alerts",
  audit: "Audit log",
  entities: "Entities",
  detectors: "Detectors",
  quarantine: "Quarantine",
  keys: "Keys",
  webhooks: "Webhooks",
  users: "Users",
  settings: "Settings",
  exports: "Exports",
  account: "Your account",
  trail: "Trail",
  suppressions: "Suppressions",
  accounting: "Accounting",
};

const PARENTS: Record<string, "/alerts" | "/webhooks" | "/entities"> = { webhooks: "/webhooks", entities: "/entities" };

/** A part of the path as it was meant; a broken escape is shown as it is. */
function text(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

export function Topbar({ openNav }: { openNav: () => void }) {
  const path = useRouterState({ select: (s) => s.location.pathname });
  const [, first = "", second, third] = path.split("/");
  const { zone, setZone, now } = usePrefs();
  const { tenant } = useSearch({ strict: false });
  const { param } = useScope(tenant);
  const title = TITLES[first] ?? "Overview";
  return (
    <header className="topbar">
      <ActionIcon className="narrow-only" onClick={openNav} aria-label="Open the navigation">
        <IconMenu size={18} />
      </ActionIcon>
      <TenantPicker />
      <IconRight size={14} className="dim" aria-hidden />
      <nav aria-label="Breadcrumb" className="row" style={{ gap: 4 }}>
        {second ? (
          <>
            <Link to={PARENTS[first] ?? "/alerts"} search={param ? { tenant: param } : {}} className="crumb">
              {title}
            </Link>
            <IconRight size={14} className="dim wide-only" aria-hidden />
            <span className="mono dim cut wide-only" aria-current="page" title={third ? text(third) : second}>
              {third ? text(third) : `…${second.slice(-8)}`}
            </span>
          </>
        ) : (
          <span className="crumb" aria-current="page">
            {title}
          </span>
        )}
      </nav>
      <div className="grow" />
      <StepIn />
      <button type="button" className="zone num" onClick={() => setZone(zone === "utc" ? "local" : "utc")} title={`Times are shown in ${zone === "utc" ? "UTC" : "local time"}; click to change`}>
        <span className="sr">Times are shown in </span>
        {zone === "utc" ? "UTC" : zoneName(new Date(now), "local")}
      </button>
    </header>
  );
}

function TenantPicker() {
  const session = useSession();
  const { tenant: raw } = useSearch({ strict: false });
  const { multi, tenant: scope } = useScope(raw);
  const navigate = useNavigate();
  const path = useRouterState({ select: (s) => s.location.pathname });
  // An alert's page shows one tenant's data, whatever the list before it showed.
  const opened = /^\/alerts\/([^/]+)/.exec(path)?.[1];
  const alert = useQuery({ ...alertQuery(opened ?? ""), enabled: false });
  const tenant = (opened && alert.data?.alert.tenant_id) || scope;
  const [filter, setFilter] = useState("");
  const box = useCombobox({ onDropdownClose: () => setFilter("") });
  const current = session.tenants.find((t) => t.id === tenant);

  const label = tenant ? (
    <>
      <TenantMark id={tenant} size={18} />
      <Txt value={current?.name ?? tenant} className="cut strong" />
      {current && current.name !== tenant && <span className="mono dim wide-only cut">{tenant}</span>}
    </>
  ) : (
    <>
      <IconBuilding size={16} aria-hidden />
      <span className="strong cut">{session.tenants.length === 0 ? "No tenant yet" : session.tenants.length === 1 ? "All tenants" : `All ${session.tenants.length} tenants`}</span>
    </>
  );
  if (!multi) {
    return (
      <div className="tenant fixed" aria-label={`Tenant: ${current?.name ?? tenant ?? "none"}`} role="group">
        {label}
      </div>
    );
  }
  const choose = (id: string) => {
    box.closeDropdown();
    const to = path.split("/").length > 2 ? `/${path.split("/")[1] ?? ""}` : path;
    // A query belongs to the page, an event to its tenant: the one stays, the other goes.
    void navigate({ to, search: ((s: Record<string, unknown>) => ({ ...s, tenant: id || undefined, event: undefined })) as never });
  };
  const f = filter.trim().toLowerCase();
  const shown = session.tenants.filter((t) => !f || t.id.includes(f) || t.name.toLowerCase().includes(f)).slice(0, 100);
  return (
    <Combobox store={box} onOptionSubmit={choose} width={300} position="bottom-start" shadow="md">
      <Combobox.Target targetType="button">
        <button type="button" className="tenant" onClick={() => box.toggleDropdown()} aria-label={`Tenant: ${current?.name ?? tenant ?? "all"}. Change`}>
          {label}
          <IconDown size={14} className="dim" aria-hidden />
        </button>
      </Combobox.Target>
      <Combobox.Dropdown>
        <Combobox.Search value={filter} onChange={(e) => setFilter(e.currentTarget.value)} placeholder="Find a tenant" aria-label="Find a tenant" />
        <Combobox.Options aria-label="Tenants">
          <div className="scrollbox">
            {!f && (
              <Combobox.Option value="">
                <span className="row">
                  <IconBuilding size={16} aria-hidden /> All tenants {!tenant && <IconCheck size={14} style={{ marginLeft: "auto" }} aria-hidden />}
                </span>
              </Combobox.Option>
            )}
            {shown.map((t) => (
              <Combobox.Option value={t.id} key={t.id}>
                <span className="row">
                  <TenantMark id={t.id} />
                  <Txt value={t.name} className="cut" />
                  <span className="mono dim cut" style={{ marginLeft: "auto" }}>
                    {t.id}
                  </span>
                  {t.id === tenant && <IconCheck size={14} aria-hidden />}
                </span>
              </Combobox.Option>
            ))}
            {shown.length === 0 && <Combobox.Empty>No tenant matches.</Combobox.Empty>}
          </div>
        </Combobox.Options>
      </Combobox.Dropdown>
    </Combobox>
  );
}

const StepInForm = lazy(() => import("./stepin"));

/** For the operator's people who look at one tenant: see it as its own people do, with a reason. */
function StepIn() {
  const session = useSession();
  const may = useCan("tenants:view_as");
  const { tenant: raw } = useSearch({ strict: false });
  const { multi, tenant } = useScope(raw);
  const [open, setOpen] = useState(false);
  if (!may || !multi || !tenant || session.view_as) return null;
  return (
    <>
      <button type="button" className="zone wide-only" onClick={() => setOpen(true)}>
        Step in…
      </button>
      <Suspense>{open && <StepInForm tenant={tenant} close={() => setOpen(false)} />}</Suspense>
    </>
  );
}
