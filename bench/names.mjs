// What many names cost the name server: its start from the database and from its file, its memory, a change.
// `--names 1000000`, `--rrsets 100000` (0: none), `--rounds 3`, `--json FILE`.
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";

import { load } from "../runtime/load.mjs";
import { firstAnswer } from "./dns/load.mjs";
import { ZONE } from "./dns/names.mjs";
import { ANY_CORE, family, freePort, memoryOf, startServer } from "./dns/place.mjs";
import { prepareStele } from "./dns/stele.mjs";

const READY_MS = 600_000;
/** Garbage of the start is collected by then, and its file is written. */
const SETTLED_MS = 5_000;
const LOOK_EVERY_MS = 100;
/** Beside so few, a change among many is to cost the same. */
const FEW = 1_000;
const CHANGES = 10_000;
const LOADED_A_TIME = 1_000;
/** Of /proc/PID/stat, behind the name: user time, then system time, in hundredths of a second. */
const UTIME = 11;
const TICK_MS = 10;

const seconds = (ms) => `${(ms / 1000).toFixed(2)} s`;
const mib = (octets) => `${(octets / 2 ** 20).toFixed(1)} MiB`;
const median = (values) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];

function readOptions() {
  const { values } = parseArgs({
    args: process.argv.slice(3),
    options: {
      names: { type: "string", default: "1000000" },
      rrsets: { type: "string", default: "100000" },
      rounds: { type: "string", default: "3" },
      json: { type: "string" },
    },
  });
  const number = (name) => {
    const value = Number(values[name]);
    if (Number.isInteger(value) && value >= 0) return value;
    throw new Error(`Cannot read --${name} "${values[name]}": expected a number`);
  };
  const [names, rrsets, rounds] = ["names", "rrsets", "rounds"].map(number);
  return { names, rrsets, rounds, jsonFile: values.json };
}

/** Processor time of a process so far; what the machine does beside it is not in it. */
function processorOf(pid) {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return (Number(fields[UTIME]) + Number(fields[UTIME + 1])) * TICK_MS;
  } catch {
    return Number.NaN;
  }
}

/** When a line of the log was written, and what it says; undefined while it is not there. */
function logged(said, message) {
  const line = said.split("\n").findLast((one) => one.includes(`"message":"${message}"`));
  if (line === undefined) return undefined;
  const fields = JSON.parse(line);
  return { ...fields, at: Date.parse(fields.time) };
}

/** A process until its first right answer, where that time went, and what it then holds. */
async function startOnce(stele, folder) {
  const [port, apiPort, metricsPort] = [await freePort(), await freePort(), await freePort()];
  const ports = { port, apiPort, metricsPort };
  const { command, env, cwd } = stele.command({ folder, ...ports, settings: {} });
  const at = Date.now();
  const startedAt = performance.now();
  const server = startServer(command, { core: ANY_CORE, cwd, env: { ...process.env, ...env } });
  try {
    await firstAnswer({ ...server, port }, READY_MS);
    const firstMs = performance.now() - startedAt;
    const cpuMs = processorOf(server.pid);
    const loaded = logged(server.said(), "the names are loaded");
    const file = env.STELE_DNS_SNAPSHOT;
    while (!existsSync(file) && server.isRunning()) await sleep(LOOK_EVERY_MS);
    await sleep(SETTLED_MS);
    const memory = memoryOf(family(server.pid));
    const bootMs = loaded.at - loaded.ms - at;
    const restMs = firstMs - bootMs - loaded.ms;
    const from = loaded.from;
    const octets = statSync(file).size;
    return { from, firstMs, cpuMs, bootMs, loadMs: loaded.ms, restMs, memory, octets };
  } finally {
    await server.stop();
  }
}

function printStart(what, { from, firstMs, cpuMs, bootMs, loadMs, restMs, memory }) {
  const parts = `runtime ${seconds(bootMs)}, names from the ${from} ${seconds(loadMs)}, log and sockets ${seconds(restMs)}`;
  const processor = `${seconds(cpuMs)} of processor`;
  console.log(`${what.padEnd(34)}${seconds(firstMs)}   ${parts}; ${processor}   ${mib(memory)}`);
}

/** From the database, and from the file when that is away. */
async function measureStarts(folder, { names, rrsets, rounds }) {
  const stele = await prepareStele(folder);
  const own = join(folder, "process");
  try {
    await stele.fill(1);
    await startOnce(stele, own); // What is built at the first start of all.
    const base = await startOnce(stele, own);
    printStart("1 name", base);
    await stele.empty();
    await stele.fill(names);
    const starts = [];
    for (let round = 0; round < rounds; round++) {
      rmSync(own, { recursive: true });
      starts.push(await startOnce(stele, own));
      printStart(`${names} names`, starts.at(-1));
    }
    const withRrsets = rrsets > 0 ? await startWithRrsets(stele, own, rrsets) : undefined;
    await stele.stop();
    const fromFile = await startOnce(stele, own);
    printStart("the same, without the database", fromFile);
    return { base, starts, withRrsets, fromFile };
  } catch (error) {
    await stele.stop();
    throw error;
  }
}

async function startWithRrsets(stele, own, rrsets) {
  await stele.addRrsets(rrsets);
  const start = await startOnce(stele, own);
  printStart(`and ${rrsets} RRsets by API`, start);
  return start;
}

const replOf = (n, generation) => {
  const [owner, id] = [`user${Math.floor(n / 10)}`, `r${n.toString(36).padStart(11, "0")}`];
  const clusterId = ["east", "west", "north"][(n + generation) % 3];
  return { kind: "repl", id, name: `app${n % 10}`, owner, clusterId, generation };
};

function memoryWith({ Memory }, count) {
  const memory = new Memory({ platformZone: ZONE, validationZone: "", hashKey: [1, 2] });
  for (let from = 0; from < count; from += LOADED_A_TIME) {
    const size = Math.min(LOADED_A_TIME, count - from);
    const changes = Array.from({ length: size }, (_, at) => replOf(from + at, 1));
    memory.apply({ changes, seq: from + size });
  }
  memory.catalog.platform.settle();
  return memory;
}

/** Moves of repls all over the table, one batch each, into memory and into lines of the file. */
function moveAll(memory, lines, count, generation) {
  const before = process.cpuUsage();
  let length = 0;
  for (let change = 0; change < CHANGES; change++) {
    const n = (change * 7_919) % count;
    const batch = { changes: [replOf(n, generation)], seq: change };
    memory.apply(batch);
    for (const line of lines.batch(batch)) length += line.length;
  }
  const { user, system } = process.cpuUsage(before);
  return { us: (user + system) / CHANGES, octets: length / CHANGES };
}

async function measureChanges({ names, rounds }) {
  const built = join(import.meta.dirname, "..", "build", "bench");
  const [{ Memory }, { JournalWriter }] = [
    await load("dns/core/memory.ts", built),
    await load("dns/core/journal.ts", built),
  ];
  const counts = [FEW, names];
  const memories = counts.map((count) => memoryWith({ Memory }, count));
  const { octets } = memories[1].catalog.platform.table;
  console.log(`the table: ${(octets / names).toFixed(1)} octets a repl, which has three names`);
  const runs = counts.map(() => []);
  for (let round = 0; round <= 2 * rounds; round++) {
    for (const [at, memory] of memories.entries()) {
      const run = moveAll(memory, new JournalWriter(), counts[at], round + 2);
      if (round > 0) runs[at].push(run);
    }
  }
  const [few, many] = runs.map((of) => median(of.map(({ us }) => us)));
  console.log(
    `a move: ${few.toFixed(2)} µs of processor among ${FEW} names, ${many.toFixed(2)} among ${names}: ` +
      `${(many / few).toFixed(2)} times; ${Math.round(runs[1][0].octets)} octets in the file`,
  );
  return { tableOctetsARepl: octets / names, few, many, ratio: many / few };
}

async function run(options) {
  const folder = mkdtempSync(join(tmpdir(), "stele-bench-"));
  try {
    const starts = await measureStarts(folder, options);
    const { base, starts: all, withRrsets, fromFile } = starts;
    const { names, rrsets } = options;
    const grown = median(all.map(({ memory }) => memory)) - base.memory;
    console.log(`the process: ${(grown / names).toFixed(0)} octets a repl more than with one`);
    console.log(`the file: ${(fromFile.octets / names).toFixed(0)} octets a repl`);
    if (withRrsets) {
      const more = withRrsets.memory - median(all.map(({ memory }) => memory));
      console.log(`the process: ${(more / rrsets).toFixed(0)} octets an RRset`);
    }
    const changes = await measureChanges(options);
    if (options.jsonFile) {
      writeFileSync(options.jsonFile, `${JSON.stringify({ options, starts, changes }, null, 2)}\n`);
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

try {
  await run(readOptions());
  process.exit(0);
} catch (error) {
  console.error(`Cannot measure: ${error.stack}`);
  process.exit(1);
}
