// Visitors of every kind at apps that go A→B→A→C and back, on several processes that are killed
// meanwhile, then on one. `--seconds N`, `--rate N`, `--seed N`; `--processes one|three` for one of the two,
// `--verbose` for a line about each move. What the platform said is then in build/move-load.log.
import { spawn } from "node:child_process";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import { load } from "../../runtime/load.mjs";

const SECONDS = { three: 210, one: 60 };
const WANTED = {
  three: { rounds: 2, small: 100_000, large: 20 },
  one: { rounds: 1, small: 10_000, large: 2 },
};
const AT_ALL = { rounds: 1, small: 1, large: 1 };
const DEFAULTS = { seed: 1, rate: 540 };
const UPLOAD_BYTES = 50_000_000;

function option(args, name) {
  const at = args.indexOf(`--${name}`);
  return at < 0 ? undefined : args[at + 1];
}

/** Each in a process of its own: what the platform runs as is read from the environment. */
export async function run(args) {
  const only = option(args, "processes");
  for (const processes of only === undefined ? ["three", "one"] : [only]) {
    if (!(processes in SECONDS)) {
      throw new Error(`Cannot run on "${processes}" processes: expected one or three`);
    }
    const env = { ...process.env, STELE_E2E: processes === "three" ? "split" : "" };
    const child = spawn(process.execPath, [fileURLToPath(import.meta.url), processes, ...args], {
      env,
      stdio: "inherit",
    });
    const code = await new Promise((resolve) => child.once("exit", resolve));
    if (code !== 0) process.exitCode = 1;
  }
}

async function main([processes, ...args]) {
  const number = (name) => Number(option(args, name) ?? DEFAULTS[name]);
  const seconds = Number(option(args, "seconds") ?? SECONDS[processes]);
  const built = join("build", "bench");
  const { runLoad } = await load("bench/move/load.ts", built);
  const { render } = await load("bench/move/load-print.ts", built);
  console.log(
    processes === "three"
      ? "\ncontrol, east, west and north: a process each, killed in turn\n"
      : "\nall in one process, which is not killed\n",
  );
  const result = await runLoad({
    seed: number("seed"),
    seconds,
    smallPerSecond: number("rate"),
    atMostSeconds: 2 * seconds,
    wanted: seconds < SECONDS[processes] ? AT_ALL : WANTED[processes],
    uploadBytes: UPLOAD_BYTES,
    ...(args.includes("--verbose") && { tell: console.error }),
  });
  console.log(render(result));
  return result.failed === 0 ? 0 : 1;
}

if (process.argv[1] === fileURLToPath(import.meta.url))
  process.exit(await main(process.argv.slice(2)));
