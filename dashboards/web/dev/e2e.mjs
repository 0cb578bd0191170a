// Runs the end-to-end checks against the development server, and what only it can
// provoke: an alert raised while one looks, two analysts at once, hostile content.
import { spawn } from "node:child_process";
import { axe, check, finish, launch, open, settled, signIn } from "../e2e/lib.mjs";
import { PASSWORD, start } from "./server.mjs";

const server = await start();
const env = { ...process.env, BASE_URL: server.url, EMAIL: "analyst@soc.example", PASSWORD, TENANT_EMAIL: "auditor@acme.example", TENANT_PASSWORD: PASSWORD, ADMIN_EMAIL: "admin@soc.example", ADMIN_PASSWORD: PASSWORD };
const run = (args) => new Promise((ok) => spawn(process.execPath, args, { env, stdio: "inherit", cwd: new URL("..", import.meta.url) }).on("exit", ok));

const wrong = [];
if ((await run(["e2e/smoke.mjs"])) !== 0) wrong.push("the smoke test failed");

const browser = await launch();
try {
  const { page } = await open(browser, server.url, wrong);
  await signIn(page, server.url, "analyst@soc.example", PASSWORD);
  await page.goto(`${server.url}/alerts`);
  await settled(page);
  const first = () => page.locator('[role=row][aria-rowindex="2"]').getAttribute("id");
  const before = await first();
  await page.request.get(`${server.url}/dev/raise`);
  const pill = page.getByRole("button", { name: "1 new" });
  await pill.waitFor({ timeout: 5000 });
  check(wrong, (await first()) === before, "a new alert waits behind the pill; no row moves");
  await axe(page, "alerts with the pill", wrong);
  await pill.click();
  await page.waitForFunction((b) => document.querySelector('[role=row][aria-rowindex="2"]')?.id !== b, before);
  check(wrong, true, "the pill brings it");

  // Keyboard only, from the queue to a verdict.
  await page.keyboard.press("j");
  await page.keyboard.press("Enter");
  await page.waitForURL(/\/alerts\/.+/);
  await settled(page);
  await page.keyboard.press("s");
  await page.getByRole("main").getByText("In progress").first().waitFor();
  await page.keyboard.press("e");
  await page.getByRole("button", { name: "Open again" }).waitFor();
  check(wrong, true, "s and e triage by keyboard");

  // Two analysts at once: the second one is told.
  const other = await browser.newContext();
  const second = await other.newPage();
  await signIn(second, server.url, "admin@soc.example", PASSWORD);
  await second.goto(page.url());
  await second.getByRole("button", { name: "Open again" }).waitFor();
  await second.waitForTimeout(300);
  await page.getByRole("button", { name: "Open again" }).click();
  await page.getByRole("button", { name: "Start work" }).waitFor();
  await page.waitForTimeout(300);
  await second.getByRole("button", { name: "Assign to me" }).click();
  await second.getByText("Somebody changed this alert").waitFor({ timeout: 5000 });
  await second.getByRole("button", { name: "Apply mine" }).click();
  await second.getByRole("button", { name: "Unassign me" }).waitFor();
  check(wrong, true, "a conflict is shown, and one's own change can be applied over it");
  await other.close();

  // Hostile strings through every page: shown as text, never run.
  for (const path of ["/", "/alerts?status=any", "/audit?tenant=acme&range=all", "/quarantine?tenant=acme", "/keys"]) {
    await page.goto(server.url + path);
    await settled(page);
    check(wrong, (await page.evaluate(() => [window.pwned, document.querySelectorAll("main img, main script").length].join())) === ",0", `nothing is run on ${path}`);
    const raw = await page.evaluate(() => /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u200b-\u200f\u202a-\u202e\u2066-\u2069]/.test(document.querySelector("main").innerText));
    check(wrong, !raw, `no hidden character is on ${path}`);
  }

  // Admin: a key whose secret is shown once.
  await page.context().clearCookies();
  await signIn(page, server.url, "admin@acme.example", PASSWORD);
  await page.goto(`${server.url}/keys`);
  await page.getByRole("button", { name: "New key" }).click();
  await page.getByLabel("Name").fill("smoke");
  await axe(page, "new key", wrong);
  await page.getByRole("button", { name: "Create" }).click();
  check(wrong, /^twi_/.test(await page.getByTestId("secret").innerText()), "the secret is shown once");
  await axe(page, "the key's secret", wrong);
  await page.getByRole("button", { name: "I have copied it" }).click();
  await page.goto(`${server.url}/webhooks`);
  await settled(page);
  await axe(page, "webhooks", wrong);
  await page.locator("table a").first().click();
  await page.waitForURL(/webhooks\/.+/);
  await settled(page);
  await axe(page, "deliveries", wrong);
  await page.keyboard.press("?");
  await page.getByRole("dialog").waitFor();
  await page.waitForTimeout(200);
  await axe(page, "help", wrong);
  await page.keyboard.press("Escape");

  // Nothing there yet, and a tenant without events.
  for (const who of ["empty@soc.example", "auditor@shalom.example"]) {
    await page.context().clearCookies();
    await signIn(page, server.url, who, PASSWORD);
    for (const path of ["/", "/alerts", "/audit?range=all"]) {
      await page.goto(server.url + path);
      await settled(page);
      await axe(page, `${path} of ${who}`, wrong);
    }
  }
} catch (e) {
  wrong.push(`a step could not be done: ${e.message}`);
} finally {
  await browser.close();
}
if (process.argv[2]) await run(["e2e/screens.mjs", process.argv[2]]);
server.close();
process.exit(finish(wrong));
