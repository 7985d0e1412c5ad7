// npm run split: control, east and west as three processes on this machine, in the foreground.
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

import { load, requireNode } from "../runtime/load.mjs";

requireNode();
const root = dirname(dirname(fileURLToPath(import.meta.url)));
try {
  const { main } = await load("laptop/split.ts", join(root, "build", "laptop"));
  await main(process.argv.slice(2), root);
} catch (error) {
  console.error(error.message);
  process.exit(error.exitCode ?? 1);
}
