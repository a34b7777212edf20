// The README's picture: a small fleet to which something has happened.

import { agent, end, file, hub, open, until } from "./support.mjs";

/** Workspace, name, and what its sync engine says of itself. */
const FLEET = [
  ["root:prod:eu", "frankfurt-1", "0", "queue 12 deep"],
  ["root:prod:eu", "frankfurt-2", "0", "queue 3 deep"],
  ["root:prod:eu", "dublin-1", "1", "queue 1480 deep, 1000 are allowed"],
  ["root:prod:us", "oregon-1", "0", "queue 7 deep"],
  ["root:prod:us", "oregon-2", "2", "62 % of the syncs fail"],
  ["root:prod:us", "virginia-1", "0", "queue 0 deep"],
  ["root:prod:us", "virginia-2", "0", "queue 31 deep"],
  ["root:staging", "lab-1", "0", "queue 0 deep"],
];

/** Expected, and never started. */
const NEVER = ["root:prod:ap", "sydney-1"];

try {
  const tokens = [...FLEET, NEVER].map(([workspace, name]) => `"${workspace}/${name}": "token-of-${name}"\n`);
  const program = await hub({ more: `auth: { tokenFile: '${file(tokens.join(""))}' }\n` });
  const agents = new Map();
  for (const [workspace, name, code, said] of FLEET) {
    const components = `
checks:
  components:
    - { name: sync-engine, interval: 1s, exec: { command: [sh, -c, 'echo "$0"; exit ${code}', '${said}'] } }
    - { name: api-syncagent, interval: 1s, exec: { command: [sh, -c, 'echo ready'] } }
`;
    agents.set(name, agent(program.tunnels, name, components, { workspace, token: `token-of-${name}` }));
  }
  const page = await open(program.url, { viewport: { width: 1180, height: 720 } });
  const count = (verdict, n) => until(`${n} ${verdict}`, async () => (await page.locator(`#counts .${verdict} .n`).textContent()) === String(n));
  await count("Alive", FLEET.length);
  await agents.get("frankfurt-2").end("SIGKILL");
  await agents.get("lab-1").end("SIGTERM");
  await count("Lost", 1);
  await count("Left", 1);
  await page.locator("#rows tr.is-Lost").waitFor();
  await page.getByText("62 % of the syncs fail").waitFor();
  // So that what has changed just now is not marked any more.
  await page.emulateMedia({ reducedMotion: "reduce" });
  await page.screenshot({ path: process.env.PICTURE });
} finally {
  await end();
}
