// Cores, processes and folders of this bench.
import { spawn, spawnSync } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync } from "node:fs";
import { createServer } from "node:net";
import { availableParallelism, homedir } from "node:os";
import { join } from "node:path";

/** What is built or fetched once stays here; nothing of it is in the repository. */
export const CACHE = process.env.STELE_BENCH_CACHE ?? join(homedir(), ".cache", "stele-bench");
mkdirSync(CACHE, { recursive: true });

const SERVER_CORE = "0";
const CLIENT_CORE = "1";
export const ANY_CORE = "";
const canPin = availableParallelism() > 1 && spawnSync("taskset", ["-c", "0", "true"]).status === 0;

/** Where two workers can have a core each, and who asks them too; undefined where there are too few. */
export const two =
  canPin && availableParallelism() >= 4 ? { server: "0,1", clients: ["2", "3"] } : undefined;

export const cores = canPin
  ? `each server on core ${SERVER_CORE}, the client on core ${CLIENT_CORE}`
  : "servers and client share what cores there are: no taskset, or one core";

/** On any core where there is none to keep to. */
function pinned(core, [command, ...args]) {
  return canPin && core !== ANY_CORE
    ? ["taskset", ["-c", core, command, ...args]]
    : [command, args];
}

/** Processes that end with this one, whatever ends it. */
const running = new Set();
process.once("exit", () => {
  for (const child of running) child.kill("SIGKILL");
});
for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => process.exit(1));

/** Starts a server on its core; `stop` resolves when it has ended. What it says is in `said()`. */
export function startServer(command, { core = SERVER_CORE, ...options } = {}) {
  const child = spawn(...pinned(core, command), {
    stdio: ["ignore", "pipe", "pipe"],
    ...options,
  });
  let said = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.on("data", (chunk) => (said = (said + chunk).slice(-4_000)));
  }
  running.add(child);
  const ended = new Promise((resolve) => {
    child.once("error", resolve);
    child.once("exit", resolve);
  }).then(() => running.delete(child));
  return {
    pid: child.pid,
    said: () => said.trimEnd(),
    isRunning: () => running.has(child),
    stop: () => {
      child.kill("SIGTERM");
      const late = setTimeout(() => child.kill("SIGKILL"), 10_000);
      return ended.then(() => clearTimeout(late));
    },
  };
}

/** The output of the client on its core; throws with what it said when it fails. */
export async function runClient(command, core = CLIENT_CORE) {
  const child = spawn(...pinned(core, command), { stdio: ["ignore", "pipe", "pipe"] });
  running.add(child);
  let output = "";
  let fault = "";
  child.stdout.on("data", (chunk) => (output += chunk));
  child.stderr.on("data", (chunk) => (fault += chunk));
  const code = await new Promise((resolve) => child.once("close", resolve));
  running.delete(child);
  if (code !== 0) throw new Error(fault.trim() || `the client ended with ${code}`);
  return output;
}

function parentOf(pid) {
  const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
  return Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1]);
}

/** A process and all that descend from it. None where the system has no /proc. */
export function family(pid) {
  const children = new Map();
  let entries = [];
  try {
    entries = readdirSync("/proc").filter((name) => /^\d+$/.test(name));
  } catch {
    return [];
  }
  for (const name of entries) {
    try {
      const parent = parentOf(name);
      children.set(parent, [...(children.get(parent) ?? []), Number(name)]);
    } catch {
      // It has ended meanwhile.
    }
  }
  const found = [pid];
  for (const one of found) found.push(...(children.get(one) ?? []));
  return found;
}

/** Memory of processes in octets; what they share counts once. */
export function memoryOf(pids) {
  let kib = 0;
  for (const pid of pids) {
    try {
      const text = readFileSync(`/proc/${pid}/smaps_rollup`, "latin1");
      kib += Number(/^Pss:\s+(\d+) kB$/m.exec(text)?.[1] ?? 0);
    } catch {
      return Number.NaN;
    }
  }
  return kib * 1024;
}

/** Free for TCP now, and so as a rule for UDP. */
export async function freePort() {
  const server = createServer();
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}
