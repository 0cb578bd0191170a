import "../styles/dialog";
import { Drawer } from "@mantine/core";
import type { ReactNode } from "react";

export default function NavDrawer({ close, children }: { close: () => void; children: ReactNode }) {
  return (
    <Drawer opened onClose={close} size={260} padding={0} withCloseButton={false} aria-label="Navigation">
      {children}
    </Drawer>
  );
}
