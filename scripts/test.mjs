// `npm test`: unit, integration and end-to-end tests. `npm run test:full`: what takes longer than
// that, and the end-to-end tests again on the three processes of `npm run split`.
// Further arguments go to Vitest: `npm test -- dns/core`.
import { spawnSync } from "node:child_process";

const [first, ...rest] = process.argv.slice(2);
const full = first === "--full";
const filters = full ? rest : process.argv.slice(2);
const projects = full ? ["full", "split"] : ["unit", "integration", "e2e"];

function node(...args) {
  return spawnSync(process.execPath, args, { stdio: "inherit" }).status ?? 1;
}

process.exitCode =
  node("scripts/generate.mjs") ||
  node(
    "node_modules/vitest/vitest.mjs",
    "run",
    ...projects.flatMap((project) => ["--project", project]),
    "--reporter=dot",
    "--reporter=./scripts/closing-line-reporter.mjs",
    ...filters,
  );
