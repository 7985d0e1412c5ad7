// Answers a second, and what each costs, beside other name servers: the same names, the same queries, in
// turns. `--only udp,tcp,latency,workers,memory`, `--servers NAME,…`, `--seconds N`, `--rounds N`, `--names N`,
// `--json FILE`.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { cpus, tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";

import { installClient } from "./install.mjs";
import { measure, measureBy, medians, PARTS } from "./load.mjs";
import { writeNames, writeZone } from "./names.mjs";
import { cores, memoryOf, two } from "./place.mjs";
import { printMemory, printPart, printWorkers } from "./print.mjs";
import { startServers } from "./servers.mjs";

const ALL_PARTS = [...Object.keys(PARTS), "workers", "memory"];

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

/** Rounds of all servers in turns: the middle figures of each, without those that answered wrongly. */
async function inTurns(servers, rounds, measureOne) {
  const runs = new Map();
  for (let round = 0; round < rounds; round++) {
    for (const server of servers.filter(({ fault }) => !fault)) {
      try {
        const figures = await measureOne(server);
        runs.set(server.name, [...(runs.get(server.name) ?? []), figures]);
      } catch (error) {
        server.fault = error.message;
        runs.delete(server.name);
      }
    }
  }
  return Object.fromEntries([...runs].map(([name, of]) => [name, medians(of)]));
}

async function runPart(part, { servers }, tools, { seconds, rounds }) {
  const asked = servers.filter(({ isFloor }) => part !== "tcp" || !isFloor);
  const figures = await inTurns(asked, rounds, (server) => measure(tools, server, part, seconds));
  printPart(part, figures);
  return figures;
}

async function runWorkers({ servers, twoWorkers }, tools, { seconds, rounds }) {
  const [one] = servers;
  if (!twoWorkers) return undefined;
  const clients = two?.clients ?? [undefined];
  const figures = await inTurns([one, twoWorkers], rounds, (server) =>
    measureBy(clients, tools, server, seconds),
  );
  printWorkers(figures, { one: one.name, two: twoWorkers.name, isMeasured: two !== undefined });
  return figures;
}

function runMemory({ servers, emptyOctets }, names) {
  const measured = servers.filter(({ fault, isFloor }) => !fault && !isFloor);
  const figures = Object.fromEntries(
    measured.map(({ name, pids, startMs }) => [name, { octets: memoryOf(pids), startMs }]),
  );
  printMemory(figures, { names, emptyOctets });
  return { ...figures, emptyOctets };
}

async function run(options) {
  const { parts, names, seconds, rounds, jsonFile } = options;
  const folder = mkdtempSync(join(tmpdir(), "stele-bench-"));
  const tools = { folder, namesFile: join(folder, "names"), zoneFile: join(folder, "zone") };
  const running = [];
  try {
    tools.client = installClient();
    writeNames(tools.namesFile, names);
    writeZone(tools.zoneFile, names);
    console.log(`${names} names; ${cores}; ${cpus()[0]?.model}`);
    const started = await startServers(options, tools, (server) => running.push(server));
    const results = {};
    // Memory before the load, which leaves garbage that is nobody's names.
    if (parts.includes("memory")) results.memory = runMemory(started, names);
    for (const part of Object.keys(PARTS).filter((one) => parts.includes(one))) {
      results[part] = await runPart(part, started, tools, options);
    }
    if (parts.includes("workers")) results.workers = await runWorkers(started, tools, options);
    const faults = running.filter(({ fault }) => fault).map(({ name, fault }) => [name, fault]);
    for (const [name, fault] of faults) console.log(`not measured: ${name}: ${fault}`);
    if (jsonFile) {
      const all = { names, seconds, rounds, cores, results, faults: Object.fromEntries(faults) };
      writeFileSync(jsonFile, `${JSON.stringify(all, null, 2)}\n`);
    }
  } finally {
    await Promise.all(running.map(({ stop }) => stop()));
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
