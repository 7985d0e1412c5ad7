// Writes encore.gen for the application in this repository and prints what is wrong with it.
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { load } from "../runtime/load.mjs";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const { generateFromSource } = await load(
  "runtime/generate-command.ts",
  join(root, "build", "scripts"),
);
const { written, faults } = await generateFromSource(root);
for (const path of written) console.log(`wrote encore.gen/${path}`);
for (const fault of faults) console.error(fault);
process.exitCode = faults.length === 0 ? 0 : 1;
