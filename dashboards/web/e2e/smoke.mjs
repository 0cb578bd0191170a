// Drives the running program in a real browser, as an analyst and as a tenant's
// auditor. Needs alerts and events to be there, as `tenantwatch up --demo` makes.
//
//   BASE_URL=http://127.0.0.1:8080 EMAIL=… PASSWORD=… TENANT_EMAIL=… TENANT_PASSWORD=… node e2e/smoke.mjs
//
// ALERT_WAIT is how many seconds to wait for the first alert (60). Exit code 0
// when all is well: every step done, no console error, no request to another
// origin, axe without a serious violation in both themes.
import { createHmac } from "node:crypto";
import { axe, check, env, finish, launch, open, settled, signIn } from "./lib.mjs";

const base = env("BASE_URL").replace(/\/$/, "");
const email = env("EMAIL");
const password = env("PASSWORD");
const tenantEmail = env("TENANT_EMAIL");
const tenantPassword = env("TENANT_PASSWORD");
const wait = Number(env("ALERT_WAIT", "60")) * 1000;

const wrong = [];
const browser = await launch();

/** The newest alert whose strongest detector is as asked; `only`: with no other beside it. */
async function withDetector(page, asked, only = false) {
  const list = await (await page.request.get(`${base}/api/v1/alerts?limit=100`)).json();
  return list.items.find((a) => (only ? a.detectors.length === 1 : true) && asked(a.detectors[0]?.name))?.id;
}

async function analyst() {
  const { context, page } = await open(browser, base, wrong);
  await page.goto(base);
  await page.waitForURL(/\/signin/);
  await page.getByLabel("E-mail").waitFor();
  await axe(page, "sign-in", wrong);
  const policy = (await page.request.get(base)).headers()["content-security-policy"] ?? "";
  const scripts = /script-src([^;]*)/.exec(policy)?.[1] ?? /default-src([^;]*)/.exec(policy)?.[1] ?? "";
  check(wrong, policy !== "" && !/unsafe-inline|unsafe-eval|\*/.test(scripts), "a Content-Security-Policy forbids inline and foreign scripts");

  await signIn(page, base, email, password);
  await settled(page);
  check(wrong, await page.getByRole("heading", { name: "Open alerts", exact: true }).isVisible(), "the overview shows open alerts");
  check(wrong, await page.locator(".topbar .tenant").isVisible(), "the banner says whose data it is");
  await axe(page, "overview", wrong);

  await page.goto(`${base}/alerts`);
  await page.getByRole("grid", { name: "Alerts" }).waitFor({ timeout: wait });
  await settled(page);
  const rows = page.getByRole("grid", { name: "Alerts" }).getByRole("row");
  check(wrong, (await rows.count()) > 1, "the alerts are listed");
  const cells = (await rows.nth(1).getByRole("gridcell").allInnerTexts()).map((t) => t.trim());
  if (cells[0] === "") cells.shift(); // the box to select by
  check(wrong, /^(Critical|High|Medium|Low|Info)/.test(cells[0] ?? ""), `a row has a severity: ${cells[0]}`);
  check(wrong, Number(cells[1]) > 0 && Number(cells[1]) <= 100, `a score: ${cells[1]}`);
  const [heading, reason] = (cells[2] ?? "").split("\n");
  check(wrong, Boolean(heading) && (reason ?? "").length > 30, `what happened and why: ${heading}`);
  check(wrong, (cells[3] ?? "").length > 0, `an entity: ${cells[3]}`);
  await axe(page, "alerts", wrong);

  await page.keyboard.press("j");
  const picked = (await page.locator("[role=row][aria-selected=true]").getAttribute("id")).replace(/^r-/, "");
  await page.keyboard.press("Enter");
  await page.waitForURL(/\/alerts\/.+/);
  await settled(page);
  // By its id: a live alert may be amended, and its title with it, while one looks.
  check(wrong, page.url().endsWith(`/alerts/${picked}`) && (await page.locator("h1").innerText()).trim() !== "", "j and Enter open the alert");
  await page.goto(`${base}/alerts/${await withDetector(page, (d) => ["failures", "rate"].includes(d))}`);
  await settled(page);
  check(wrong, (await page.locator(".sentence").first().innerText()).length > 30, "the alert says what happened in a sentence");
  await page.getByRole("heading", { name: "Observed against expected" }).waitFor();
  await page.locator(".plothost canvas").first().waitFor({ timeout: 10_000 });
  const painted = await page.locator(".plothost canvas").first().evaluate((c) => c.getContext("2d").getImageData(0, 0, c.width, c.height).data.some((x, i) => i % 4 === 3 && x > 0));
  check(wrong, painted, "the plot of observed against expected is drawn");
  check(wrong, (await page.getByRole("grid", { name: "Evidence" }).getByRole("row").count()) > 1, "the evidence is listed");
  const tenths = (s) => Math.round(Number(s) * 10);
  const parts = (await page.locator(".parts tbody td:last-child").allInnerTexts()).map(tenths);
  const score = tenths(await page.locator(".bigscore b").innerText());
  check(wrong, parts.length > 0 && parts.reduce((a, b) => a + b, 0) === score, `the contributions shown add up: ${parts.join(" + ")} = ${score} tenths`);
  await axe(page, "alert", wrong);

  const novel = await withDetector(page, (d) => d === "novelty", true);
  if (novel) {
    await page.goto(`${base}/alerts/${novel}`);
    await settled(page);
    await page.getByRole("heading", { name: "Never seen before" }).waitFor();
    check(wrong, (await page.locator(".firsts .newtag").count()) > 0, "an alert of something new names what is new");
    await axe(page, "alert of something new", wrong);
    await page.goBack();
    await settled(page);
  } else console.log("note: no alert of something new yet");

  const assign = page.getByRole("button", { name: "Assign to me", exact: true });
  if (await assign.isVisible()) {
    await assign.click();
    const back = page.getByRole("button", { name: "Unassign me" });
    await back.waitFor({ timeout: 5000 });
    await page.locator(".toast").first().waitFor();
    await page.reload();
    await settled(page);
    check(wrong, await back.isVisible(), "assigning survives a reload");
    await back.click();
    await assign.waitFor({ timeout: 5000 });
    await page.locator(".toast").first().waitFor();
  } else console.log("note: this role does not triage");

  await triage(page);
  await page.goto(`${base}/alerts/${await withDetector(page, (d) => ["failures", "rate"].includes(d))}`);
  await settled(page);
  await page.getByRole("link", { name: "View in audit" }).click();
  await page.waitForURL(/\/audit\?/);
  await page.getByRole("grid", { name: "Events" }).waitFor({ timeout: 15_000 });
  await settled(page);
  check(wrong, (await page.getByRole("grid", { name: "Events" }).getByRole("row").count()) > 1, "view in audit finds the events");
  for (const path of ["/quarantine", "/keys", "/webhooks", "/detectors", "/suppressions", "/accounting"]) {
    if (!(await page.locator(`.side a[href^="${path}"]`).count())) continue;
    await page.goto(base + path);
    await settled(page);
    await axe(page, path.slice(1), wrong);
  }
  check(wrong, (await page.evaluate(() => window.pwned)) === undefined, "no log content was run");
  await context.close();
}

/** From the queue to a verdict by keyboard alone, taken back again; and a suppression as far as its preview. */
async function triage(page) {
  await page.goto(`${base}/alerts?status=any`);
  const grid = page.getByRole("grid", { name: "Alerts" });
  await grid.waitFor();
  await settled(page);
  if (!(await page.locator(".pickbox").count())) return console.log("note: this role does not triage");
  await page.goto(`${base}/alerts`);
  await grid.waitFor();
  await settled(page);
  await page.keyboard.press("j");
  await page.keyboard.press("x");
  await page.getByRole("region", { name: "Selected alerts" }).waitFor();
  await axe(page, "alerts, selected", wrong);
  await page.keyboard.press("e");
  await page.getByRole("dialog", { name: /Close the alert as/ }).waitFor();
  await page.keyboard.press("b");
  const toast = page.locator(".toast", { hasText: "1 alert closed: benign" });
  await toast.waitFor();
  check(wrong, (await page.locator("[role=row][aria-selected=true]").innerText()).includes("Benign"), "an alert is closed with a verdict by keyboard only");
  await toast.getByRole("button", { name: "Undo" }).click();
  await page.locator(".toast", { hasText: "Taken back" }).waitFor();
  check(wrong, !(await page.locator("[role=row][aria-selected=true]").innerText()).includes("Benign"), "and that is taken back");
  await page.keyboard.press("Enter");
  await page.waitForURL(/\/alerts\/.+/);
  await settled(page);
  check(wrong, await page.locator(".timeline li").nth(1).waitFor({ timeout: 15_000 }).then(() => true, () => false), "the history tells of it");
  const suppress = page.getByRole("button", { name: "Suppress…" });
  if (!(await suppress.count())) return;
  await suppress.click();
  const dialog = page.getByRole("dialog", { name: "Suppress alerts" });
  await dialog.getByRole("button", { name: "What would it have hidden?" }).click();
  await dialog.getByText(/It would have hidden/).waitFor();
  check(wrong, /It would have hidden [1-9]/.test(await dialog.getByRole("status").first().innerText()), "a suppression says what it would have hidden before it can be saved");
  await axe(page, "suppress", wrong);
  await page.keyboard.press("Escape");
  await dialog.waitFor({ state: "hidden" });
}

async function auditor() {
  const { context, page } = await open(browser, base, wrong);
  await signIn(page, base, tenantEmail, tenantPassword);
  check(wrong, (await page.locator("button.tenant").count()) === 0, "a tenant's auditor has no tenant to choose");
  await page.goto(`${base}/audit?range=all`);
  const grid = page.getByRole("grid", { name: "Events" });
  await grid.waitFor({ timeout: 20_000 });
  await settled(page);
  check(wrong, (await grid.getByRole("row").count()) > 1, "the audit log shows events");
  await page.locator(".histo canvas").waitFor();
  await axe(page, "audit", wrong);

  const all = await page.locator(".histo .strong").innerText();
  const facet = page.locator(".facet").first();
  await facet.waitFor();
  await facet.click();
  await page.waitForURL(/[?&]q=/);
  await page.waitForFunction((a) => document.querySelector(".histo .strong")?.textContent !== a, all).catch(() => undefined);
  await settled(page);
  check(wrong, (await grid.getByRole("row").count()) > 1, `a facet narrows the search: ${all} to ${await page.locator(".histo .strong").innerText()}`);

  await page.keyboard.press("j");
  await page.keyboard.press("Enter");
  const dialog = page.getByRole("dialog", { name: "Event" });
  await dialog.waitFor();
  await page.waitForTimeout(250);
  check(wrong, await dialog.getByRole("button", { name: "Copy as JSON" }).isVisible(), "an event opens in full");
  check(wrong, /[?&]event=/.test(page.url()), "the open event is in the URL");
  await axe(page, "event", wrong);
  await page.reload();
  await dialog.waitFor({ timeout: 10_000 });
  check(wrong, true, "a reload shows the same event");
  await page.keyboard.press("Escape");
  await dialog.waitFor({ state: "hidden" });

  await page.goto(`${base}/audit?range=all&q=${encodeURIComponent("actr:alice")}`);
  const before = wrong.length;
  await page.locator(".queryerror mark").waitFor();
  check(wrong, (await page.locator(".queryerror mark").innerText()) === "actr", "a mistyped field is marked at its place");
  // The refused requests are logged by the browser: that is meant here.
  for (let i = wrong.length - 1; i >= 0; i--) if (/status of 400/.test(wrong[i])) wrong.splice(i, 1);
  check(wrong, wrong.length <= before, "nothing else went wrong with it");
  await page.getByRole("button", { name: /Use actor/ }).click();
  await page.locator(".queryerror").waitFor({ state: "hidden" });

  const [download] = await Promise.all([
    page.waitForEvent("download"),
    (async () => {
      await page.goto(`${base}/audit?range=all`);
      await settled(page);
      await page.getByRole("button", { name: "Export" }).click();
      await page.getByRole("menuitem", { name: /NDJSON, complete/ }).click();
    })(),
  ]);
  check(wrong, /ndjson|json/.test(download.suggestedFilename()), `the export is a file: ${download.suggestedFilename()}`);
  await context.close();
}

/** The code of an authenticator app: RFC 6238 with RFC 4648's base 32. */
function totp(secret) {
  const bits = [...secret].map((c) => "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".indexOf(c)).filter((n) => n >= 0).map((n) => n.toString(2).padStart(5, "0")).join("");
  const key = Buffer.from(bits.match(/.{8}/g).map((b) => parseInt(b, 2)));
  const step = Buffer.alloc(8);
  step.writeUInt32BE(Math.floor(Date.now() / 30_000), 4);
  const mac = createHmac("sha1", key).update(step).digest();
  return String((mac.readUInt32BE(mac[19] & 15) & 0x7fffffff) % 1_000_000).padStart(6, "0");
}

/** The auditor turns the second factor on; a browser that knows the password alone does not get in. */
async function secondFactor() {
  const { context, page } = await open(browser, base, wrong);
  await signIn(page, base, tenantEmail, tenantPassword);
  await page.goto(`${base}/account`);
  await settled(page);
  await axe(page, "account", wrong);
  await page.getByRole("button", { name: "Turn it on" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByLabel("Your password").fill(tenantPassword);
  await dialog.getByRole("button", { name: "Go on" }).click();
  await dialog.getByLabel("Code", { exact: true }).fill(totp(await dialog.locator("code").innerText()));
  await dialog.getByRole("button", { name: "Confirm" }).click();
  const codes = (await dialog.getByTestId("secret").innerText()).trim().split(/\s+/);
  check(wrong, codes.length === 10, "the second factor is on, with ten recovery codes");
  await dialog.getByRole("button", { name: "I have kept them" }).click();
  await context.close();

  const other = await open(browser, base, wrong);
  await other.page.goto(`${base}/signin`);
  await other.page.getByLabel("E-mail").fill(tenantEmail);
  await other.page.locator("input[name=password]").fill(tenantPassword);
  await other.page.getByRole("button", { name: "Sign in" }).click();
  const code = other.page.getByLabel(/Code of your authenticator app/);
  await code.waitFor();
  await axe(other.page, "second factor", wrong);
  await code.fill("000000");
  await other.page.getByRole("button", { name: "Confirm" }).click();
  await other.page.locator(".signin-error:not(:empty)").waitFor();
  check(wrong, (await other.page.locator("main#main").count()) === 0, "a wrong code does not sign in");
  await code.fill(codes[0]);
  await other.page.getByRole("button", { name: "Confirm" }).click();
  await other.page.locator("main#main").waitFor({ timeout: 15_000 });
  check(wrong, true, "a recovery code does, once");
  await other.context.close();
}

try {
  await analyst();
  await auditor();
  await secondFactor();
} catch (e) {
  wrong.push(`a step could not be done: ${e.message}`);
} finally {
  await browser.close();
}
process.exit(finish(wrong));
