// A call between two services of one process, with the decoding that a call between processes has.
import { startApp } from "./servers.mjs";

/** Each of a thousand calls, one after the other. */
const WARM_UP_ROUNDS = 20;
const ROUNDS = 50;

const app = await startApp({ ENCORE_LOG: process.env.ENCORE_LOG ?? "error" });

/** Mean microseconds of a call, in each round. */
async function measure(rounds) {
  const body = JSON.stringify({ rounds });
  const response = await fetch(`http://${app.address}/v1/calls`, { method: "POST", body });
  return response.json();
}

function print(what, figures) {
  const sorted = figures.toSorted((a, b) => a - b);
  const at = (share) => sorted[Math.floor(sorted.length * share)].toFixed(1);
  console.log(`${what.padEnd(16)}median ${at(0.5)} µs, best ${at(0)} µs, p90 ${at(0.9)} µs`);
}

await measure(WARM_UP_ROUNDS);
const { us, cpuUs } = await measure(ROUNDS);
console.log("a call to another service of the same process");
print("time", us);
print("processor time", cpuUs);
await app.stop();
