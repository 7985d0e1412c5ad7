// From a commit in `clusters` to the answer of each name server, under load. `--seconds N`, `--rate N` changes
// a second, `--load N` queries a second in all, `--instances N`, `--json FILE`.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";

import { installClient } from "../dns/install.mjs";
import { ANY_CORE, family, runClient } from "../dns/place.mjs";
import { percentile } from "../move/figures.mjs";
import { Asker } from "./asker.mjs";
import { cpuOf } from "./cpu.mjs";
import { startAll, ZONE } from "./processes.mjs";
import { addressOf, History, Watch } from "./watch.mjs";
import { make, nameOf, OWNER, seed } from "./writer.mjs";

const GOAL_MS = 10;
/** Repls that stay where they are, whose names the load asks for, and repls that move. */
const STILL = 1_000;
const MOVING = 50;
/** Each so many-th change is a new repl. */
const CREATE_EVERY = 5;
const SOCKETS_A_SERVER = 4;
/** The client sleeps between its queries: cores are few, and what it measures is not its own time. */
const REST_US = 100;
const WARM_UP_S = 2;
const SETTLE_MS = 10_000;

function readOptions() {
  const { values } = parseArgs({
    args: process.argv.slice(3),
    options: {
      seconds: { type: "string", default: "8" },
      rate: { type: "string", default: "50" },
      load: { type: "string", default: "50000" },
      instances: { type: "string", default: "3" },
      json: { type: "string" },
    },
  });
  const number = (name) => {
    const value = Number(values[name]);
    if (value >= 0) return value;
    throw new Error(`Cannot read --${name} "${values[name]}": expected a number`);
  };
  return {
    seconds: number("seconds"),
    rate: number("rate"),
    load: number("load"),
    instances: number("instances"),
    json: values.json,
  };
}

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const hostOf = (name) => `${nameOf(name)}.${OWNER}.${ZONE}`;

async function startLoad({ client, folder, rate, seconds, listening, pids }) {
  if (rate === 0) return undefined;
  const namesFile = join(folder, "names");
  const lines = Array.from(
    { length: STILL },
    (_, at) => `${hostOf(MOVING + at)} ${addressOf(1)}\n`,
  );
  writeFileSync(namesFile, lines.join(""));
  const servers = listening.flatMap(({ host, port }) => ["--server", `${host}:${port}`]);
  const numbers = { sockets: SOCKETS_A_SERVER * listening.length, rate, rest: REST_US };
  const times = { seconds, "warm-up": WARM_UP_S };
  const options = Object.entries({ ...numbers, ...times }).flatMap(([key, value]) => [
    `--${key}`,
    String(value),
  ]);
  const command = [client, "paced", ...servers, "--names", namesFile, "--pids", pids, ...options];
  return JSON.parse(await runClient(command, ANY_CORE));
}

/** Makes changes at a steady pace for some seconds; those that come late are made all the same. */
async function makeChanges({ sql, history, askers, rate, seconds }) {
  const begin = performance.now();
  const commits = [];
  for (let at = 0; at < rate * seconds; at++) {
    const due = begin + (at * 1_000) / rate;
    const early = due - performance.now();
    if (early > 0) await pause(early);
    const isNew = at % CREATE_EVERY === CREATE_EVERY - 1;
    const change = history.begin(isNew ? history.counts.length : at % MOVING);
    const seq = await make(sql, change, () => {
      change.at = performance.now();
      for (const asker of askers) asker.wake();
    });
    commits.push({ seq, ms: performance.now() - change.at });
  }
  return { commits, took: performance.now() - begin };
}

/** What the registry of instances says of the last change. */
async function waitForAll(api, seq) {
  const askedAt = performance.now();
  const route = `/v1/dns/instances?seq=${seq}&wait=all&waitMs=10000`;
  const { everywhere, missing, items } = await api(route);
  return { everywhere, missing, instances: items.length, waitedMs: performance.now() - askedAt };
}

async function untilSeen(askers) {
  const end = performance.now() + SETTLE_MS;
  while (askers.some(({ watch }) => watch.pending) && performance.now() < end) await pause(5);
}

function figuresOf(values) {
  return {
    p50: percentile(values, 50),
    p99: percentile(values, 99),
    longest: Math.max(...values),
  };
}

const ms = (value) => `${value.toFixed(1)} ms`;
const row = (name, { p50, p99, longest }) =>
  console.log(
    `  ${name.padEnd(30)}${ms(p50).padStart(10)}${ms(p99).padStart(10)}${ms(longest).padStart(10)}`,
  );

async function measure(options, folder, all) {
  const { sql, servers, listening, api, postgresPid } = all;
  // What stays still is not changed, but has its numbers; new names get those behind them.
  const history = new History(MOVING + STILL);
  const askers = listening.map(() => new Asker(new Watch(history), hostOf));
  await Promise.all(askers.map((asker, at) => asker.start(listening[at], MOVING + STILL - 1)));
  const notified = [];
  await sql.listen("placement_log", (seq) => notified.push([Number(seq), performance.now()]));
  const processes = [
    ...servers.map(({ name, pid }) => [name, pid]),
    ["PostgreSQL", postgresPid],
    ["this bench", process.pid],
  ];
  const { client } = options;
  const pids = servers.slice(1).map(({ pid }) => pid);
  const seconds = options.seconds + 1;
  const loading = startLoad({
    client,
    folder,
    rate: options.load,
    seconds,
    listening,
    pids: pids.join(","),
  });
  loading.catch(() => {});
  if (options.load > 0) await pause(WARM_UP_S * 1_000);
  const before = cpuOf(processes, family);
  const { commits, took } = await makeChanges({ ...options, sql, history, askers });
  const after = cpuOf(processes, family);
  await untilSeen(askers);
  const load = await loading;
  const registry = await waitForAll(api, commits.at(-1).seq);
  for (const asker of askers) asker.stop();
  const { changes } = history;
  const bySeq = new Map(commits.map(({ seq }, at) => [seq, changes[at]]));
  return {
    changes: changes.length,
    instances: askers.map(({ watch }) => ({
      ages: watch.seenAt.map((at, index) => at - changes[index].at),
      unseen: changes.length - watch.seenAt.length,
      answers: watch.answers,
      older: watch.older,
    })),
    perSecond: (changes.length * 1_000) / took,
    commit: commits.map((one) => one.ms),
    notified: notified.flatMap(([seq, at]) => (bySeq.has(seq) ? [at - bySeq.get(seq).at] : [])),
    cpu: Object.fromEntries(
      processes.map(([name]) => [name, (after[name] - before[name]) / (took * 1_000)]),
    ),
    load,
    registry,
  };
}

function print(options, found) {
  const { instances, load } = found;
  console.log(
    `\n  ${"from before the commit to".padEnd(30)}${"p50".padStart(10)}${"p99".padStart(10)}${"longest".padStart(10)}`,
  );
  row("the end of the commit", figuresOf(found.commit));
  if (found.notified.length > 0) row("its notification", figuresOf(found.notified));
  for (const [at, { ages }] of instances.entries()) {
    if (ages.length > 0) row(`the answer of 127.0.0.${at + 1}`, figuresOf(ages));
  }
  const ages = instances.flatMap((one) => one.ages);
  const every = found.instances[0].ages.map((_, at) =>
    Math.max(...instances.map((one) => one.ages[at] ?? Number.POSITIVE_INFINITY)),
  );
  row("the answer of the last one", figuresOf(every));
  const sum = (key) => instances.reduce((total, one) => total + one[key], 0);
  console.log(
    `\n  ${found.changes} changes, ${found.perSecond.toFixed(0)}/s; ${sum("answers")} answers looked at, ${sum("older")} older than one before, ${sum("unseen")} changes never seen`,
  );
  if (load) {
    const lost = Math.max(0, 1 - load.replies / load.sent);
    console.log(
      `  load: ${(load.sent / load.seconds / 1_000).toFixed(1)}k of ${options.load / 1_000}k queries/s sent, ${(lost * 100).toFixed(2)} % lost, ${load.wrong} wrong, p50 ${(load.p50 / 1_000).toFixed(2)} ms, p99 ${(load.p99 / 1_000).toFixed(2)} ms`,
    );
  }
  const cpu = Object.entries(found.cpu).map(
    ([name, share]) => `${name} ${(share * 100).toFixed(0)} %`,
  );
  console.log(`  processors: ${cpu.join(", ")}`);
  const { registry } = found;
  console.log(
    `  ?wait=all: ${registry.everywhere ? "all" : `all but ${registry.missing.join(", ")}`} of ${registry.instances}, after ${registry.waitedMs.toFixed(1)} ms`,
  );
  const p99 = percentile(ages, 99);
  console.log(
    `\n  p99 ${ms(p99)}: the goal of ${GOAL_MS} ms is ${p99 <= GOAL_MS ? "met" : "missed"}`,
  );
  return { p99, isRight: sum("older") === 0 && sum("unseen") === 0 && (load?.wrong ?? 0) === 0 };
}

const options = { ...readOptions(), client: installClient() };
console.log(
  `${options.instances} name servers, ${options.load} queries/s in all, ${options.rate} changes/s for ${options.seconds} s; ${availableParallelism()} cores for all`,
);
const folder = mkdtempSync(join(tmpdir(), "stele-freshness-"));
try {
  const fill = (sql) => seed(sql, MOVING + STILL);
  const all = await startAll({ folder, instances: options.instances, fill });
  try {
    const found = await measure(options, folder, all);
    const { p99, isRight } = print(options, found);
    if (options.json) writeFileSync(options.json, `${JSON.stringify({ p99, ...found })}\n`);
    if (!isRight) process.exitCode = 1;
  } finally {
    await all.stop();
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
