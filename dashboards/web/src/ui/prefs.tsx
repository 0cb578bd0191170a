/* What a person prefers on this device: the zone of times. Kept in the browser, not in the URL, so that a shared link opens as the reader likes it. */
import { createContext, use, useCallback, useEffect, useMemo, useState, type ReactNode } from "react";
import type { Zone } from "../lib/format";

interface Prefs {
  zone: Zone;
  setZone: (z: Zone) => void;
  /** Ticks every few seconds, for relative times. */
  now: number;
}

const Context = createContext<Prefs>({ zone: "utc", setZone: () => undefined, now: 0 });

function stored(): Zone {
  try {
    return localStorage.getItem("tw-zone") === "local" ? "local" : "utc";
  } catch {
    return "utc";
  }
}

export function PrefsProvider({ children }: { children: ReactNode }) {
  const [zone, set] = useState<Zone>(stored);
  const [now, setNow] = useState(() => Date.now());
  useEffect(() => {
    const t = setInterval(() => setNow(Date.now()), 10_000);
    return () => clearInterval(t);
  }, []);
  const setZone = useCallback((z: Zone) => {
    set(z);
    try {
      localStorage.setItem("tw-zone", z);
    } catch {
      /* storage is blocked: the choice lasts as long as the page */
    }
  }, []);
  const value = useMemo(() => ({ zone, setZone, now }), [zone, setZone, now]);
  return <Context value={value}>{children}</Context>;
}

export const usePrefs = (): Prefs => use(Context);
