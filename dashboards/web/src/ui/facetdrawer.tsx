import "../styles/dialog";
import { Drawer } from "@mantine/core";
import type { ReactNode } from "react";

export default function FacetDrawer({ close, children }: { close: () => void; children: ReactNode }) {
  return (
    <Drawer opened onClose={close} size={280} title="Facets" closeButtonProps={{ "aria-label": "Close" }}>
      {children}
    </Drawer>
  );
}
