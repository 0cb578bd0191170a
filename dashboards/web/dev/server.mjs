// A development server: the built application with an invented API. Never shipped.
import { createServer } from "node:http";
import { readFile } from "node:fs/promises";
import { extname } from "node:path";
import { alerts, events, fields, hostile, makeAlert, NOW, tenants } from "./data.mjs";

const dist = new URL("../dist/", import.meta.url);
const TYPES = { ".html": "text/html; charset=utf-8", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml", ".woff2": "font/woff2" };
export const PASSWORD = "correct horse battery staple";
export const POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self'; connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'";

const all = tenants.map((t) => t.id);
const people = {
  "admin@soc.example": ["platform_admin", all, "Ada Admin"],
  "analyst@soc.example": ["soc_analyst", all, "Ana Lyst"],
  "reader@soc.example": ["soc_reader", ["acme", "globex"], "Rea Der"],
  "admin@acme.example": ["tenant_admin", ["acme"], "Tina Admin"],
  "auditor@acme.example": ["tenant_auditor", ["acme"], "Otto Auditor"],
  "empty@soc.example": ["platform_admin", [], "Emma Empty"],
  "auditor@shalom.example": ["tenant_auditor", ["shalom"], "No Events"],
};
const keys = [
  { id: "0195f3a0-0000-7abc-8def-000000000001", tenant_id: "acme", kind: "ingest", name: "production web servers", role: "ingest", created_at: new Date(NOW - 9e8).toISOString(), expires_at: null, last_used_at: new Date(NOW - 4000).toISOString() },
  { id: "0195f3a0-0000-7abc-8def-000000000002", tenant_id: "globex", kind: "api", name: hostile.script, role: "tenant_auditor", created_at: new Date(NOW - 5e8).toISOString(), expires_at: new Date(NOW + 5e9).toISOString(), last_used_at: null },
];
const hooks = [{ id: "0195f3a0-0000-7abc-8def-0000000000aa", tenant_id: "acme", name: "Splunk production", url: "https://siem.example/hooks/tenantwatch", status: "active", failures: 0, failing_since: null, created_at: new Date(NOW - 8e8).toISOString() }];
const deliveries = alerts.slice(0, 40).map((a, i) => ({
  webhook_id: hooks[0].id, alert_id: a.id, revision: a.revision, seq: a.seq,
  status: i === 0 ? "pending" : i === 9 ? "dead" : "delivered", attempts: i === 0 ? 3 : i === 9 ? 24 : 1, created_at: a.last_seen,
  finished_at: i === 0 ? null : a.last_seen,
  response_status: i === 0 ? 503 : i === 9 ? null : 204, error: i === 0 ? "503 Service Unavailable" : i === 9 ? `dial tcp: connection refused ${hostile.ansi}` : null,
}));
const quarantine = Array.from({ length: 60 }, (_, i) => ({
  id: `q${i}`, tenant_id: "acme", source: "auth.log", format: i % 3 ? "sshd" : "",
  reason: i % 3 ? "the time is missing: begin the line with one, such as Mar 30 15:02:11" : "no format recognised: name one with --format",
  line: 40 + i * 13, offset: 9000 + i * 977, received_at: new Date(NOW - i * 600_000).toISOString(),
  raw: i % 4 === 1 ? `${hostile.ansi} ${hostile.script} ${hostile.bidi}` : `??? sshd[11${i}]: Failed pass`,
}));

const READ = ["events:read", "alerts:read", "tenants:read"];
const ADMIN = [...READ, "events:export", "quarantine:read", "alerts:triage", "webhooks:read", "webhooks:manage", "keys:read", "keys:manage"];
const PERMISSIONS = { platform_admin: ADMIN, tenant_admin: ADMIN, soc_reader: READ, soc_analyst: [...READ, "events:export", "quarantine:read", "alerts:triage", "webhooks:read"], tenant_auditor: [...READ, "events:export", "quarantine:read"] };
const sessions = new Map();
const streams = new Set();
let next = 1;

const json = (res, code, body, headers = {}) => {
  res.writeHead(code, { "Content-Type": code >= 400 ? "application/problem+json" : "application/json", "Cache-Control": "no-store", ...headers });
  res.end(body === undefined ? undefined : JSON.stringify(body));
};
const problem = (res, status, title, detail, errors) => json(res, status, { type: "/problems/x", title, status, detail, instance: "urn:request:0195f3a0-7c1e-7abc-8def-0123456789ab", ...(errors ? { errors } : {}) });
const bodyOf = async (req) => {
  let s = "";
  for await (const c of req) s += c;
  return s ? JSON.parse(s) : {};
};
const tag = (a) => `"${a.revision}-${a.triage.version}"`;
const page = (list, u, size = 50) => {
  const from = Number(u.get("after") || 0);
  const n = Number(u.get("limit") || size);
  return { items: list.slice(from, from + n), next: from + n < list.length ? String(from + n) : null };
};

function match(q) {
  const terms = [...(q ?? "").matchAll(/(-?)(?:([\w.]+):)?("(?:[^"\\]|\\.)*"|[^\s()]+)/g)];
  return (e) =>
    terms.every(([, not, field, raw]) => {
      if (/^(AND|OR)$/.test(raw) && !field) return true;
      const v = raw.replace(/^"|"$/g, "").replace(/\\(.)/g, "$1").toLowerCase();
      const has = field ? String(e[field] ?? e.labels?.[field.slice(6)] ?? "").toLowerCase() : JSON.stringify(e).toLowerCase();
      const hit = v === "*" ? has !== "" : v.includes("*") ? v.split("*").every((x) => has.includes(x)) : field ? has === v : has.includes(v);
      return not ? !hit : hit;
    });
}

async function api(req, res, url) {
  const u = url.searchParams;
  const path = url.pathname.slice("/api/v1".length);
  if (path === "/session" && req.method === "POST") {
    const { email, password } = await bodyOf(req);
    if (!people[email] || password !== PASSWORD) return problem(res, 401, "Not signed in", "The e-mail or the password is wrong.");
    const id = String(Math.random()).slice(2);
    sessions.set(id, email);
    return json(res, 200, session(email), { "Set-Cookie": `tw_session=${id}; HttpOnly; SameSite=Lax; Path=/` });
  }
  const sid = /tw_session=(\w+)/.exec(req.headers.cookie ?? "")?.[1];
  const email = sessions.get(sid);
  if (!email) return problem(res, 401, "Not signed in", "There is no session.");
  const [role, mine] = people[email];
  const multi = !role.startsWith("tenant_");
  const one = u.get("tenant_id");
  if (one && !multi) return problem(res, 400, "Unknown parameter", "tenant_id is not for this role.");
  if (one && !mine.includes(one)) return problem(res, 404, "Not found", "There is no such object.");
  if (!["GET", "HEAD"].includes(req.method) && req.headers["x-csrf-token"] !== `csrf-${email}`) return problem(res, 403, "Forbidden", "The CSRF token is missing.");
  const scope = one ? [one] : mine;
  if (process.env.SLOW) await new Promise((r) => setTimeout(r, Number(process.env.SLOW)));
  const seen = alerts.filter((a) => scope.includes(a.tenant_id));
  const open = seen.filter((a) => a.triage.status !== "closed");

  if (path === "/session") {
    if (req.method === "DELETE") {
      sessions.delete(sid);
      res.writeHead(204);
      return res.end();
    }
    return json(res, 200, session(email));
  }
  if (path === "/overview") {
    const ev = events.filter((e) => scope.includes(e.tenant_id));
    const by = (list, f) => list.filter(f).length;
    const day = (t) => ev.filter((e) => (!t || e.tenant_id === t) && Date.parse(e.time) > NOW - 864e5);
    return json(res, 200, {
      alerts: { open: open.length, by_severity: Object.fromEntries(["informational", "low", "medium", "high", "critical"].map((s) => [s, by(open, (a) => a.severity === s)])) },
      events: { last_24h: day().length * 61, failures_24h: by(day(), (e) => e.outcome === "failure") * 61, latest: ev[0]?.time ?? null },
      budget: { per_tenant_per_day: 5, raised_24h: by(seen, (a) => Date.parse(a.last_seen) > NOW - 864e5) },
      tenants: scope
        .map((t) => ({ tenant_id: t, open_alerts: by(open, (a) => a.tenant_id === t), events_24h: day(t).length * 61, failures_24h: by(day(t), (e) => e.outcome === "failure") * 61, raised_24h: by(seen, (a) => a.tenant_id === t && Date.parse(a.last_seen) > NOW - 864e5), latest: ev.find((e) => e.tenant_id === t)?.time ?? null }))
        .sort((a, b) => b.open_alerts - a.open_alerts),
    });
  }
  if (path === "/alerts") {
    const sev = u.get("severity")?.split(",");
    const st = u.get("status")?.split(",");
    const q = (u.get("q") ?? "").toLowerCase();
    const list = seen.filter((a) => (!sev || sev.includes(a.severity)) && (!st || st.includes(a.triage.status)) && (!q || JSON.stringify([a.title, a.reason, a.entity, a.technique]).toLowerCase().includes(q)));
    const p = page(list, u);
    return json(res, 200, { items: p.items.map(({ plots, ...a }) => a), next: p.next, total: list.length });
  }
  const m = /^\/alerts\/([^/]+)(?:\/(events|triage))?$/.exec(path);
  if (m) {
    const a = seen.find((x) => x.id === m[1]);
    if (!a) return problem(res, 404, "Not found", "There is no such object.");
    if (m[2] === "events") return json(res, 200, { items: events.filter((e) => e.tenant_id === a.tenant_id && a.event_ids.includes(e.id)).reverse() });
    if (m[2] === "triage") {
      const { tenant_id: whose, ...patch } = await bodyOf(req);
      if (multi !== (whose !== undefined)) return problem(res, 400, "tenant_id", "Name it in the body if your role covers several tenants, and only then.");
      if (!req.headers["if-match"]) return problem(res, 428, "Precondition required", "If-Match is missing.");
      if (req.headers["if-match"] !== tag(a)) return problem(res, 412, "Precondition failed", "The alert changed since.");
      Object.assign(a.triage, patch, { version: a.triage.version + 1, updated_at: new Date().toISOString() });
    }
    return json(res, 200, a, { ETag: tag(a) });
  }
  if (path === "/audit/fields") return json(res, 200, { items: fields });
  if (path.startsWith("/audit/") || path === "/quarantine") {
    if (multi && !one) return problem(res, 400, "tenant_id is missing", "One search reads one tenant: say which.");
    const t = one ?? mine[0];
    if (path === "/quarantine") return json(res, 200, page(quarantine.filter((x) => x.tenant_id === t), u));
    const q = u.get("q") ?? "";
    const bad = /\bactr:/.exec(q);
    if (bad) return problem(res, 400, "The query cannot be read", `column ${bad.index + 1}: there is no field "actr"`, [{ field: "q", message: 'there is no field "actr"', column: bad.index + 1, suggestion: "actor" }]);
    const from = u.get("from") ? Date.parse(u.get("from")) : 0;
    const to = u.get("to") ? Date.parse(u.get("to")) : Infinity;
    const f = match(q);
    const list = events.filter((e) => e.tenant_id === t && Date.parse(e.time) >= from && Date.parse(e.time) < to && f(e));
    if (path === "/audit/events") return json(res, 200, { ...page(list, u), explain: q ? `events where ${q}` : "every event" });
    if (path === "/audit/facets") {
      const c = new Map();
      const field = u.get("field");
      for (const e of list) c.set(String(e[field] ?? e.labels?.[field.slice(6)] ?? ""), (c.get(String(e[field] ?? "")) ?? 0) + 1);
      return json(res, 200, { field, values: [...c].sort((a, b) => b[1] - a[1]).slice(0, Number(u.get("limit") ?? 10)).map(([value, count]) => ({ value, count })) });
    }
    if (path === "/audit/histogram") {
      if (!list.length) return json(res, 200, { from: null, to: null, step_seconds: 1, buckets: [], total: 0 });
      const lo = from || Date.parse(list.at(-1).time);
      const hi = to === Infinity ? NOW : to;
      const step = Math.max(1, Math.ceil((hi - lo) / 1000 / Number(u.get("buckets") ?? 60)));
      const buckets = [];
      for (let b = Math.floor(lo / 1000 / step) * step; b * 1000 < hi; b += step) buckets.push({ t: new Date(b * 1000).toISOString(), count: 0, failures: 0 });
      const b0 = Date.parse(buckets[0].t) / 1000;
      for (const e of list) {
        const b = buckets[Math.floor((Date.parse(e.time) / 1000 - b0) / step)];
        if (!b) continue;
        b.count += e.count;
        if (e.outcome === "failure") b.failures += e.count;
      }
      return json(res, 200, { from: buckets[0].t, to: new Date(hi).toISOString(), step_seconds: step, buckets, total: buckets.reduce((s, b) => s + b.count, 0) });
    }
    if (path === "/audit/export") {
      res.writeHead(200, { "Content-Type": "application/x-ndjson", "Content-Disposition": 'attachment; filename="audit.ndjson"' });
      return res.end(list.map((e) => JSON.stringify(e)).join("\n"));
    }
  }
  if (path === "/keys" && req.method === "POST") {
    const b = await bodyOf(req);
    const key = { id: `0195f3a0-0000-7abc-8def-${String(next++).padStart(12, "0")}`, tenant_id: b.tenant_id ?? mine[0], kind: b.kind, name: b.name, role: b.kind === "ingest" ? "ingest" : b.role, created_at: new Date().toISOString(), expires_at: null, last_used_at: null };
    keys.unshift(key);
    return json(res, 201, { key, secret: "twi_new1_4pQ9v7XhJ2mN8sLwR5tY" });
  }
  if (path === "/keys") return json(res, 200, page(keys.filter((k) => scope.includes(k.tenant_id)), u));
  if (path === "/webhooks" && req.method === "POST") {
    const b = await bodyOf(req);
    if (b.url.includes("127.0.0.1")) return problem(res, 400, "Bad request", "", [{ field: "url", message: "the address is not allowed: it is on a private network" }]);
    const webhook = { id: `0195f3a0-0000-7abc-8def-${String(next++).padStart(12, "0")}`, tenant_id: b.tenant_id ?? mine[0], name: b.name ?? "", url: b.url, status: "active", failures: 0, failing_since: null, created_at: new Date().toISOString() };
    hooks.unshift(webhook);
    return json(res, 201, { webhook, secret: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw" });
  }
  if (path === "/webhooks") return json(res, 200, page(hooks.filter((k) => scope.includes(k.tenant_id)), u));
  if (/^\/webhooks\/[^/]+\/deliveries$/.test(path)) return json(res, 200, page(deliveries.filter((d) => path.includes(d.webhook_id)), u));
  const del = /^\/(keys|webhooks)\/([^/]+)$/.exec(path);
  if (del && req.method === "DELETE") {
    const list = del[1] === "keys" ? keys : hooks;
    const i = list.findIndex((x) => x.id === del[2]);
    if (i >= 0) list.splice(i, 1);
    res.writeHead(204);
    return res.end();
  }
  if (path === "/stream") {
    res.writeHead(200, { "Content-Type": "text/event-stream", "Cache-Control": "no-store" });
    res.write(": hello\n\n");
    streams.add({ res, scope });
    req.on("close", () => streams.forEach((s) => s.res === res && streams.delete(s)));
    return undefined;
  }
  return problem(res, 404, "Not found", "There is no such object.");

  function session(who) {
    const [r, set, name] = people[who];
    return { user: { id: who, email: who, name, role: r }, tenants: tenants.filter((t) => set.includes(t.id)), multi_tenant: !r.startsWith("tenant_"), permissions: PERMISSIONS[r], csrf: `csrf-${who}` };
  }
}

export function start(port = 0) {
  const server = createServer((req, res) => {
    const url = new URL(req.url, "http://x");
    res.setHeader("Content-Security-Policy", POLICY);
    res.setHeader("X-Content-Type-Options", "nosniff");
    if (url.pathname === "/dev/raise") {
      const a = makeAlert(alerts.length + 1, Date.now(), "critical");
      a.seq = 2000 + alerts.length;
      alerts.unshift(a);
      for (const s of streams) if (s.scope.includes(a.tenant_id)) s.res.write(`id: ${a.seq}\nevent: alert\ndata: ${JSON.stringify({ id: a.id, tenant_id: a.tenant_id, seq: a.seq, revision: 1, state: "raised", severity: a.severity })}\n\n`);
      return json(res, 200, { id: a.id });
    }
    if (url.pathname.startsWith("/api/v1/")) return void api(req, res, url).catch((e) => problem(res, 500, "Broken", String(e.stack)));
    const file = url.pathname === "/" ? "index.html" : url.pathname.slice(1);
    readFile(new URL(file, dist))
      .catch(() => (extname(file) ? Promise.reject(new Error("absent")) : readFile(new URL("index.html", dist))))
      .then(
        (b) => res.writeHead(200, { "Content-Type": TYPES[extname(file)] ?? TYPES[".html"] }).end(b),
        () => res.writeHead(404).end("not found"),
      );
    return undefined;
  });
  return new Promise((ok) => server.listen(port, "127.0.0.1", () => ok({ url: `http://127.0.0.1:${server.address().port}`, close: () => (server.closeAllConnections(), server.close()) })));
}

if (import.meta.url === `file://${process.argv[1]}`) {
  const s = await start(Number(process.env.PORT ?? 0));
  console.log(`${s.url}  sign in as analyst@soc.example (or ${Object.keys(people).join(", ")}) with: ${PASSWORD}`);
}
