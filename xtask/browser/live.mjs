// A few real agents: what happens to them is seen without a reload.

import { accessible, agent, check, ensure, equal, fits, hub, open, shot, until } from "./support.mjs";

/** Messages come from programs that nobody controls. */
const HOSTILE = `<img src=x onerror="window.hacked=1">`;

const SICK = `
checks:
  components:
    - name: queue
      exec: { command: [sh, -c, 'echo "$0"; exit 2', '${HOSTILE}'] }
      interval: 1s
    - name: disk-space
      exec: { command: [sh, -c, 'echo plenty; exit 0'] }
      interval: 1s
`;

const FINE = `
checks:
  components:
    - name: api-syncagent
      exec: { command: [sh, -c, 'echo fine; exit 0'] }
      interval: 1s
`;

export async function liveFleet() {
  let program = await hub();
  const agents = new Map();
  for (const name of ["edge-1", "edge-2", "edge-4"]) agents.set(name, agent(program.tunnels, name, FINE));
  agents.set("edge-3", agent(program.tunnels, "edge-3", SICK));
  const page = await open(program.url);
  await page.evaluate(() => (window.sameDocument = true));
  const names = () => page.locator("#rows .name").allTextContents();
  const verdicts = () =>
    page.locator("#rows tr").evaluateAll((all) => all.map((one) => `${one.querySelector(".name").textContent} ${one.className}`));
  const row = (name) => page.locator("#rows tr", { has: page.locator(".name", { hasText: new RegExp(`^${name}$`) }) });
  const count = (verdict) => page.locator(`#counts .${verdict} .n`).textContent();
  const live = (yes) => page.locator(`#live[data-live="${yes}"]`).waitFor();

  await check("live: agents appear by themselves, with counts, status and what decided it", page, async () => {
    await live("yes");
    await until("four are Alive", async () => (await count("Alive")) === "4");
    await row("edge-3").getByText("Unhealthy").waitFor();
    await row("edge-3").getByText(`queue: ${HOSTILE}`).waitFor();
    await row("edge-1").getByText("Healthy").waitFor();
    equal((await names()).toSorted(), ["edge-1", "edge-2", "edge-3", "edge-4"], "the rows");
    await page.locator("#recent li", { hasText: "edge-4" }).first().waitFor();
  });
  await check("live: the document brings all that it needs, and says so in its policy", page, async () => {
    const answer = await page.request.get(program.url);
    const policy = answer.headers()["content-security-policy"];
    for (const part of ["default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'", "require-trusted-types-for 'script'"]) {
      ensure(policy.includes(part), `${part} is not in ${policy}`);
    }
    ensure(!policy.includes("unsafe"), policy);
    const html = await answer.text();
    ensure(!/\son[a-z]+=|\sstyle=|https?:\/\/(?!www\.w3\.org)/i.test(html.replace(/<script[\s\S]*<\/script>/, "")), "an inline handler, style or address");
    const loaded = await page.evaluate(() => performance.getEntriesByType("resource").map((one) => new URL(one.name).pathname));
    const known = loaded.every((path) => path === "/fleet" || path === "/events" || path.startsWith("/fleet/"));
    ensure(known, `it loaded ${loaded}`);
  });
  await check("live: the list is accessible, light and dark", page, () => accessible(page, "the list"));
  await check("live: a killed agent is Suspect, then Lost, and moves to the top, without a reload", page, async () => {
    await page.getByLabel("Sort by").selectOption("verdict");
    await agents.get("edge-4").end("SIGKILL");
    await row("edge-4").locator(".v.Suspect").waitFor();
    const shown = await verdicts();
    ensure(shown[0].startsWith("edge-4 "), `edge-4 is Suspect, and the rows are ${shown}`);
    await row("edge-4").locator(".v.Lost").waitFor();
    equal((await names())[0], "edge-4", "the first row");
    equal(await count("Lost"), "1", "the count of the Lost");
    await row("edge-4").getByText("HeartbeatTimeout").waitFor();
    ensure((await page.title()).startsWith("(1) "), "the title tells how many are silent");
    equal(await page.evaluate(() => window.sameDocument), true, "the same document");
    await until("it is said politely", async () => /Lost|Suspect/.test(await page.locator("#announce").textContent()));
    const recent = page.locator("#recent li").first();
    await recent.locator(".v.Lost").waitFor();
    equal(await recent.locator(".from").textContent(), "Suspect → ", "where it came from");
    await shot(page, "list-light");
  });
  await check("live: since when ticks, and its title is the absolute time", page, async () => {
    const time = row("edge-4").locator("time").first();
    const before = await time.textContent();
    await until("it ticks", async () => (await time.textContent()) !== before);
    ensure(/\d{4}/.test(await time.getAttribute("title")), "a title with a year");
  });
  await check("live: filters, search and their place in the address", page, async () => {
    await page.getByRole("button", { name: /^Lost/ }).click();
    await until("only the Lost", async () => String(await names()) === "edge-4");
    equal(await page.getByRole("button", { name: /^Lost/ }).getAttribute("aria-pressed"), "true", "pressed");
    ensure(page.url().includes("verdict=Lost"), page.url());
    await page.reload();
    await until("still only the Lost", async () => String(await names()) === "edge-4");
    await page.getByRole("button", { name: "Clear filters" }).click();
    await until("all again", async () => (await names()).length === 4);
    await page.getByLabel("Status").selectOption("Unhealthy");
    await until("only the sick", async () => String(await names()) === "edge-3");
    await page.getByRole("button", { name: "Clear filters" }).click();
    await page.getByLabel("Search workspace and name").fill("EDGE-2");
    await until("only the one", async () => String(await names()) === "edge-2");
    await page.getByLabel("Search workspace and name").press("Escape");
    await until("all again", async () => (await names()).length === 4);
    await page.locator("thead").getByRole("button", { name: "Agent" }).click();
    await until("by name", async () => String(await names()) === "edge-1,edge-2,edge-3,edge-4");
    await page.locator("thead").getByRole("button", { name: "Agent" }).click();
    await until("backwards", async () => String(await names()) === "edge-4,edge-3,edge-2,edge-1");
    equal(await page.locator("th[aria-sort]").getAttribute("aria-sort"), "descending", "aria-sort");
    await page.getByLabel("Sort by").selectOption("verdict");
  });
  await check("live: the detail shows why, the deciding components, the report and the timeline", page, async () => {
    await row("edge-3").click();
    const detail = page.getByRole("dialog", { name: "edge-3" });
    await detail.locator("#detail-deciding", { hasText: "queue" }).waitFor();
    // Nothing of it became an element.
    ensure((await detail.locator("#detail-deciding").textContent()).includes(HOSTILE), "the message as text");
    equal(await page.locator("main img, dialog img").count(), 0, "elements that a message made");
    equal(await page.evaluate(() => window.hacked), undefined, "a message's script");
    await detail.getByRole("rowheader", { name: "disk-space" }).waitFor();
    await detail.locator("#detail-transitions .v.Alive").waitFor();
    await accessible(page, "the detail");
    await page.emulateMedia({ colorScheme: "dark" });
    await shot(page, "detail-dark");
    await page.emulateMedia({ colorScheme: "light" });
    await page.keyboard.press("Escape");
    await detail.waitFor({ state: "hidden" });
    equal(await page.evaluate(() => document.activeElement.textContent), "edge-3", "the focus is back");
    ensure(!page.url().includes("name="), page.url());
  });
  await check("live: the detail of a lost agent has all of its transitions, and going back closes it", page, async () => {
    await row("edge-4").click();
    const verdicts = page.locator("#detail-transitions .v");
    await until("three transitions", async () => (await verdicts.count()) === 3);
    equal(await verdicts.allTextContents(), ["Lost", "Suspect", "Alive"], "the newest first");
    await page.goBack();
    await page.getByRole("dialog").waitFor({ state: "hidden" });
    await page.goForward();
    await page.getByRole("dialog", { name: "edge-4" }).waitFor();
    await page.getByRole("button", { name: "Close" }).click();
    await page.getByRole("dialog").waitFor({ state: "hidden" });
  });
  await check("live: everything can be done by keyboard alone", page, () => keyboard(page, program, names));
  await check("live: a phone of 360 pixels shows one column without scrolling sideways", page, async () => {
    await page.setViewportSize({ width: 360, height: 740 });
    await fits(page, 360, "the list");
    await accessible(page, "the list on a phone");
    await shot(page, "phone-list");
    await row("edge-4").click();
    await page.locator("#detail-transitions .v").first().waitFor();
    await fits(page, 360, "the detail");
    await accessible(page, "the detail on a phone");
    await shot(page, "phone-detail");
    await page.keyboard.press("Escape");
    await page.setViewportSize({ width: 1280, height: 800 });
  });
  await check("live: who wants less motion gets none", page, async () => {
    await page.emulateMedia({ reducedMotion: "reduce" });
    const moving = await page.evaluate(() => {
      document.querySelector("#rows tr").classList.add("changed");
      return document.getAnimations().length;
    });
    equal(moving, 0, "animations");
    await page.emulateMedia({ reducedMotion: "no-preference" });
  });
  await check("live: an agent that comes back is Alive again, live", page, async () => {
    agents.set("edge-4", agent(program.tunnels, "edge-4", FINE));
    await row("edge-4").locator(".v.Alive").waitFor();
    await until("nobody is Lost", async () => (await count("Lost")) === "0");
  });
  await check("live: a hub that is frozen is told, though its connections are open", page, async () => {
    page.mayFail = true;
    program.child.kill("SIGSTOP");
    await live("no");
    program.child.kill("SIGCONT");
    await live("yes");
    page.mayFail = false;
  });
  await check("live: a hub that ends is told, and one that is back is live without a reload", page, async () => {
    page.mayFail = true;
    await page.evaluate(() => (window.sameDocument = true));
    await program.end("SIGKILL");
    await live("no");
    await page.locator("#live-text", { hasText: /^not live since \d\d:\d\d:\d\d/ }).waitFor();
    await accessible(page, "not live");
    await shot(page, "not-live");
    program = await hub({ server: program.tunnels, ops: program.ops });
    await live("yes");
    await until("four are Alive", async () => (await count("Alive")) === "4", 30_000);
    equal(await page.evaluate(() => window.sameDocument), true, "the same document");
    await agents.get("edge-2").end("SIGTERM");
    await row("edge-2").locator(".v.Left").waitFor();
  });
  await page.context().close();
  await Promise.all([program, ...agents.values()].map((one) => one.end()));
}

/** A new page, and never the mouse. */
async function keyboard(before, program, _names) {
  const page = await before.context().newPage();
  await page.goto(program.url);
  await page.locator("#rows .name").first().waitFor();
  const focused = () => page.evaluate(() => document.activeElement.id || document.activeElement.textContent);
  await page.keyboard.press("Tab");
  equal(await focused(), "Skip to the agents", "the first stop");
  const visible = await page.evaluate(() => document.activeElement.getBoundingClientRect().top >= 0 && getComputedStyle(document.activeElement).outlineStyle);
  equal(visible, "solid", "the skip link is seen");
  await page.keyboard.press("Enter");
  await page.keyboard.press("ArrowDown");
  equal(await focused(), await page.locator("#rows .name").first().textContent(), "the first agent");
  await page.keyboard.press("ArrowDown");
  const second = await page.locator("#rows .name").nth(1).textContent();
  equal(await focused(), second, "the second agent");
  await page.keyboard.press("Enter");
  await page.getByRole("dialog", { name: second }).waitFor();
  for (let stop = 0; stop < 8; stop += 1) {
    await page.keyboard.press("Tab");
    const inside = await page.evaluate(() => document.activeElement === document.body || Boolean(document.activeElement.closest("dialog")));
    ensure(inside, "the focus stays in the dialog");
  }
  await page.keyboard.press("Escape");
  await page.getByRole("dialog").waitFor({ state: "hidden" });
  equal(await focused(), second, "the focus is back");
  await page.keyboard.press("/");
  equal(await focused(), "search", "the search");
  await page.keyboard.type("edge-2");
  await until("only the one", async () => (await page.locator("#rows tr").count()) === 1);
  await page.keyboard.press("Escape");
  await until("all", async () => (await page.locator("#rows tr").count()) === 4);
  await page.keyboard.press("Shift+Tab");
  await page.keyboard.press("Space");
  ensure((await page.locator('#counts [aria-pressed="true"]').count()) === 1, "a count is pressed by the keyboard");
  await page.close();
}
