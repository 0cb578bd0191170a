/* Short confirmations, announced to screen readers, with a way back where there is one. */
import { Button, CloseButton } from "@mantine/core";
import { createContext, use, useCallback, useRef, useState, type ReactNode } from "react";
import { IconAlertCircle, IconDone } from "./icons";

interface Toast {
  id: number;
  text: string;
  bad?: boolean | undefined;
  action?: { label: string; run: () => void } | undefined;
}

type Say = (text: string, o?: Pick<Toast, "bad" | "action">) => void;
const Context = createContext<Say>(() => undefined);
export const useToast = (): Say => use(Context);

export function ToastProvider({ children }: { children: ReactNode }) {
  const [items, set] = useState<Toast[]>([]);
  const next = useRef(1);
  const drop = useCallback((id: number) => set((l) => l.filter((t) => t.id !== id)), []);
  const say = useCallback<Say>(
    (text, o) => {
      const id = next.current++;
      set((l) => [...l.slice(-2), { id, text, ...o }]);
      setTimeout(() => drop(id), o?.action || o?.bad ? 9000 : 4000);
    },
    [drop],
  );
  return (
    <Context value={say}>
      {children}
      <div className="toasts" role="status" aria-live="polite">
        {items.map((t) => (
          <div className="toast" key={t.id}>
            {t.bad ? <IconAlertCircle size={16} color="var(--tw-critical)" aria-hidden /> : <IconDone size={16} color="var(--tw-good)" aria-hidden />}
            <span className="grow wrap">{t.text}</span>
            {t.action && (
              <Button
                variant="subtle"
                size="compact-xs"
                onClick={() => {
                  t.action?.run();
                  drop(t.id);
                }}
              >
                {t.action.label}
              </Button>
            )}
            <CloseButton size="sm" aria-label="Dismiss" onClick={() => drop(t.id)} />
          </div>
        ))}
      </div>
    </Context>
  );
}
