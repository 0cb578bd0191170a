/* The list an alert was opened from, so that "next" and "back" mean what one expects. Lives as long as the page. */
import type { AlertsSearch } from "./urlstate";

let search: AlertsSearch = {};
let ids: string[] = [];
let total = 0;
let last: string | undefined;

export const trail = {
  remember(s: AlertsSearch, list: string[], all: number): void {
    search = s;
    ids = list;
    total = all;
  },
  visit(id: string): void {
    last = id;
  },
  back: (): AlertsSearch => search,
  last: (): string | undefined => last,
  position(id: string): { index: number; of: number } {
    return { index: ids.indexOf(id), of: Math.max(total, ids.length) };
  },
  step(id: string, by: 1 | -1): string | undefined {
    const i = ids.indexOf(id);
    return i < 0 ? undefined : ids[i + by];
  },
};
