import type { ReactNode } from "react";
import { Sheet } from "../ui/sheet";

export default function NavDrawer({ close, children }: { close: () => void; children: ReactNode }) {
  return (
    <Sheet label="Navigation" close={close} side="left" width={260}>
      {children}
    </Sheet>
  );
}
