// A raw answer of unknown length, in two chunks on kept-alive connections, beside node:http. A server
// that leaves Nagle's algorithm on waits for the client's delayed acknowledgement: 40 ms an answer.
import { cores, load, startApp, startPlain } from "./servers.mjs";

const servers = {
  "node:http": await startPlain(),
  "raw endpoint": await startApp({ ENCORE_LOG: "error" }),
};
console.log(`GET /raw/chunks, one connection, ${cores}\n`);
for (const [name, server] of Object.entries(servers)) {
  const asked = { connections: 1, path: "/raw/chunks" };
  await load(server, { ...asked, seconds: 1 });
  const { rps, p50, p99 } = await load(server, { ...asked, seconds: 2 });
  console.log(
    `${name.padEnd(14)}${Math.round(rps)} answers/s, p50 ${p50.toFixed(2)} ms, p99 ${p99.toFixed(2)} ms`,
  );
}
for (const server of Object.values(servers)) await server.stop();
