/* Short names for the generated types, so that pages read well. */
import type { components } from "./schema";

type S = components["schemas"];
export type Session = S["Session"];
export type Role = S["Role"];
export type Alert = S["Alert"];
export type AlertPage = S["AlertPage"];
export type Plot = S["Plot"];
export type Triage = S["Triage"];
export type TriagePatch = S["TriagePatch"];
export type Verdict = S["Verdict"];
export type TriageStatus = S["TriageStatus"];
export type Entity = S["Entity"];
export type Event = S["Event"];
export type Field = S["Field"];
export type Histogram = S["Histogram"];
export type Facets = S["Facets"];
export type Overview = S["Overview"];
export type Key = S["Key"];
export type KeyCreated = S["KeyCreated"];
export type Webhook = S["Webhook"];
export type WebhookCreated = S["WebhookCreated"];
export type Delivery = S["Delivery"];
export type QuarantinedLine = S["QuarantinedLine"];
export type StreamAlert = S["StreamAlert"];
export type Problem = S["Problem"];
export type FieldError = S["FieldError"];
