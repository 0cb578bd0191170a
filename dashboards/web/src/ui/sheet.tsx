/* A drawer that brings its own heading, with a name for screen readers. */
import "../styles/dialog";
import { Drawer } from "@mantine/core";
import type { ReactNode } from "react";

interface Props {
  label: string;
  close: () => void;
  side?: "left" | "right";
  width: number;
  children: ReactNode;
}

export function Sheet({ label, close, side = "right", width, children }: Props) {
  return (
    <Drawer.Root opened onClose={close} position={side} size={width}>
      <Drawer.Overlay backgroundOpacity={0.18} />
      <Drawer.Content aria-label={label}>
        <Drawer.Body p={0}>{children}</Drawer.Body>
      </Drawer.Content>
    </Drawer.Root>
  );
}
