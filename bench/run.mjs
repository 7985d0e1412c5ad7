// `npm run bench -- NAME`: one bench, a file of this folder each.
import { readdirSync } from "node:fs";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";

const SHARED = ["run.mjs", "load.mjs", "marks.mjs", "plain.mjs", "servers.mjs"];
const here = dirname(fileURLToPath(import.meta.url));
const benches = readdirSync(here)
  .filter((file) => file.endsWith(".mjs") && !SHARED.includes(file))
  .map((file) => file.slice(0, -".mjs".length));

const [name] = process.argv.slice(2);
if (benches.includes(name)) await import(`./${name}.mjs`);
else {
  console.error(`Usage: npm run bench -- NAME, where NAME is one of ${benches.join(", ")}`);
  process.exitCode = 2;
}
