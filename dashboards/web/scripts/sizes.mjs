// Prints what each page weighs compressed, all it loads counted, and fails when
// one passes its limit. Puts back the file that keeps dist in git.
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { gzipSync } from "node:zlib";

const dist = new URL("../dist/", import.meta.url);
const LIMIT = 250;
const manifest = JSON.parse(readFileSync(new URL(".vite/manifest.json", dist), "utf8"));
rmSync(new URL(".vite", dist), { recursive: true });
writeFileSync(new URL(".gitkeep", dist), "");

const weight = new Map();
const kB = (files) => {
  let sum = 0;
  for (const f of files) {
    if (!weight.has(f)) weight.set(f, gzipSync(readFileSync(new URL(f, dist)), { level: 9 }).length);
    sum += weight.get(f);
  }
  return sum / 1024;
};
/** Every script and style that opening a module loads. */
const closure = (key, into = new Set()) => {
  const m = manifest[key];
  if (into.has(m.file)) return into;
  into.add(m.file);
  for (const c of m.css ?? []) into.add(c);
  for (const i of m.imports ?? []) closure(i, into);
  return into;
};

const first = closure("index.html");
console.log(`${kB(first).toFixed(1).padStart(7)} kB gz  before any page`);
let worst = 0;
for (const [key, m] of Object.entries(manifest)) {
  if (!m.isDynamicEntry || !key.startsWith("src/pages/")) continue;
  const all = kB(closure(key, new Set()).union?.(first) ?? new Set([...first, ...closure(key)]));
  worst = Math.max(worst, all);
  console.log(`${all.toFixed(1).padStart(7)} kB gz  ${key.replace("src/pages/", "").replace(".tsx", "")}, of which its own chunk ${kB([m.file]).toFixed(1)}`);
}
const html = readFileSync(new URL("index.html", dist), "utf8");
if (/<script(?![^>]*\ssrc=)[^>]*>/.test(html)) {
  console.error("index.html holds an inline script: the Content-Security-Policy forbids it");
  process.exit(1);
}
if (worst > LIMIT) {
  console.error(`a page weighs more than ${LIMIT} kB`);
  process.exit(1);
}
