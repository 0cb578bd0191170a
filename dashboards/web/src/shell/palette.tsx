/* Ctrl-K: everywhere one can go, by typing a part of its name. */
import "../styles/dialog";
import "../styles/entity.css";
import { Modal, TextInput } from "@mantine/core";
import { useDebouncedValue } from "@mantine/hooks";
import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { useEffect, useMemo, useRef, useState, type ReactNode } from "react";
import { body, client } from "../api/client";
import { can } from "../lib/roles";
import { readViews, STANDARD } from "../lib/views";
import { useScope, useSession } from "../session";
import { EntityMark, SeverityMark, TenantMark } from "../ui/badges";
import { IconBell, IconBuilding, IconClock, IconDownload, IconHelp, IconHome, IconKey, IconLock, IconMute, IconQuarantine, IconRadar, IconScale, IconSearch, IconSettings, IconUser, IconUsers, IconWebhook } from "../ui/icons";
import { Txt } from "../ui/text";

interface Item {
  key: string;
  group: string;
  /** What is typed is looked for in this. */
  words: string;
  show: ReactNode;
  hint?: string;
  run: () => void;
}

export default function Palette({ close, openHelp }: { close: () => void; openHelp: () => void }) {
  const session = useSession();
  const { tenant: raw } = useSearch({ strict: false });
  const { multi, tenant, param } = useScope(raw);
  const navigate = useNavigate();
  const [text, setText] = useState("");
  const [at, setAt] = useState(0);
  const list = useRef<HTMLUListElement>(null);
  const typed = text.trim();
  const [asked] = useDebouncedValue(typed, 180);
  const keep = useMemo(() => (param ? { tenant: param } : {}), [param]);
  const events = can(session, "events:read");
  const look = asked.length >= 2;

  const alerts = useQuery({
    queryKey: ["palette-alerts", param ?? "", asked],
    queryFn: ({ signal }) => body(client.GET("/api/v1/alerts", { params: { query: { ...(param ? { tenant_id: param } : {}), q: asked, limit: 5 } }, signal })),
    enabled: look,
    placeholderData: keepPreviousData,
  });
  const users = useQuery({
    queryKey: ["palette-entities", param ?? "", asked],
    queryFn: ({ signal }) => body(client.GET("/api/v1/entities", { params: { query: { ...(param ? { tenant_id: param } : {}), type: "user", q: asked, limit: 6 } }, signal })),
    enabled: look && events && Boolean(tenant),
    placeholderData: keepPreviousData,
  });

  const items = useMemo<Item[]>(() => {
    const go = (f: () => unknown) => () => {
      close();
      void f();
    };
    const page = (name: string, to: "/" | "/alerts" | "/audit" | "/entities" | "/detectors" | "/quarantine" | "/keys" | "/webhooks" | "/users" | "/settings" | "/exports" | "/account" | "/trail" | "/suppressions" | "/accounting", Icon: typeof IconHome, show = true): Item[] =>
      show ? [{ key: to, group: "Pages", words: name, show: <Row icon={<Icon size={16} aria-hidden />}>{name}</Row>, run: go(() => navigate({ to, search: keep })) }] : [];
    const all: Item[] = [
      ...page("Overview", "/", IconHome),
      ...page("Alerts", "/alerts", IconBell),
      ...page("Audit log", "/audit", IconSearch, events),
      ...page("Entities", "/entities", IconUsers, events),
      ...page("Detectors", "/detectors", IconRadar),
      ...page("Suppressions", "/suppressions", IconMute),
      ...page("Accounting", "/accounting", IconScale, can(session, "accounting:read")),
      ...page("Quarantine", "/quarantine", IconQuarantine, can(session, "quarantine:read")),
      ...page("Keys", "/keys", IconKey, can(session, "keys:read")),
      ...page("Webhooks", "/webhooks", IconWebhook, can(session, "webhooks:read")),
      ...page("Exports", "/exports", IconDownload, can(session, "events:export")),
      ...page("Users", "/users", IconUser, can(session, "users:read")),
      ...page("Trail", "/trail", IconClock, can(session, "audit:read")),
      ...page("Settings", "/settings", IconSettings),
      ...page("Your account: password, second factor, sessions", "/account", IconLock),
      { key: "help", group: "Pages", words: "Keyboard shortcuts help", show: <Row icon={<IconHelp size={16} aria-hidden />}>Keyboard shortcuts</Row>, hint: "?", run: go(openHelp) },
    ];
    for (const v of [...STANDARD.slice(1), ...readViews(session.user.email || session.user.name)])
      all.push({ key: `v:${v.name}`, group: "Views of the queue", words: `alerts view ${v.name}`, show: <Row icon={<IconBell size={16} aria-hidden />}><Txt value={v.name} className="cut" /></Row>, run: go(() => navigate({ to: "/alerts", search: { ...v.search, ...keep } })) });
    if (multi) {
      all.push({ key: "t:", group: "Tenants", words: "All tenants", show: <Row icon={<IconBuilding size={16} aria-hidden />}>All tenants</Row>, run: go(() => navigate({ to: "/", search: {} })) });
      for (const t of session.tenants)
        all.push({ key: `t:${t.id}`, group: "Tenants", words: `${t.name} ${t.id}`, show: <Row icon={<TenantMark id={t.id} />}><Txt value={t.name} className="cut" /></Row>, hint: t.id, run: go(() => navigate({ to: "/", search: { tenant: t.id } })) });
    }
    const words = typed.toLowerCase().split(/\s+/);
    const shown = all.filter((i) => words.every((w) => i.words.toLowerCase().includes(w)));
    const cut = typed ? shown.slice(0, 12) : shown.slice(0, 24);
    if (typed) {
      for (const a of (look && alerts.data?.items) || [])
        cut.push({ key: `a:${a.id}`, group: "Alerts", words: "", show: <Row icon={<SeverityMark value={a.severity} iconOnly />}><Txt value={a.title} className="cut" /></Row>, hint: a.tenant_id, run: go(() => navigate({ to: "/alerts/$id", params: { id: a.id }, search: keep })) });
      for (const u of (look && users.data?.items) || [])
        cut.push({ key: `e:${u.id}`, group: "Entities", words: "", show: <EntityMark value={{ type: "user", id: u.id }} />, run: go(() => navigate({ to: "/entities/$type/$id", params: { type: "user", id: u.id }, search: keep })) });
      if (events)
        cut.push({ key: "search", group: "Search", words: "", show: <Row icon={<IconSearch size={16} aria-hidden />}>Search the audit log for <b className="cut">{typed}</b></Row>, run: go(() => navigate({ to: "/audit", search: { ...keep, q: typed } })) });
      cut.push({ key: "search-alerts", group: "Search", words: "", show: <Row icon={<IconBell size={16} aria-hidden />}>Search the alerts for <b className="cut">{typed}</b></Row>, run: go(() => navigate({ to: "/alerts", search: { ...keep, q: typed } })) });
    }
    return cut;
  }, [session, multi, keep, events, typed, look, alerts.data, users.data, navigate, close, openHelp]);

  useEffect(() => setAt(0), [typed]);
  useEffect(() => {
    list.current?.querySelector('[aria-selected="true"]')?.scrollIntoView({ block: "nearest" });
  }, [at, items]);
  const here = Math.min(at, items.length - 1);
  let group = "";
  return (
    <Modal opened onClose={close} withCloseButton={false} size={560} yOffset="12vh" centered={false} className="palette" aria-label="Go to" classNames={{ body: "palbody" }}>
      <div className="palette">
        <TextInput
          data-autofocus
          variant="unstyled"
          size="md"
          placeholder="A page, a tenant, an alert, a user…"
          role="combobox"
          aria-expanded
          aria-controls="palette-list"
          aria-activedescendant={items[here] ? `pal-${here}` : undefined}
          aria-label="Go to"
          leftSection={<IconSearch size={16} aria-hidden />}
          value={text}
          maxLength={200}
          onChange={(e) => setText(e.currentTarget.value)}
          onKeyDown={(e) => {
            if (e.key === "ArrowDown" || (e.ctrlKey && e.key === "n")) setAt(Math.min(here + 1, items.length - 1));
            else if (e.key === "ArrowUp" || (e.ctrlKey && e.key === "p")) setAt(Math.max(here - 1, 0));
            else if (e.key === "Enter") items[here]?.run();
            else return;
            e.preventDefault();
          }}
        />
        <ul ref={list} id="palette-list" role="listbox" aria-label="Where to go">
          {items.map((i, n) => {
            const head = i.group !== group ? (group = i.group) : "";
            return [
              head && (
                <li key={`g:${head}`} className="group" role="presentation">
                  {head}
                </li>
              ),
              <li key={i.key} id={`pal-${n}`} role="option" aria-selected={n === here} onMouseMove={() => setAt(n)} onClick={i.run}>
                <span className="grow" style={{ minWidth: 0 }}>
                  {i.show}
                </span>
                {i.hint && <span className="mono dim cut">{i.hint}</span>}
              </li>,
            ];
          })}
        </ul>
      </div>
    </Modal>
  );
}

function Row({ icon, children }: { icon: ReactNode; children: ReactNode }) {
  return (
    <span className="row" style={{ gap: 10 }}>
      {icon}
      {children}
    </span>
  );
}
