// What the end-to-end checks share: a browser that may talk to one origin only,
// a record of everything that goes wrong in a page, and axe.
import { AxeBuilder } from "@axe-core/playwright";
import { chromium } from "playwright-core";

const ARGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"];

export const env = (name, fallback) => {
  const v = process.env[name] ?? fallback;
  if (v === undefined) {
    console.error(`set ${name}`);
    process.exit(2);
  }
  return v;
};

export const launch = () => chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", headless: true, args: ARGS });

/** A fresh browser profile, watched: anything in `wrong` fails the run. */
export async function open(browser, base, wrong, { width = 1440, height = 900, scheme = "light" } = {}) {
  const context = await browser.newContext({ viewport: { width, height }, colorScheme: scheme, reducedMotion: "reduce" });
  const page = await context.newPage();
  const origin = new URL(base).origin;
  page.on("request", (r) => {
    const u = new URL(r.url());
    if (u.origin !== origin && !["blob:", "data:", "about:"].includes(u.protocol)) wrong.push(`request to another origin: ${r.url()}`);
  });
  page.on("pageerror", (e) => wrong.push(`error in the page: ${e.message}`));
  page.on("console", (m) => {
    if (m.type() !== "error") return;
    // Asking who is signed in answers 401 before anyone is: that is how the page knows.
    if (/status of 401/.test(m.text()) && m.location().url.endsWith("/api/v1/session")) return;
    wrong.push(`console: ${m.text()} (${m.location().url})`);
  });
  page.on("response", (r) => {
    if (r.status() >= 500) wrong.push(`${r.status()} from ${r.url()}`);
  });
  return { context, page };
}

export async function signIn(page, base, email, password) {
  await page.goto(`${base}/signin`);
  await page.getByLabel("E-mail").fill(email);
  await page.locator("input[name=password]").fill(password);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.locator("main#main").waitFor({ timeout: 15_000 });
}

/** Waits until nothing is loading any more: no skeleton, no spinner. */
export async function settled(page) {
  await page.waitForLoadState("load");
  await page.waitForFunction(() => document.querySelector("main") && !document.querySelector(".mantine-Skeleton-root, [role=status][aria-label=Loading]"), undefined, { timeout: 20_000 });
  await page.waitForTimeout(250);
}

/** axe on the page as it stands, in both themes; serious and critical violations count. */
export async function axe(page, name, wrong) {
  for (const scheme of ["light", "dark"]) {
    await page.emulateMedia({ colorScheme: scheme, reducedMotion: "reduce" });
    await page.waitForFunction((s) => document.documentElement.getAttribute("data-mantine-color-scheme") === s, scheme);
    await page.waitForTimeout(150);
    const builder = new AxeBuilder({ page });
    // The themes differ in colours alone: every rule once, the contrasts in both.
    if (scheme === "light") builder.withTags(["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]);
    else builder.withRules(["color-contrast", "link-in-text-block"]);
    const r = await builder.analyze();
    for (const v of r.violations) {
      const line = `axe ${name} ${scheme}: ${v.impact} ${v.id}: ${v.help}; ${v.nodes.slice(0, 3).map((n) => `${n.target.join(" ")} ${n.any[0]?.message ?? ""}`).join(" | ")}`;
      if (["serious", "critical"].includes(v.impact)) wrong.push(line);
      else console.log(`note: ${line}`);
    }
  }
  await page.emulateMedia({ colorScheme: "light", reducedMotion: "reduce" });
}

export function check(wrong, ok, what) {
  console.log(`${ok ? "ok  " : "FAIL"} ${what}`);
  if (!ok) wrong.push(what);
}

export function finish(wrong) {
  if (wrong.length === 0) {
    console.log("all well");
    return 0;
  }
  console.error(`\n${wrong.length} things went wrong:`);
  for (const w of [...new Set(wrong)]) console.error(`- ${w}`);
  return 1;
}
