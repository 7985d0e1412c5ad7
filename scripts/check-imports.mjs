// The import rules of .dependency-cruiser.cjs, and that something was cruised at all: a tool that reads
// no module also finds no violation.
import { spawnSync } from "node:child_process";

const MIN_MODULES = 50;
const { stdout, stderr, status } = spawnSync(
  "node_modules/.bin/depcruise",
  ["--config", ".dependency-cruiser.cjs", "--output-type", "err", "--progress", "none", "."],
  { encoding: "utf8", env: { ...process.env, NO_COLOR: "1" } },
);
const modules = Number(/(\d+) modules/.exec(stdout)?.[1] ?? 0);
if (status !== 0 || modules < MIN_MODULES) {
  console.log(stdout, stderr);
  if (modules < MIN_MODULES)
    console.log(`Only ${modules} modules were read: expected at least ${MIN_MODULES}`);
  process.exitCode = 1;
}
