import { ActionIcon, Button, Tooltip } from "@mantine/core";
import { useState, type ReactNode } from "react";
import { IconCheck, IconCopy } from "./icons";
import { useToast } from "./toast";

/** Copies text; where the browser refuses (no TLS, no permission), it says so. */
export function useCopy(): [boolean, (text: string) => void] {
  const [done, set] = useState(false);
  const say = useToast();
  return [
    done,
    (text) => {
      const ok = () => {
        set(true);
        setTimeout(() => set(false), 1500);
      };
      const no = () => say("The browser does not allow copying here. Select the text and copy it by hand.", { bad: true });
      if (navigator.clipboard) navigator.clipboard.writeText(text).then(ok, no);
      else no();
    },
  ];
}

export function CopyIcon({ text, label }: { text: string; label: string }) {
  const [done, copy] = useCopy();
  return (
    <Tooltip label={done ? "Copied" : label}>
      <ActionIcon size="sm" onClick={() => copy(text)} aria-label={label}>
        {done ? <IconCheck size={14} /> : <IconCopy size={14} />}
      </ActionIcon>
    </Tooltip>
  );
}

export function CopyButton({ text, children, icon }: { text: string; children: ReactNode; icon?: ReactNode }) {
  const [done, copy] = useCopy();
  return (
    <Button variant="default" leftSection={done ? <IconCheck size={14} /> : (icon ?? <IconCopy size={14} />)} onClick={() => copy(text)}>
      {done ? "Copied" : children}
    </Button>
  );
}
