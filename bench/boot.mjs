// Boot of this repository's own application, warm (bundles are up to date), with a PostgreSQL that runs
// already. From the start of the process to its last phase, which is that the API listens.
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

import { load } from "../runtime/load.mjs";

const path = (name) => fileURLToPath(new URL(name, import.meta.url));
const STARTS = 7;

const state = mkdtempSync(join(tmpdir(), "stele-bench-"));
const { startTestPostgres } = await load("runtime/postgres/test-postgres.ts", join(state, "load"));
const postgres = await startTestPostgres();
const { socketDir, username, password } = postgres.config("postgres");

async function freePort() {
  const server = createServer();
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}

const env = {
  ...process.env,
  STELE_DIR: join(state, "stele"),
  STELE_API_LISTEN: `127.0.0.1:${await freePort()}`,
  STELE_DNS_LISTEN: `127.0.0.1:${await freePort()}`,
  BENCH_MARKS: join(state, "marks.json"),
  DATABASE_URL: `postgres://${username}:${password}@${encodeURIComponent(socketDir)}/postgres`,
};

/** Milliseconds until the process said that it listens, and from its own start to each phase's end. */
async function start() {
  const startedAt = performance.now();
  const preload = ["--import", path("marks.mjs")];
  const child = spawn(process.execPath, [...preload, path("../laptop/start.mjs"), "--bare"], {
    env,
    stdio: ["ignore", "pipe", "inherit"],
  });
  const ended = new Promise((resolve) => child.once("exit", resolve));
  for await (const line of createInterface({ input: child.stdout })) {
    if (line.startsWith("API at")) break;
  }
  const ms = performance.now() - startedAt;
  child.kill("SIGTERM");
  await ended;
  return { ms, marks: JSON.parse(readFileSync(env.BENCH_MARKS, "utf8")) };
}

const cold = await start();
console.log(`cold, bundles are made: ${Math.round(cold.ms)} ms`);
const warm = [];
for (let count = 0; count < STARTS; count++) warm.push(await start());
warm.sort((a, b) => a.ms - b.ms);
const middle = warm[Math.floor(STARTS / 2)];
const best = Math.round(warm[0].ms);
console.log(
  `warm: median ${Math.round(middle.ms)} ms of ${STARTS}, best ${best} ms; of the median`,
);
for (const [name, ms] of middle.marks)
  console.log(`  ${String(Math.round(ms)).padStart(5)} ms  ${name}`);
await postgres.stop();
rmSync(state, { recursive: true });
