// Invented data for the development server: plausible, deterministic, and in places hostile.
let seed = 20260301;
export const rnd = () => {
  seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
  return seed / 2 ** 32;
};
const pick = (l) => l[Math.floor(rnd() * l.length)];
const hex = (n) => Array.from({ length: n }, () => Math.floor(rnd() * 16).toString(16)).join("");
export const NOW = Date.now();

export const tenants = [
  { id: "acme", name: "Acme Corp." },
  { id: "globex", name: "Globex" },
  { id: "initech-eu", name: "Initech Europe GmbH & Co. KG" },
  { id: "umbrella-research-and-development-laboratories-north-america", name: "Umbrella Research and Development Laboratories North America" },
  { id: "shalom", name: "שלום בע״מ" },
];

export const hostile = {
  script: `<script>window.pwned=1</script><img src=x onerror="window.pwned=2">`,
  ansi: "\u001b[31mroot\u001b[0m\u0007",
  bidi: "invoice\u202efdp.exe",
  zero: "ad\u200bmin\u200d@acme.example",
  arabic: "مدير النظام",
  long: "a".repeat(400),
};

const users = ["alice@acme.example", "bob@acme.example", "carol@acme.example", "svc-backup", "dave@acme.example", "erin@acme.example", hostile.arabic, hostile.zero, hostile.bidi, hostile.script];
const actions = [["login", 0.25], ["file.download", 0.02], ["file.read", 0.01], ["api.token.create", 0.05], ["sshd.auth", 0.6], ["iam:ListUsers", 0.1], ["http.get", 0.08]];
const ips = ["203.0.113.7", "198.51.100.23", "192.0.2.44", "2001:db8::7", "203.0.113.99", "198.51.100.200"];
const agents = ["Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0", "curl/8.11.0", "aws-cli/2.22", hostile.script, hostile.ansi];

export const events = [];
for (const t of tenants.slice(0, 4)) {
  const n = t.id === "acme" ? 3000 : 400;
  for (let i = 0; i < n; i++) {
    const [action, bad] = pick(actions);
    const at = NOW - Math.floor(rnd() ** 1.6 * 40 * 3600_000) - 1000;
    const actor = pick(users);
    const ip = pick(ips);
    const resource = rnd() < 0.04 ? hostile.long : `file/${Math.floor(rnd() * 400)}/quarterly-report.pdf`;
    const outcome = rnd() < bad ? "failure" : "success";
    events.push({
      tenant_id: t.id,
      id: hex(32),
      time: new Date(at).toISOString().replace("Z", "456789Z"),
      ingested_at: new Date(at + 1200).toISOString(),
      class_uid: action.startsWith("http") ? 4002 : 3002,
      activity: 1,
      action,
      outcome,
      severity: 1,
      actor,
      actor_type: actor.startsWith("svc") ? "service" : "user",
      session: `s${Math.floor(rnd() * 90)}`,
      src_ip: ip,
      country: pick(["DE", "US", "JP", "BR"]),
      asn: 3320,
      user_agent: pick(agents),
      resource,
      resource_type: "file",
      status: outcome === "failure" ? 401 : 200,
      bytes_out: Math.floor(rnd() * 5e6),
      duration: Math.round(rnd() * 900) / 10,
      count: rnd() < 0.03 ? 2 + Math.floor(rnd() * 20) : 1,
      source: "web-1",
      format: "json",
      labels: { team: "blue", note: pick([hostile.bidi, "regular", hostile.script]) },
      raw: `{"time":"${new Date(at).toISOString()}","actor":${JSON.stringify(actor)},"action":"${action}"} ${rnd() < 0.2 ? hostile.ansi : ""}`,
      ...(rnd() < 0.05 ? { flags: ["year_assumed"] } : {}),
    });
  }
}
events.sort((a, b) => (a.time < b.time ? 1 : -1));

const KINDS = [
  { title: "Burst of failed sign-ins", unit: "failed sign-ins in 1 h", det: "failures", tech: ["T1110.001"], reason: (e, o) => `${e} failed to sign in ${o} times within one hour from 2 addresses; 4.2 were expected at this hour of the week.` },
  { title: "Password spraying against many accounts", unit: "accounts tried in 1 h", det: "failures", tech: ["T1110.003"], reason: (e, o) => `${e} tried ${o} different accounts in one hour, each once or twice; at most 3 are usual for an address.` },
  { title: "First sign-in from a country never seen", unit: "sign-ins in 1 h", det: "novelty", tech: ["T1078"], reason: (e) => `${e} used country BR, client curl, address range 200.10.4.0/24 and 2 more for the first time in 03:00–04:00 UTC on 1 March 2026; the countries seen before: DE and AT (about 204 observations). A new country has a chance of 0.4 % for it, and one this rare among its peers of 1 in 5145.` },
  { title: "Unusual volume of requests", unit: "requests in 1 h", det: "rate", tech: ["T1119"], reason: (e, o) => `${e} made ${o} requests in one hour; between 12 and 88 were expected for a Sunday at 03h.` },
  { title: "Access to resources never touched before", unit: "new resources in 1 h", det: "novelty", tech: ["T1213"], reason: (e, o) => `${e} used resource file/<script>window.pwned=1</script> and ${o} more for the first time in 03:00–04:00 UTC on 1 March 2026; no resource was known of it before. A new resource has a chance of 12 % for it, and one this rare among its peers of 0.2 %.` },
];
const SEV = ["critical", "high", "medium", "low", "informational"];
const TOP = [99, 89, 70, 48, 25];

export function makeAlert(i, at = NOW - i * 47 * 60_000 - 40_000, severity = undefined) {
  const k = KINDS[i % KINDS.length];
  const sev = severity ?? SEV[Math.min(4, Math.floor(rnd() * rnd() * 6.4))];
  const tenant = tenants[i % 9 === 8 ? 3 : i % 3];
  const score = Math.round((TOP[SEV.indexOf(sev)] - rnd() * 12) * 1000);
  const names = [k.det, ...["rate", "novelty", "failures"].filter((n) => n !== k.det)];
  const a = Math.round(score * (0.55 + rnd() * 0.2));
  const b = Math.round((score - a) * 0.7);
  const obs = 60 + Math.floor(rnd() * 900);
  const entity = i % 5 === 1 ? { type: "address", id: pick(ips) } : { type: "user", id: i === 2 ? hostile.bidi : i === 4 ? hostile.script : i === 6 ? hostile.arabic : pick(users.slice(0, 5)) };
  const last = new Date(at).toISOString();
  const first = new Date(at - 52 * 60_000).toISOString();
  const mine = events.filter((e) => e.tenant_id === tenant.id).slice(i % 50, (i % 50) + 24);
  const h = (n, seedText) => [...`${seedText}${i}`].reduce((s, c) => (Math.imul(s, 31) + c.charCodeAt(0)) >>> 0, n).toString(16).padStart(8, "0");
  return {
    id: `0195f3a0-${h(1, "a").slice(0, 4)}-7abc-8def-${h(2, "b")}${h(3, "c").slice(0, 4)}`,
    tenant_id: tenant.id,
    entity,
    related: [
      { type: "address", id: pick(ips) },
      { type: "resource", id: i === 3 ? hostile.long : "file/77/payroll.xlsx" },
    ],
    first_seen: first,
    last_seen: last,
    raised_at_event_time: first,
    score: score / 1000,
    severity: sev,
    p_value: 10 ** -(2 + rnd() * 13),
    detectors: [
      { name: names[0], version: "1", contribution: a, observed: obs, expected: 4.2, p_value: 1e-9, unit: k.unit },
      { name: names[1], version: "1", contribution: b, observed: 3, expected: 0.04, p_value: 1e-4, unit: "in 1 h" },
      { name: names[2], version: "1", contribution: score - a - b, observed: 210, expected: 88.5, p_value: 3e-3, unit: "in 1 h" },
    ],
    technique: k.tech,
    count: obs,
    event_ids: mine.map((e) => e.id),
    title: i === 5 ? `${k.title}: ${hostile.ansi}` : k.title,
    reason: k.reason(entity.id, obs),
    counterfactual: `With ${Math.round(obs / 7)} or fewer in the hour, or had they come from the two addresses known for ${entity.id}, this would not have fired.`,
    baseline_hash: `sha256:${hex(64)}`,
    state: i % 11 === 7 ? "amended" : "raised",
    revision: i % 11 === 7 ? 2 : 1,
    seq: 1000 - i,
    plots: [plot(k, obs, at), ...(i % 2 ? [] : [plot(KINDS[3], 210, at)])],
    triage:
      i % 7 === 3
        ? { status: "in_progress", verdict: null, assignee: "analyst@soc.example", updated_at: last, version: 1 }
        : i % 7 === 5
          ? { status: "closed", verdict: pick(["true_positive", "benign", "false_positive"]), assignee: "analyst@soc.example", updated_at: last, version: 2 }
          : { status: "new", verdict: null, assignee: null, updated_at: null, version: 0 },
  };
}

function plot(k, obs, at) {
  const points = [];
  const hour = Math.floor(at / 3600_000) * 3600_000;
  for (let i = 0; i < 48; i++) {
    const t = hour - (47 - i) * 3600_000;
    const h = new Date(t).getUTCHours();
    const expected = (4 + 14 * Math.max(0, Math.sin(((h - 6) / 14) * Math.PI))) * (obs / 160);
    points.push({
      t: new Date(t).toISOString(),
      observed: i === 47 ? obs : i === 46 ? obs * 0.45 : Math.max(0, Math.round(expected + (rnd() - 0.5) * expected * 0.8)),
      expected,
      lower: Math.max(0, expected * 0.3 - 1),
      upper: expected * 1.9 + 2,
    });
  }
  return { detector: k.det, title: k.unit.replace(" in 1 h", " per hour"), unit: k.unit, step_seconds: 3600, points };
}

export const alerts = Array.from({ length: Number(process.env.ALERTS ?? 180) }, (_, i) => makeAlert(i));

export const fields = [
  ["time", "time", "When it happened", [], "time>=2026-03-01", false],
  ["action", "text", "What was done", ["verb"], "action:file.*", true],
  ["outcome", "outcome", "Whether it succeeded", ["result"], "outcome:failure", true, ["success", "failure", "unknown"]],
  ["actor", "text", "Who did it", ["user", "who"], "actor:alice@*", true],
  ["src_ip", "address", "Where it came from", ["ip"], "src_ip:10.0.0.0/8", true],
  ["country", "text", "ISO 3166-1 code of two letters", [], "-country:DE", true],
  ["resource", "text", "What it was done to", ["path"], "resource:file/*", true],
  ["user_agent", "text", "User agent", ["ua"], "user_agent:curl/*", true],
  ["status", "number", "HTTP status", [], "status:500..599", true],
  ["bytes_out", "bytes", "Bytes towards the client", ["bytes"], "bytes>1MB", false],
  ["duration", "duration", "How long it took", [], "duration>=1.5s", false],
  ["source", "text", "The log source", [], "source:web-*", true],
  ["format", "text", "The format it was read from", [], "format:cloudtrail", true],
  ["label", "labels", "Any other key of the event, as label.<key>", [], "label.team:blue", true],
  ["id", "text", "The event's id", [], "id:7d1c*", false],
].map(([name, type, doc, aliases, example, facet, values]) => ({ name, type, doc, aliases, example, facet, ...(values ? { values } : {}) }));
