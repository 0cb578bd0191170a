// Screenshots of every page, in both themes and at three widths.
//
//   BASE_URL=… EMAIL=… PASSWORD=… [TENANT_EMAIL=… TENANT_PASSWORD=…] [ADMIN_EMAIL=… ADMIN_PASSWORD=…] [WIDTHS=1440,390] node e2e/screens.mjs OUTDIR
//
// "empty" pictures come from filters that match nothing.
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { env, launch, open, settled, signIn } from "./lib.mjs";

const base = env("BASE_URL").replace(/\/$/, "");
const out = process.argv[2] ?? env("OUT");
mkdirSync(out, { recursive: true });
const widths = env("WIDTHS", "1440,1024,390").split(",").map(Number);
const wrong = [];
const browser = await launch();
let made = 0;

async function as(email, password, shots) {
  for (const scheme of ["light", "dark"])
    for (const width of widths) {
      const { context, page } = await open(browser, base, wrong, { width, height: width < 600 ? 844 : 900, scheme });
      const shot = async (name) => {
        await settled(page).catch(() => console.error(`still loading: ${name}`));
        await page.waitForTimeout(350);
        await page.screenshot({ path: join(out, `${name}-${scheme}-${width}.png`) });
        made++;
      };
      await signIn(page, base, email, password);
      await settled(page).catch(() => undefined);
      await shots(page, shot);
      await context.close();
    }
}
const go = (page, path) => page.goto(base + path);
const q = encodeURIComponent;

await as(env("EMAIL"), env("PASSWORD"), async (page, shot) => {
  await shot("overview");
  await go(page, "/alerts");
  await settled(page).catch(() => undefined);
  await page.keyboard.press("j");
  await shot("alerts");
  await page.keyboard.press("Enter");
  await page.waitForURL(/\/alerts\/.+/, { timeout: 5000 }).catch(() => undefined);
  await shot("alert");
  await page.locator("#main").evaluate((m) => m.scrollTo(0, 1200));
  await shot("alert-lower");
  await go(page, "/alerts?q=first");
  await settled(page).catch(() => undefined);
  await page.keyboard.press("j");
  await page.keyboard.press("Enter");
  await page.waitForURL(/\/alerts\/.+/, { timeout: 5000 }).catch(() => undefined);
  await shot("alert-new");
  await go(page, `/alerts?q=${q("nothing matches this")}`);
  await shot("alerts-empty");
  await go(page, "/alerts/00000000-0000-7000-8000-000000000000");
  await shot("alert-missing");
  await go(page, "/alerts?group=entity");
  await shot("alerts-grouped");
  await go(page, "/suppressions");
  await shot("suppressions");
  await go(page, "/detectors");
  await shot("detectors");
  await go(page, "/accounting");
  await settled(page).catch(() => undefined);
  if (await page.locator(".choices button").count()) await page.locator(".choices button").first().click();
  await shot("accounting");
  await go(page, "/audit");
  await shot("audit-choose");
  await go(page, "/no/such/page");
  await shot("missing");
});

await as(env("TENANT_EMAIL", env("EMAIL")), env("TENANT_PASSWORD", env("PASSWORD")), async (page, shot) => {
  await shot("tenant-overview");
  await go(page, "/audit?range=all");
  await shot("audit");
  await page.keyboard.press("j");
  await page.keyboard.press("Enter");
  await page.waitForTimeout(400);
  await shot("event");
  await go(page, `/audit?range=all&q=${q('id:"nothing matches this"')}`);
  await shot("audit-empty");
  await go(page, `/audit?range=all&q=${q("actr:alice")}`);
  await page.locator(".queryerror").waitFor({ timeout: 5000 }).catch(() => undefined);
  await shot("audit-error");
  await go(page, "/audit?range=all");
  await settled(page).catch(() => undefined);
  await page.keyboard.press("/");
  await page.keyboard.type("act");
  await shot("audit-completion");
});

if (process.env.ADMIN_EMAIL) {
  await as(env("ADMIN_EMAIL"), env("ADMIN_PASSWORD"), async (page, shot) => {
    await go(page, "/keys");
    await shot("keys");
    await page.getByRole("button", { name: "New key" }).click();
    await shot("keys-new");
    await go(page, "/webhooks");
    await shot("webhooks");
    const hook = page.locator("table a").first();
    if (await hook.count()) {
      await hook.click();
      await shot("webhook");
    }
    await go(page, "/quarantine");
    await settled(page).catch(() => undefined);
    const first = page.locator(".choices button").first();
    if (await first.count()) await first.click();
    await shot("quarantine");
  });
}

for (const scheme of ["light", "dark"])
  for (const width of widths) {
    const { context, page } = await open(browser, base, wrong, { width, height: width < 600 ? 844 : 900, scheme });
    await go(page, "/signin");
    await page.getByLabel("E-mail").waitFor();
    await page.waitForTimeout(300);
    await page.screenshot({ path: join(out, `signin-${scheme}-${width}.png`) });
    made++;
    await context.close();
  }
await browser.close();
console.log(`${made} pictures in ${out}`);
