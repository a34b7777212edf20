// What the checks share: programs on loopback, a browser that reaches nothing else, axe.

import { spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readFileSync } from "node:fs";
import { chromium } from "playwright-core";

const PROGRAM = required("SYNCER_HEALTH_BIN");
const CHROMIUM = required("CHROMIUM_BIN");
export const SCREENSHOTS = required("SCREENSHOTS");

/** Longer than any check waits for something that comes. In milliseconds. */
export const PATIENCE = 20_000;

const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

const folder = mkdtempSync(join(tmpdir(), "syncer-health-browser-"));
const running = new Set();
let files = 0;

function required(name) {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set; run cargo xtask browser`);
  return value;
}

// --- checks ---

const results = { passed: 0, failed: 0 };
let current = null;

/** Runs one check; a failure is told, with a screenshot of `page`, and the rest goes on. */
export async function check(name, page, run) {
  const began = Date.now();
  current = name;
  try {
    await run();
    results.passed += 1;
    console.log(`ok      ${name} (${Date.now() - began} ms)`);
  } catch (error) {
    results.failed += 1;
    console.log(`FAILED  ${name}\n${indent(error.stack ?? String(error))}`);
    if (page) await shot(page, `failed-${results.failed}`).catch(() => {});
  }
  current = null;
}

export function summary() {
  console.log(`${results.passed} passed, ${results.failed} failed`);
  return results.failed === 0;
}

/** Counts as a failure what happened outside of any check. */
export function failed(what) {
  results.failed += 1;
  console.log(`FAILED  ${current ?? "outside of a check"}: ${what}`);
}

export function equal(found, expected, what) {
  const [a, b] = [JSON.stringify(found), JSON.stringify(expected)];
  if (a !== b) throw new Error(`${what}: ${a} instead of ${b}`);
}

export function ensure(holds, what) {
  if (!holds) throw new Error(what);
}

/** Looks again and again until `look` finds something that is true. */
export async function until(what, look, patience = PATIENCE) {
  const began = Date.now();
  for (;;) {
    const found = await look();
    if (found) return found;
    if (Date.now() - began > patience) throw new Error(`not within ${patience} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

function indent(text) {
  return text.replace(/^/gm, "        ");
}

// --- programs ---

/** A program that was started, and what it logged. */
class Program {
  constructor(args) {
    this.log = "";
    // With the path and nothing else, so that no setting of whoever runs this changes anything.
    this.child = spawn(PROGRAM, args, { env: { PATH: process.env.PATH }, stdio: ["ignore", "ignore", "pipe"] });
    this.child.stderr.on("data", (bytes) => (this.log = (this.log + bytes).slice(-100_000)));
    this.ended = new Promise((resolve) => this.child.on("exit", resolve));
    running.add(this);
    this.ended.then(() => running.delete(this));
  }

  /** The address that the log tells behind `field`. */
  async address(field) {
    const found = await until(`${field}= in the log:\n${this.log}`, () => this.log.match(new RegExp(`${field}=(\\S+)`)));
    return found[1];
  }

  async end(signal = "SIGKILL") {
    this.child.kill(signal);
    await this.ended;
  }
}

export function file(text) {
  files += 1;
  const path = join(folder, `file-${files}`);
  writeFileSync(path, text);
  return path;
}

/** A hub; `ops` and `server` say where, `more` is the rest of its configuration. */
export async function hub({ server = "127.0.0.1:0", ops = "127.0.0.1:0", opsToken = "", more = "" } = {}) {
  const token = opsToken ? `, tokenFile: '${opsToken}'` : "";
  const config = file(`server: { bind: '${server}' }\nops: { bind: '${ops}'${token} }\n${more}`);
  const program = new Program(["hub", "--config", config]);
  program.tunnels = await program.address("tunnels");
  program.ops = await program.address("ops");
  program.url = `http://${program.ops}/`;
  return program;
}

/** An agent with beats of 1 s and a timeout of 3 s; `components` are YAML. */
export function agent(tunnels, name, components = "", { workspace = "root:org:edge", token = "" } = {}) {
  const tokenFile = token ? `, tokenFile: '${file(token)}'` : "";
  const config = file(`
syncTarget: { name: '${name}', workspace: '${workspace}' }
server: { bind: '127.0.0.1:0', drainDelay: 0s }
heartbeat:
  interval: 1s
  timeout: 3s
  websocket: { url: 'ws://${tunnels}/tunnel'${tokenFile} }
${components}`);
  return new Program(["run", "--config", config]);
}

// --- the browser ---

const profile = join(folder, "profile");
mkdirSync(SCREENSHOTS, { recursive: true });

const browser = await chromium.launch({
  executablePath: CHROMIUM,
  headless: true,
  args: [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    `--disk-cache-dir=${join(profile, "cache")}`,
    // No name is ever looked up: what is not on loopback cannot be reached.
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",
  ],
});

/** A page of its own; whatever goes wrong in it, or leaves loopback, is a failure. */
export async function open(url, options = {}) {
  const context = await browser.newContext({
    viewport: { width: 1280, height: 800 },
    locale: "en-GB",
    timezoneId: "UTC",
    colorScheme: "light",
    ...options,
  });
  const page = await context.newPage();
  page.setDefaultTimeout(PATIENCE);
  page.mayFail = false;
  page.on("pageerror", (error) => failed(`an error in the page: ${error.stack ?? error}`));
  page.on("console", (message) => {
    if (message.type() === "error" && !page.mayFail) failed(`the console says: ${message.text()}`);
  });
  page.on("dialog", (dialog) => failed(`a dialog opened: ${dialog.message()}`));
  page.on("request", (request) => {
    const { protocol, hostname } = new URL(request.url());
    if (protocol !== "data:" && hostname !== "127.0.0.1") failed(`the page asked ${request.url()}`);
  });
  await page.goto(url);
  return page;
}

/** What axe finds wrong with what is shown now, in both colour schemes. */
export async function accessible(page, what) {
  for (const colorScheme of ["light", "dark"]) {
    await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
    await page.evaluate(AXE);
    const found = await page.evaluate(() => globalThis.axe.run(document));
    const told = found.violations.flatMap((violation) =>
      violation.nodes.map((node) => `${violation.id}: ${violation.help}\n  ${node.html}\n  ${node.failureSummary}`),
    );
    ensure(found.passes.length > 10, `${what}, ${colorScheme}: axe looked at too little`);
    ensure(told.length === 0, `${what}, ${colorScheme}: axe reports\n${told.join("\n")}`);
    const shown = await page.evaluate(() => getComputedStyle(document.body).backgroundColor);
    const dark = Number(shown.match(/\d+/)[0]) < 128;
    equal(dark, colorScheme === "dark", `${what} follows the colour scheme ${colorScheme}`);
  }
  await page.emulateMedia({ colorScheme: "light", reducedMotion: "no-preference" });
}

export async function shot(page, name) {
  await page.screenshot({ path: join(SCREENSHOTS, `${name}.png`) });
}

/** Nothing can be scrolled sideways. */
export async function fits(page, width, what) {
  const widths = await page.evaluate(() => [document.documentElement.scrollWidth, document.querySelector("dialog[open]")?.scrollWidth ?? 0]);
  ensure(Math.max(...widths) <= width, `${what} is ${widths} wide on ${width}`);
}

/** Ends what was started, each by itself. */
export async function end() {
  await browser.close();
  await Promise.all([...running].map((program) => program.end()));
  rmSync(folder, { recursive: true, force: true });
}
