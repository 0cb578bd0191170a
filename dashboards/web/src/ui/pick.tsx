/* Which rows of a list are picked: kept outside the cells, so that only those on the screen are drawn again. */
import { createContext, use } from "react";
import { count } from "../lib/format";

interface Picks {
  has: (id: string) => boolean;
  toggle: (id: string, range: boolean) => void;
}

export const PickContext = createContext<Picks>({ has: () => false, toggle: () => undefined });

export function PickBox({ id, label }: { id: string; label: string }) {
  const picks = use(PickContext);
  return (
    <label className="pickbox">
      <input
        type="checkbox"
        tabIndex={-1}
        aria-label={label}
        checked={picks.has(id)}
        onChange={(e) => {
          picks.toggle(id, e.nativeEvent instanceof MouseEvent && e.nativeEvent.shiftKey);
          // The list keeps the keyboard.
          e.currentTarget.closest<HTMLElement>("[role=grid]")?.focus({ preventScroll: true });
        }}
      />
    </label>
  );
}

/** Says how much of what matches is picked. */
export const pickedOf = (n: number, total: number): string => (n >= total ? `All ${count(n)} selected` : `${count(n)} of ${count(total)} selected`);
