import react from "@vitejs/plugin-react";
import { loadEnv } from "vite";
import { defineConfig } from "vitest/config";

// The API that `vite` (the development server) talks to.
const api = loadEnv("development", ".", "TENANTWATCH_").TENANTWATCH_API ?? "http://127.0.0.1:8080";

export default defineConfig({
  plugins: [react()],
  build: {
    target: "es2022",
    // No data: URIs, so that the Content-Security-Policy can stay at 'self'.
    assetsInlineLimit: 0,
    // The file that keeps the folder in git is put back by scripts/sizes.mjs.
    emptyOutDir: true,
    modulePreload: { polyfill: false },
    sourcemap: false,
    manifest: true, // read by scripts/sizes.mjs, which then removes it
    reportCompressedSize: false,
  },
  server: { proxy: { "/api": api, "/openapi.json": api } },
  test: { environment: "node", include: ["src/**/*.test.ts"] },
});
