// Answers a second, and what each costs, beside other name servers: the same names, the same queries, in
// turns. `--only udp,tcp,latency,memory`, `--servers NAME,…`, `--seconds N`, `--rounds N`, `--names N`, `--json FILE`.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { cpus, tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";

import { installClient } from "./install.mjs";
import { check, firstAnswer, measure, medians, PARTS } from "./load.mjs";
import { writeNames, writeZone } from "./names.mjs";
import { PEERS } from "./peers.mjs";
import { cores, family, freePort, memoryOf, startServer } from "./place.mjs";
import { printMemory, printPart } from "./print.mjs";
import { prepareStele } from "./stele.mjs";

const OURS = [
  { name: "Stele, batched", settings: { STELE_DNS_UDP: "batched" } },
  { name: "Stele, portable", settings: { STELE_DNS_UDP: "portable" } },
];
const ALL_PARTS = [...Object.keys(PARTS), "memory"];
/** The slowest peer reads 10⁶ names in half a minute on a quiet machine. */
const READY_MS = 180_000;

function readOptions() {
  const { values } = parseArgs({
    args: process.argv.slice(3),
    options: {
      json: { type: "string" },
      seconds: { type: "string", default: "5" },
      rounds: { type: "string", default: "3" },
      names: { type: "string", default: "1000000" },
      only: { type: "string", default: ALL_PARTS.join(",") },
      servers: { type: "string", default: "" },
    },
  });
  const number = (name) => {
    const value = Number(values[name]);
    if (value > 0) return value;
    throw new Error(`Cannot read --${name} "${values[name]}": expected a number above 0`);
  };
  const parts = values.only.split(",");
  const wrong = parts.find((part) => !ALL_PARTS.includes(part));
  if (wrong !== undefined) {
    throw new Error(`Cannot run "${wrong}": --only takes some of ${ALL_PARTS.join(",")}`);
  }
  const wanted = values.servers.split(",").filter((name) => name !== "");
  return {
    parts,
    isWanted: (name) => wanted.length === 0 || wanted.some((one) => name.includes(one)),
    jsonFile: values.json,
    seconds: number("seconds"),
    rounds: number("rounds"),
    names: number("names"),
  };
}

/** A server that answers, or the reason why it is not measured. */
async function up(peer, process, tools) {
  const server = { ...peer, ...process, address: `127.0.0.1:${process.port}`, pids: [] };
  const startedAt = performance.now();
  try {
    await firstAnswer(server, READY_MS);
    server.startMs = performance.now() - startedAt;
    server.pids = family(process.pid);
    if (!peer.isFloor) await check(tools, server);
    console.log(`  ${peer.name}: first answer after ${(server.startMs / 1000).toFixed(1)} s`);
  } catch (error) {
    server.fault = error.message;
  }
  return server;
}

async function startPeer(peer, tools) {
  const folder = join(tools.folder, peer.name.replaceAll(/\W+/g, "-"));
  mkdirSync(folder);
  const port = await freePort();
  const { namesFile, zoneFile } = tools;
  try {
    const command = peer.command({ folder, port, namesFile, zoneFile });
    const process_ = startServer(command, { env: { ...process.env, ...peer.env } });
    return await up(peer, { ...process_, port }, tools);
  } catch (error) {
    return { ...peer, fault: error.message, stop: async () => {} };
  }
}

async function startOurs(one, stele, tools) {
  const folder = join(tools.folder, one.name.replaceAll(/\W+/g, "-"));
  const [port, apiPort] = [await freePort(), await freePort()];
  const { settings } = one;
  const { command, env, cwd } = stele.command({ folder, port, apiPort, settings });
  const started = startServer(command, { cwd, env: { ...process.env, ...env } });
  return up({ ...one, isOurs: true }, { ...started, port, apiPort }, tools);
}

/** One after the other, since each is busy at its start. */
async function startAll(options, tools) {
  const servers = [];
  const ours = OURS.filter(({ name }) => options.isWanted(name));
  if (ours.length > 0) {
    tools.stele = await prepareStele(tools.folder);
    await tools.stele.fill(options.names);
    for (const one of ours) servers.push(await startOurs(one, tools.stele, tools));
  }
  for (const peer of PEERS.filter(({ name }) => options.isWanted(name))) {
    servers.push(await startPeer(peer, tools));
  }
  return servers;
}

async function runPart(part, servers, tools, { seconds, rounds }) {
  const runs = new Map();
  for (let round = 0; round < rounds; round++) {
    for (const server of servers) {
      if (server.fault || (server.isFloor && part === "tcp")) continue;
      try {
        const figures = await measure(tools, server, part, seconds);
        runs.set(server.name, [...(runs.get(server.name) ?? []), figures]);
      } catch (error) {
        server.fault = error.message;
        runs.delete(server.name);
      }
    }
  }
  return Object.fromEntries([...runs].map(([name, of]) => [name, medians(of)]));
}

const memoryPart = (servers) =>
  Object.fromEntries(
    servers
      .filter(({ fault, isFloor }) => !fault && !isFloor)
      .map(({ name, pids, startMs }) => [name, { octets: memoryOf(pids), startMs }]),
  );

async function run(options) {
  const folder = mkdtempSync(join(tmpdir(), "stele-bench-"));
  const tools = { folder, namesFile: join(folder, "names"), zoneFile: join(folder, "zone") };
  let servers = [];
  try {
    tools.client = installClient();
    writeNames(tools.namesFile, options.names);
    writeZone(tools.zoneFile, options.names);
    console.log(`${options.names} names; ${cores}; ${cpus()[0]?.model}`);
    servers = await startAll(options, tools);
    const results = {};
    for (const part of options.parts) {
      if (part === "memory") printMemory((results.memory = memoryPart(servers)), options.names);
      else printPart(part, (results[part] = await runPart(part, servers, tools, options)));
    }
    const faults = servers.filter(({ fault }) => fault).map(({ name, fault }) => [name, fault]);
    for (const [name, fault] of faults) console.log(`not measured: ${name}: ${fault}`);
    if (options.jsonFile) {
      const { names, seconds, rounds } = options;
      const all = { names, seconds, rounds, cores, results, faults: Object.fromEntries(faults) };
      writeFileSync(options.jsonFile, `${JSON.stringify(all, null, 2)}\n`);
    }
  } finally {
    await Promise.all(servers.map(({ stop }) => stop()));
    await tools.stele?.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}

try {
  await run(readOptions());
  process.exit(0);
} catch (error) {
  console.error(`Cannot measure: ${error.message}`);
  process.exit(1);
}
