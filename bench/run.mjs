// `npm run bench -- NAME`: one bench, a file of this folder each, or the `main.mjs` of a folder.
import { existsSync, readdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const SHARED = ["run.mjs", "load.mjs", "marks.mjs", "plain.mjs", "servers.mjs"];
const here = dirname(fileURLToPath(import.meta.url));
const benches = new Map();
for (const file of readdirSync(here)) {
  if (existsSync(join(here, file, "main.mjs"))) benches.set(file, `./${file}/main.mjs`);
  else if (file.endsWith(".mjs") && !SHARED.includes(file)) {
    benches.set(file.slice(0, -".mjs".length), `./${file}`);
  }
}

const [name] = process.argv.slice(2);
if (benches.has(name)) await import(benches.get(name));
else {
  console.error(
    `Usage: npm run bench -- NAME, where NAME is one of ${[...benches.keys()].join(", ")}`,
  );
  process.exitCode = 2;
}
