/* A restrained theme: neutral greys, one accent that no severity uses. */
import { createTheme, type CSSVariablesResolver, type MantineColorsTuple } from "@mantine/core";

const tide: MantineColorsTuple = ["#e8f6f4", "#cfeae6", "#a3d6d0", "#72c0b8", "#45a99f", "#23958a", "#0f857a", "#0b6e66", "#085a54", "#054541"];
const gray: MantineColorsTuple = ["#f8f9fa", "#f1f3f4", "#e6e9eb", "#d8dcdf", "#bfc5ca", "#98a1a9", "#727c86", "#59636d", "#3b444d", "#1c2329"];
const dark: MantineColorsTuple = ["#e3e7ea", "#b9c0c7", "#98a2ac", "#6f7a85", "#39424b", "#2a3138", "#1e242a", "#161b20", "#101418", "#0b0e11"];

export const theme = createTheme({
  primaryColor: "tide",
  primaryShade: { light: 7, dark: 6 }, // white on both passes WCAG AA
  colors: { tide, gray, dark },
  black: "#161b20",
  white: "#ffffff",
  fontFamily: "'Inter Variable', ui-sans-serif, system-ui, 'Segoe UI', Roboto, 'Noto Sans', sans-serif",
  fontFamilyMonospace: "'JetBrains Mono Variable', ui-monospace, 'SF Mono', Menlo, Consolas, 'Noto Sans Mono', monospace",
  fontSizes: { xs: "0.75rem", sm: "0.8125rem", md: "0.875rem", lg: "1rem", xl: "1.25rem" },
  defaultRadius: "md",
  radius: { xs: "3px", sm: "4px", md: "6px", lg: "8px", xl: "12px" },
  headings: { fontWeight: "600", sizes: { h1: { fontSize: "1.25rem", lineHeight: "1.35" }, h2: { fontSize: "0.9375rem", lineHeight: "1.4" }, h3: { fontSize: "0.8125rem", lineHeight: "1.4" } } },
  cursorType: "pointer",
  respectReducedMotion: true,
  focusRing: "auto",
  components: {
    Button: { defaultProps: { size: "xs" } },
    TextInput: { defaultProps: { size: "sm" } },
    Select: { defaultProps: { size: "xs", comboboxProps: { shadow: "md", transitionProps: { duration: 80 } } } },
    Tooltip: { defaultProps: { openDelay: 250, withArrow: false, fz: "xs", transitionProps: { duration: 80 } } },
    Menu: { defaultProps: { shadow: "md", transitionProps: { duration: 80 } } },
    ActionIcon: { defaultProps: { variant: "subtle", color: "gray" } },
    Skeleton: { defaultProps: { radius: "sm" } },
    Modal: { defaultProps: { centered: true, overlayProps: { backgroundOpacity: 0.45 }, transitionProps: { duration: 100 } } },
    Drawer: { defaultProps: { transitionProps: { duration: 140 } } },
  },
});

export const resolver: CSSVariablesResolver = () => ({
  variables: {},
  light: {
    "--mantine-color-body": "#fbfcfc",
    "--mantine-color-text": "#1c2329",
    "--mantine-color-dimmed": "#59636d",
    "--mantine-color-placeholder": "#6a747e",
    "--mantine-color-default-border": "#d8dcdf",
    "--mantine-color-anchor": "#0b6e66",
    "--mantine-color-error": "#b42318",
  },
  dark: {
    "--mantine-color-body": "#0f1316",
    "--mantine-color-text": "#e3e7ea",
    "--mantine-color-dimmed": "#98a2ac",
    "--mantine-color-placeholder": "#8a949e",
    "--mantine-color-default": "#161b20",
    "--mantine-color-default-hover": "#1e242a",
    "--mantine-color-default-border": "#2f373f",
    "--mantine-color-anchor": "#5fc0b6",
    "--mantine-color-error": "#ff8f85",
  },
});
