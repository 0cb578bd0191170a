/* Keyboard shortcuts of a page. Typing in a field is never a shortcut. */
import { useEffect, useRef } from "react";
import { flushSync } from "react-dom";

export type KeyMap = Record<string, (e: KeyboardEvent) => void>;

const typing = (t: EventTarget | null): boolean =>
  t instanceof HTMLElement && (t.isContentEditable || ["INPUT", "TEXTAREA", "SELECT"].includes(t.tagName));

/** Whether something lies over the page; closed menus may stay in the document, unseen. */
const open = (): boolean => [...document.querySelectorAll('[role="dialog"],[role="menu"],[role="listbox"]')].some((x) => x.checkVisibility());

/** Binds plain keys ("j", "/", "?", "Enter") while the page is shown and no dialog is open. */
export function useKeys(map: KeyMap): void {
  const ref = useRef(map);
  useEffect(() => {
    ref.current = map;
  });
  useEffect(() => {
    const on = (e: KeyboardEvent) => {
      if (e.ctrlKey || e.metaKey || e.altKey || e.defaultPrevented || e.isComposing) return;
      if (typing(e.target) || open()) return;
      // Enter and space belong to the button or link that has the focus.
      if ((e.key === "Enter" || e.key === " ") && e.target instanceof HTMLElement && e.target.closest("a,button,summary")) return;
      const f = ref.current[e.key];
      if (f) {
        e.preventDefault();
        flushSync(() => f(e)); // so that the next key, however fast, finds the page as it is now
      }
    };
    addEventListener("keydown", on);
    return () => removeEventListener("keydown", on);
  }, []);
}
