// Ten thousand agents that tokens name and nobody has heard of, some with hostile names.

import { accessible, check, ensure, equal, file, fits, hub, open, shot, until } from "./support.mjs";

const MANY = 10_000;
const HOSTILE = [`<img src=x onerror="window.hacked=1">`, `"><script>window.hacked=1<\u2215script>`, "javascript:window.hacked=1"];

/** So many elements are enough for a page of a hundred agents. */
const ELEMENTS_MAX = 4000;

export async function fleetOfMany() {
  const names = Array.from({ length: MANY }, (_, i) => `edge-${String(i).padStart(5, "0")}`);
  const lines = [...names.map((name) => `root:org:many/${name}`), ...HOSTILE.map((name) => `root:<b>/${name}`)];
  const tokens = file(lines.map((target, i) => `${JSON.stringify(target)}: token-${i}\n`).join(""));
  const program = await hub({ more: `auth: { tokenFile: '${tokens}' }\n` });
  const all = MANY + HOSTILE.length;
  const page = await open(program.url);

  await check("many: 10,000 agents are shown soon and by a bounded number of elements", page, async () => {
    const began = Date.now();
    await page.reload();
    await page.locator("#range", { hasText: `1–100 of ${all.toLocaleString("en-GB")}` }).waitFor();
    // The wait itself is bounded; a tighter bound would judge the machine, so the time is told.
    const took = Date.now() - began;
    const elements = await page.evaluate(() => document.querySelectorAll("*").length);
    ensure(elements < ELEMENTS_MAX, `${elements} elements`);
    equal(await page.locator("#rows tr").count(), 100, "rows");
    console.log(`        ${took} ms, ${elements} elements`);
    await shot(page, "many");
  });
  await check("many: pages follow each other without a gap, and back again", page, async () => {
    await page.getByLabel("Sort by").selectOption("name");
    const first = page.locator("#rows .name").first();
    await page.locator("#rows .name", { hasText: "edge-00000" }).waitFor();
    await page.getByRole("button", { name: "Next" }).click();
    await page.locator("#range", { hasText: "101–200 of" }).waitFor();
    equal(await first.textContent(), "edge-00097", "the first of the second page, behind three others");
    await page.getByRole("button", { name: "Previous" }).click();
    await page.locator("#range", { hasText: "1–100 of" }).waitFor();
    await page.getByLabel("Sort by").selectOption("verdict");
  });
  await check("many: hostile names are text, wherever they are shown", page, async () => {
    await page.getByLabel("Search workspace and name").fill("hacked");
    await page.locator("#range", { hasText: "1–3 of 3" }).waitFor();
    const shown = await page.locator("#rows .name").allTextContents();
    equal([...shown].sort(), [...HOSTILE].sort(), "the names");
    for (const name of HOSTILE) {
      await page.locator("#rows .name", { hasText: name }).click();
      await page.locator("#detail-verdict .v").waitFor();
      equal(await page.locator("#detail-name").textContent(), name, "the detail's title");
      equal(await page.locator("#detail-workspace").textContent(), "root:<b>", "the detail's workspace");
      await page.keyboard.press("Escape");
    }
    equal(await page.locator("main img, dialog img, main script, dialog script").count(), 0, "elements that a name made");
    equal(await page.evaluate(() => window.hacked), undefined, "a name's script");
    await page.getByRole("button", { name: "Clear filters" }).click();
  });
  await check("many: the first page is accessible, and fits a phone", page, async () => {
    await page.locator("#range", { hasText: "1–100 of" }).waitFor();
    await accessible(page, "many");
    await page.setViewportSize({ width: 360, height: 740 });
    await fits(page, 360, "many");
    await page.setViewportSize({ width: 1280, height: 800 });
  });

  /** A while after the start all of them are lost at once. */
  async function finish() {
    await check("many: when all are lost at once the page stays small and says so", page, async () => {
      await page.locator("#doubt").waitFor({ timeout: 120_000 });
      await accessible(page, "the doubt");
      await until("all are lost", async () => (await page.locator("#counts .Lost .n").textContent()) === all.toLocaleString("en-GB"), 150_000);
      await page.locator("#rows tr.is-Lost").first().waitFor();
      await page.locator("#doubt").waitFor({ state: "hidden" });
      ensure((await page.locator("#recent li").count()) <= 50, "the timeline is bounded");
      const elements = await page.evaluate(() => document.querySelectorAll("*").length);
      ensure(elements < ELEMENTS_MAX, `${elements} elements`);
      await until("live", () => page.locator('#live[data-live="yes"]').count());
      await page.getByRole("button", { name: /^Pending/ }).click();
      await page.getByText("No agent is like that.").waitFor();
      await accessible(page, "nobody");
    });
    await page.context().close();
    await program.end();
  }
  return { finish };
}
