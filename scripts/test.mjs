// `npm test`: unit, integration and end-to-end tests. `npm run test:full`: what takes longer than
// that, and the end-to-end tests again on the three processes of `npm run split`.
// Further arguments go to Vitest: `npm test -- dns/core`.
import { spawn, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const [first, ...rest] = process.argv.slice(2);
const full = first === "--full";
const filters = full ? rest : process.argv.slice(2);
/** What is in one step runs side by side; end-to-end tests measure, and are alone. */
const steps = full
  ? [["full"], ["split"]]
  : [["unit", "integration 1/2", "integration 2/2"], ["e2e"]];
const dir = mkdtempSync(join(tmpdir(), "stele-tests-"));
const counts = { passed: 0, failed: 0, skipped: 0 };

/** Resolves with the exit code; adds what was counted. Each shard has a Postgres of its own. */
function run(part) {
  const [project, shard] = part.split(" ");
  const file = join(dir, part.replace("/", " of "));
  const args = [
    "node_modules/vitest/vitest.mjs",
    "run",
    "--passWithNoTests",
    `--project=${project}`,
    ...(shard ? [`--shard=${shard}`] : []),
    "--reporter=dot",
    "--reporter=./scripts/closing-line-reporter.mjs",
    ...filters,
  ];
  const env = { ...process.env, STELE_TEST_COUNTS: file };
  return new Promise((resolve) => {
    spawn(process.execPath, args, { stdio: "inherit", env }).on("close", (code) => {
      const own = existsSync(file) ? JSON.parse(readFileSync(file, "utf8")) : { failed: 1 };
      for (const [what, count] of Object.entries(own)) counts[what] += count;
      resolve(code ?? 1);
    });
  });
}

let failed = spawnSync(process.execPath, ["scripts/generate.mjs"], { stdio: "inherit" }).status;
if (failed === 0) {
  for (const step of steps) {
    const codes = await Promise.all(step.map(run));
    failed ||= Math.max(...codes);
  }
}
rmSync(dir, { recursive: true });
const { STELE_TEST_COUNTS: file } = process.env;
if (file) writeFileSync(file, JSON.stringify(counts));
console.log(`${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped`);
process.exitCode = failed;
