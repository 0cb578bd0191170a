/* The kinds of destinations and what each needs; docs/destinations.md says the same at length. */
export interface DestinationKind {
  kind: string;
  name: string;
  address: string;
  /** What the other side's own secret is called; empty when none is needed. */
  token: string;
  settings: { name: string; label: string; placeholder?: string; required?: boolean }[];
}

export const DESTINATIONS: DestinationKind[] = [
  { kind: "webhook", name: "Webhook, signed by Standard Webhooks", address: "https://siem.example/hooks/tenantwatch", token: "", settings: [] },
  { kind: "splunk", name: "Splunk HTTP Event Collector", address: "https://splunk.example:8088/services/collector", token: "Its token", settings: [{ name: "index", label: "Index" }, { name: "sourcetype", label: "Source type" }] },
  { kind: "elastic", name: "Elasticsearch", address: "https://elastic.example:9200", token: "API key", settings: [{ name: "index", label: "Index" }] },
  {
    kind: "sentinel",
    name: "Microsoft Sentinel",
    address: "https://collect.example",
    token: "The application's secret",
    settings: [
      { name: "rule", label: "Rule (immutable id)", required: true },
      { name: "stream", label: "Stream", required: true },
      { name: "directory", label: "Directory (tenant) id", required: true },
      { name: "client", label: "Client id", required: true },
    ],
  },
  { kind: "syslog", name: "Syslog (CEF or LEEF)", address: "tls://collector.example:6514", token: "", settings: [{ name: "format", label: "Format", placeholder: "cef" }] },
  { kind: "slack", name: "Slack", address: "https://hooks.example/services", token: "The webhook's secret path", settings: [] },
  { kind: "teams", name: "Microsoft Teams", address: "https://flow.example/workflows/1", token: "The address's query", settings: [] },
  { kind: "pagerduty", name: "PagerDuty", address: "https://events.example/v2/enqueue", token: "Routing key", settings: [] },
  { kind: "jira", name: "Jira", address: "https://company.example", token: "Authorization header", settings: [{ name: "project", label: "Project", required: true }, { name: "type", label: "Issue type" }, { name: "done", label: "Done state" }] },
  {
    kind: "email",
    name: "E-mail",
    address: "smtps://mail.example",
    token: "Password",
    settings: [
      { name: "from", label: "From", required: true },
      { name: "to", label: "To", required: true },
      { name: "user", label: "User" },
    ],
  },
];
