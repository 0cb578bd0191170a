import { ActionIcon, Menu, SegmentedControl, Tooltip, UnstyledButton, useMantineColorScheme } from "@mantine/core";
import { useQueryClient } from "@tanstack/react-query";
import { Link, useNavigate, useSearch } from "@tanstack/react-router";
import { useQuery } from "@tanstack/react-query";
import { body, client, setCSRF } from "../api/client";
import { overviewQuery } from "../api/queries";
import { live, useLink } from "../api/stream";
import { compact } from "../lib/format";
import { can, ROLE_NAMES } from "../lib/roles";
import { useScope, useSession } from "../session";
import { IconBell, IconClock, IconDesktop, IconDownload, IconHelp, IconHome, IconKey, IconLock, IconLogout, IconMoon, IconMute, IconQuarantine, IconRadar, IconScale, IconSearch, IconSettings, IconSun, IconUser, IconUsers, IconWebhook } from "../ui/icons";
import { usePrefs } from "../ui/prefs";
import { Txt } from "../ui/text";
import { useToast } from "../ui/toast";

const LINKS = {
  live: ["Live", "var(--tw-good)"],
  connecting: ["Connecting…", "var(--tw-medium)"],
  down: ["Not live, reconnecting…", "var(--tw-critical)"],
} as const;

export function Sidebar({ openHelp, openPalette }: { openHelp: () => void; openPalette: () => void }) {
  const session = useSession();
  const { tenant } = useSearch({ strict: false });
  const scope = useScope(tenant);
  const { data } = useQuery(overviewQuery(scope.param));
  const link = useLink();
  const keep = scope.param ? { tenant: scope.param } : {};
  const items = [
    { to: "/", label: "Overview", icon: IconHome, show: true },
    { to: "/alerts", label: "Alerts", icon: IconBell, show: true, badge: data?.alerts.open },
    { to: "/audit", label: "Audit log", icon: IconSearch, show: can(session, "events:read") },
    { to: "/entities", label: "Entities", icon: IconUsers, show: can(session, "events:read") },
    { to: "/detectors", label: "Detectors", icon: IconRadar, show: true },
    { to: "/suppressions", label: "Suppressions", icon: IconMute, show: true },
    { to: "/quarantine", label: "Quarantine", icon: IconQuarantine, show: can(session, "quarantine:read"), section: "Data and access" },
    { to: "/accounting", label: "Accounting", icon: IconScale, show: can(session, "accounting:read"), section: "Data and access" },
    { to: "/keys", label: "Keys", icon: IconKey, show: can(session, "keys:read"), section: "Data and access" },
    { to: "/exports", label: "Exports", icon: IconDownload, show: can(session, "events:export"), section: "Data and access" },
    { to: "/webhooks", label: "Webhooks", icon: IconWebhook, show: can(session, "webhooks:read"), section: "Data and access" },
    { to: "/users", label: "Users", icon: IconUser, show: can(session, "users:read"), section: "Data and access" },
    { to: "/trail", label: "Trail", icon: IconClock, show: can(session, "audit:read"), section: "Data and access" },
    { to: "/settings", label: "Settings", icon: IconSettings, show: true, section: "Data and access" },
  ] as const;
  let section = "";
  return (
    <div className="sidebar">
      <Link to="/" search={keep} className="brand">
        <img src="/favicon.svg" alt="" width={22} height={22} />
        tenantwatch
      </Link>
      <button type="button" className="gosearch" onClick={openPalette} aria-keyshortcuts="Control+K">
        <IconSearch size={14} aria-hidden />
        <span className="grow">Go to…</span>
        <kbd>Ctrl K</kbd>
      </button>
      <nav aria-label="Main">
        {items
          .filter((i) => i.show)
          .map((i) => {
            const head = "section" in i && i.section !== section ? (section = i.section) : "";
            return (
              <div key={i.to}>
                {head && <div className="navhead">{head}</div>}
                <Link to={i.to} search={keep} className="navlink" activeOptions={{ exact: i.to === "/", includeSearch: false }} activeProps={{ "aria-current": "page" }}>
                  <i.icon size={16} stroke={1.75} aria-hidden />
                  <span className="grow">{i.label}</span>
                  {"badge" in i && i.badge ? (
                    <span className="count num" title={`${i.badge} open alerts`}>
                      {compact(i.badge)}
                    </span>
                  ) : null}
                </Link>
              </div>
            );
          })}
      </nav>
      <div className="grow" />
      <div className="sidefoot">
        <div className="row linkstate" role="status">
          <span className="dot" style={{ background: LINKS[link][1] }} aria-hidden />
          <span className="grow dim">{LINKS[link][0]}</span>
          <Tooltip label="Keyboard shortcuts (?)">
            <ActionIcon size="sm" onClick={openHelp} aria-label="Keyboard shortcuts">
              <IconHelp size={16} />
            </ActionIcon>
          </Tooltip>
        </div>
        <UserMenu name={session.user.name || session.user.email} email={session.user.email} role={ROLE_NAMES[session.user.role]} />
      </div>
    </div>
  );
}

function UserMenu({ name, email, role }: { name: string; email: string; role: string }) {
  const { colorScheme, setColorScheme } = useMantineColorScheme();
  const { zone, setZone } = usePrefs();
  const navigate = useNavigate();
  const queries = useQueryClient();
  const say = useToast();
  const out = async () => {
    try {
      await body(client.DELETE("/api/v1/session"));
    } catch (e) {
      say(`Signing out failed: ${e instanceof Error ? e.message : String(e)}`, { bad: true });
      return;
    }
    setCSRF("");
    live.stop();
    await navigate({ to: "/signin", search: {} });
    queries.clear();
  };
  return (
    <Menu position="top-start" width={232} withinPortal>
      <Menu.Target>
        <UnstyledButton className="user" aria-label={`Account and display: ${name}`}>
          <span className="avatar" aria-hidden>
            {[...name].slice(0, 1).join("").toUpperCase()}
          </span>
          <span className="grow" style={{ lineHeight: 1.3 }}>
            <Txt value={name} className="cut blk strong" />
            <span className="dim cut blk">{role}</span>
          </span>
        </UnstyledButton>
      </Menu.Target>
      <Menu.Dropdown>
        <Menu.Label>
          <Txt value={email || name} />
        </Menu.Label>
        <div className="menurow">
          <span>Times</span>
          <SegmentedControl
            size="xs"
            aria-label="Times"
            value={zone}
            onChange={(v) => setZone(v === "local" ? "local" : "utc")}
            data={[
              { value: "utc", label: "UTC" },
              { value: "local", label: "Local" },
            ]}
          />
        </div>
        <div className="menurow">
          <span>Theme</span>
          <SegmentedControl
            size="xs"
            aria-label="Theme"
            value={colorScheme}
            onChange={(v) => setColorScheme(v as "light" | "dark" | "auto")}
            data={[
              { value: "auto", label: <Pick icon={IconDesktop} text="As the system" /> },
              { value: "light", label: <Pick icon={IconSun} text="Light" /> },
              { value: "dark", label: <Pick icon={IconMoon} text="Dark" /> },
            ]}
          />
        </div>
        <Menu.Divider />
        <Menu.Item leftSection={<IconLock size={15} />} onClick={() => void navigate({ to: "/account", search: {} })}>
          Password, second factor, sessions
        </Menu.Item>
        <Menu.Item leftSection={<IconLogout size={15} />} onClick={() => void out()}>
          Sign out
        </Menu.Item>
      </Menu.Dropdown>
    </Menu>
  );
}

function Pick({ icon: Icon, text }: { icon: typeof IconSun; text: string }) {
  return (
    <span title={text} style={{ display: "grid" }}>
      <Icon size={15} aria-hidden />
      <span className="sr">{text}</span>
    </span>
  );
}
