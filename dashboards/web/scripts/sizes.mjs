// Prints what each chunk weighs compressed, fails when a route's own chunk or
// the first load passes its limit, and puts back the file that keeps dist in git.
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { gzipSync } from "node:zlib";

const dist = new URL("../dist/", import.meta.url);
const LIMIT = 250 * 1024;
writeFileSync(new URL(".gitkeep", dist), "");

const html = readFileSync(new URL("index.html", dist), "utf8");
const rows = readdirSync(new URL("assets/", dist))
  .filter((f) => /\.(js|css)$/.test(f))
  .map((f) => ({ f, gz: gzipSync(readFileSync(new URL(`assets/${f}`, dist)), { level: 9 }).length }))
  .sort((a, b) => b.gz - a.gz);
let first = 0;
for (const r of rows) {
  const initial = html.includes(r.f);
  if (initial) first += r.gz;
  console.log(`${String(Math.ceil(r.gz / 102.4) / 10).padStart(7)} kB gz  ${r.f}${initial ? "  (first load)" : ""}`);
}
const worst = first + Math.max(0, ...rows.filter((r) => !html.includes(r.f)).map((r) => r.gz));
console.log(`first load ${(first / 1024).toFixed(1)} kB gz, with the heaviest lazy chunk ${(worst / 1024).toFixed(1)} kB gz; limit ${LIMIT / 1024} kB`);
if (/<script>|<script [^>]*>[^<]/.test(html)) {
  console.error("index.html holds an inline script: the Content-Security-Policy forbids it");
  process.exit(1);
}
if (worst > LIMIT) {
  console.error("a route is heavier than its limit");
  process.exit(1);
}
