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
  return (await response.json()).us.toSorted((a, b) => a - b);
}

await measure(WARM_UP_ROUNDS);
const us = await measure(ROUNDS);
const at = (share) => us[Math.floor(us.length * share)].toFixed(1);
console.log(`a call to another service: median ${at(0.5)} µs, best ${at(0)} µs, p90 ${at(0.9)} µs`);
await app.stop();
