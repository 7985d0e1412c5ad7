// Writes encore.gen for the application in this repository and prints what is wrong with it.
import { mkdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { build } from "esbuild";

const runtime = dirname(fileURLToPath(import.meta.url));
const root = dirname(runtime);
const outfile = join(root, ".stele", "build", "generate.mjs");
mkdirSync(dirname(outfile), { recursive: true, mode: 0o700 });
await build({
  entryPoints: [join(runtime, "generate-command.ts")],
  outfile,
  bundle: true,
  platform: "node",
  format: "esm",
  target: "node20",
  packages: "external",
  logLevel: "error",
});
const { generateFromSource } = await import(pathToFileURL(outfile).href);
const { written, faults } = generateFromSource(root);
for (const path of written) console.log(`wrote encore.gen/${path}`);
for (const fault of faults) console.error(fault);
process.exitCode = faults.length === 0 ? 0 : 1;
