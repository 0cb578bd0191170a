/* Views of the alerts queue a person saved: a name and what the URL would say. Kept in the browser, by person. */
import { alertsSearch, stringifySearch, type AlertsSearch } from "./urlstate";

export interface SavedView {
  name: string;
  search: AlertsSearch;
}

export const STANDARD: SavedView[] = [
  { name: "Everything open", search: {} },
  { name: "Critical and high", search: { severity: "critical,high" } },
  { name: "Being worked on", search: { status: "in_progress" } },
  { name: "Open, by entity", search: { group: "entity" } },
  { name: "Closed", search: { status: "closed" } },
];

const MOST = 50;
const key = (who: string): string => `tw-views:${who}`;

/** What is stored, made safe to use: unknown fields and broken entries are left out. */
export function parseViews(text: string | null): SavedView[] {
  try {
    const list: unknown = JSON.parse(text ?? "[]");
    if (!Array.isArray(list)) return [];
    return list
      .filter((v): v is { name: string; search: Record<string, unknown> } => typeof v?.name === "string" && v.name !== "" && typeof v.search === "object" && v.search !== null)
      .slice(0, MOST)
      .map((v) => ({ name: v.name.slice(0, 80), search: alertsSearch(v.search) }));
  } catch {
    return [];
  }
}

export function readViews(who: string): SavedView[] {
  try {
    return parseViews(localStorage.getItem(key(who)));
  } catch {
    return []; // storage may be forbidden
  }
}

export function writeViews(who: string, views: SavedView[]): SavedView[] {
  const kept = views.slice(-MOST);
  try {
    localStorage.setItem(key(who), JSON.stringify(kept));
  } catch {
    /* it lasts as long as the page, then */
  }
  return kept;
}

/** Whether two searches show the same, tenants apart: a view is not bound to one. */
export const sameView = (a: AlertsSearch, b: AlertsSearch): boolean => {
  const text = ({ severity, status, q, group }: AlertsSearch) => stringifySearch({ severity, status, q, group });
  return text(a) === text(b);
};
