// Starts what is measured, and the load on it, each on a core of its own where the system has taskset.
import { spawn, spawnSync } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

const path = (name) => fileURLToPath(new URL(name, import.meta.url));
const SERVER_CORE = 0;
const LOAD_CORE = 1;

const canPin = availableParallelism() > 1 && spawnSync("taskset", ["-c", "0", "true"]).status === 0;

export const cores = canPin
  ? `server on core ${SERVER_CORE}, load on core ${LOAD_CORE}`
  : "server and load share what cores there are: no taskset, or one core";

function start(core, args, options = {}) {
  const [command, rest] = canPin
    ? ["taskset", ["-c", String(core), process.execPath, ...args]]
    : [process.execPath, args];
  return spawn(command, rest, { stdio: ["ignore", "pipe", "inherit"], ...options });
}

/** The application in `__tests__/app`, in a copy, on the embedded runtime, without a database. */
export async function startApp(env) {
  const root = mkdtempSync(join(tmpdir(), "stele-bench-"));
  cpSync(path("__tests__/app"), root, { recursive: true });
  symlinkSync(path("../node_modules"), join(root, "node_modules"));
  const args = [path("../runtime/__tests__/run-app.mjs"), root, "127.0.0.1:0"];
  const { address, pid, stop } = await startServer([...nodeOptions(), ...args], {
    ENCORE_LOG_FILE: join(root, "log"),
    ...env,
  });
  return {
    address,
    pid,
    stop: async () => {
      await stop();
      rmSync(root, { recursive: true });
    },
  };
}

export function startPlain() {
  return startServer([path("plain.mjs")], {});
}

/** To profile: BENCH_NODE_OPTIONS="--cpu-prof --cpu-prof-dir=profile". */
function nodeOptions() {
  return (process.env.BENCH_NODE_OPTIONS ?? "").split(" ").filter((option) => option !== "");
}

async function startServer(args, env) {
  const child = start(SERVER_CORE, args, { env: { ...process.env, ...env } });
  const ended = new Promise((resolve) => child.once("exit", resolve));
  for await (const line of createInterface({ input: child.stdout })) {
    const address = /^ready (\S+)$/.exec(line)?.[1];
    if (address === undefined) throw new Error(`Cannot start ${args.join(" ")}: ${line}`);
    const stop = () => {
      child.kill("SIGTERM");
      return ended;
    };
    return { address, pid: child.pid, stop };
  }
  throw new Error(`Cannot start ${args.join(" ")}: it ended`);
}

/** The load of `connections` on one path of a server: { count, rps, p50, p99, cpu }. */
export async function load({ address, pid }, { connections, seconds, path: target }) {
  const args = [path("load.mjs"), address, String(connections), String(seconds), target];
  const before = cpuUs(pid);
  const child = start(LOAD_CORE, args);
  let output = "";
  for await (const chunk of child.stdout) output += chunk;
  const figures = JSON.parse(output);
  return { ...figures, cpu: (cpuUs(pid) - before) / figures.count };
}

/** Linux counts processor time in ticks of 10 ms. */
const TICK_US = 10_000;

/** Processor time that a process has used, in microseconds; NaN where the system does not tell. */
function cpuUs(pid) {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return (Number(fields[11]) + Number(fields[12])) * TICK_US;
  } catch {
    return Number.NaN;
  }
}

/** The middle one of several runs, by requests a second. */
export function median(runs) {
  return runs.toSorted((a, b) => a.rps - b.rps)[Math.floor(runs.length / 2)];
}
