// The page of the hub as people meet it: a real hub, real agents, a real browser.
//
// Each file checks one side of it; the last line says how many checks passed and failed.

import { end, failed, summary } from "./support.mjs";
import { fleetOfMany } from "./many.mjs";
import { liveFleet } from "./live.mjs";
import { login } from "./login.mjs";

try {
  // The many are expected and lost a minute and a half later, so they start first.
  const many = await fleetOfMany();
  await login();
  await liveFleet();
  await many.finish();
} catch (error) {
  failed(error.stack ?? error);
} finally {
  await end();
}
process.exitCode = summary() ? 0 : 1;
