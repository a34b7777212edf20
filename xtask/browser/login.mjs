// Who has no token sees the form and nothing else.

import { accessible, check, ensure, equal, file, fits, hub, open, shot, until } from "./support.mjs";

const TOKEN = "l00k-at-the-fleet";

export async function login() {
  const tokens = file(`"root:org:secret/edge-secret": s3cr3t\n`);
  const program = await hub({ opsToken: file(`${TOKEN}\n`), more: `auth: { tokenFile: '${tokens}' }\n` });
  const page = await open(program.url);
  // What the form answers to a wrong token is an error to the console too.
  page.mayFail = true;

  await check("login: without a token there is a form and no data", page, async () => {
    await page.getByLabel("Token").waitFor();
    const html = await page.content();
    ensure(!html.includes("edge-secret") && !html.includes("<script"), "the form has data or a script");
    equal(await page.evaluate(() => document.activeElement.id), "token", "the focus");
  });
  await check("login: the form is accessible, light and dark, and fits a phone", page, async () => {
    await accessible(page, "the login");
    await page.setViewportSize({ width: 360, height: 740 });
    await fits(page, 360, "the login");
    await shot(page, "login-phone");
    await page.setViewportSize({ width: 1280, height: 800 });
  });
  await check("login: a wrong token is told and lets nobody in", page, async () => {
    await page.getByLabel("Token").fill("wrong");
    await page.getByLabel("Token").press("Enter");
    await page.getByRole("alert").getByText("That is not the token.").waitFor();
    equal((await page.context().cookies()).length, 0, "cookies after a wrong token");
    await accessible(page, "the refused login");
    await shot(page, "login-refused");
  });
  await check("login: the right token shows the fleet, and no script can read the cookie", page, async () => {
    await page.getByLabel("Token").fill(TOKEN);
    await page.getByRole("button", { name: "Log in" }).click();
    await page.getByRole("button", { name: "edge-secret" }).waitFor();
    const [cookie] = await page.context().cookies();
    equal([cookie.httpOnly, cookie.sameSite, cookie.path], [true, "Strict", "/"], "the cookie");
    ensure(!cookie.value.includes(TOKEN), "the cookie is the token");
    equal(await page.evaluate(() => document.cookie), "", "document.cookie");
    await until("live", () => page.locator('#live[data-live="yes"]').count());
  });
  await check("login: who logs out sees the form again, and so does every other page", page, async () => {
    const other = await page.context().newPage();
    other.mayFail = true;
    await other.goto(program.url);
    await other.getByRole("button", { name: "edge-secret" }).waitFor();
    await page.getByRole("button", { name: "Log out" }).click();
    await page.getByLabel("Token").waitFor();
    await other.getByLabel("Token").waitFor();
    ensure(!(await other.content()).includes("edge-secret"), "data is left");
  });
  await page.context().close();
  await program.end();
}
