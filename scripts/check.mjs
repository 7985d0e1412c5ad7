// The static checks, in parallel: types, lint, format, imports, dead code. `npm run check`.
import { spawn } from "node:child_process";

const bin = (name) => `node_modules/.bin/${name}`;

/** @type {Array<[string, string, string[]]>} */
const checks = [
  ["types", bin("tsc"), ["-p", "tsconfig.check.json"]],
  ["types of the cores", bin("tsc"), ["-p", "tsconfig.core.json"]],
  ["lint", bin("oxlint"), ["--type-aware", "--quiet"]],
  ["format", bin("oxfmt"), ["--check"]],
  ["imports", "node", ["scripts/check-imports.mjs"]],
  ["dead code", bin("knip"), ["--no-progress"]],
];

function run([name, command, args]) {
  const startedAt = performance.now();
  return new Promise((resolve) => {
    const child = spawn(command, args, { stdio: ["ignore", "pipe", "pipe"] });
    let output = "";
    child.stdout.on("data", (chunk) => (output += chunk));
    child.stderr.on("data", (chunk) => (output += chunk));
    child.on("error", (error) => resolve({ name, ok: false, output: String(error), ms: 0 }));
    child.on("close", (code) => {
      resolve({ name, ok: code === 0, output, ms: Math.round(performance.now() - startedAt) });
    });
  });
}

/** ~encore/clients must exist before types can be checked. */
const generated = await run(["encore.gen", "node", ["scripts/generate.mjs"]]);
const results = generated.ok ? [generated, ...(await Promise.all(checks.map(run)))] : [generated];
for (const { name, ok, output, ms } of results) {
  console.log(`${ok ? "ok    " : "FAILED"} ${name} (${(ms / 1000).toFixed(1)} s)`);
  if (!ok) console.log(output.trimEnd());
}
const failed = results.filter(({ ok }) => !ok).length;
console.log(`${results.length - failed} checks passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;
