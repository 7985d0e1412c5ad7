// A small typed endpoint through the gateway, beside node:http, in turns in one run.
import { cores, load, median, startApp, startPlain } from "./servers.mjs";

const CONNECTIONS = [1, 32, 256];
const ROUNDS = 3;
const WARM_UP = { connections: 32, seconds: 2, path: "/v1/hello/ada" };

const servers = {
  "node:http": await startPlain(),
  "gateway, no request logs": await startApp({ ENCORE_LOG: "error" }),
  "gateway, request logs to a file": await startApp({ ENCORE_LOG: "info" }),
};

console.log(`GET /v1/hello/:name, ${cores}; the middle of ${ROUNDS} rounds of 1 s, in turns\n`);
for (const server of Object.values(servers)) await load(server, WARM_UP);
for (const connections of CONNECTIONS) {
  const runs = Object.fromEntries(Object.keys(servers).map((name) => [name, []]));
  for (let round = 0; round < ROUNDS; round++) {
    for (const [name, server] of Object.entries(servers)) {
      runs[name].push(await load(server, { ...WARM_UP, connections, seconds: 1 }));
    }
  }
  const plain = median(runs["node:http"]);
  for (const [name, results] of Object.entries(runs))
    print(name, connections, median(results), plain);
}
for (const server of Object.values(servers)) await server.stop();

function print(name, connections, { rps, p50, p99, cpu }, plain) {
  const figures = [
    name.padEnd(32),
    `c=${connections}`.padEnd(6),
    `${Math.round(rps).toLocaleString("en")} requests/s`.padStart(18),
    `p50 ${p50.toFixed(2)} ms`.padStart(16),
    `p99 ${p99.toFixed(2)} ms`.padStart(16),
    `${(rps / plain.rps).toFixed(2)} of node:http`.padStart(20),
    `${cpu.toFixed(0)} µs of processor each`.padStart(28),
  ];
  console.log(figures.join(""));
}
