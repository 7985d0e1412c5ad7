#!/usr/bin/env node
// Runs the Encore application in this folder: `npx stele-runtime`.
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

import { load } from "./load.mjs";

const repository = dirname(dirname(fileURLToPath(import.meta.url)));
try {
  const { main } = await load("runtime/command.ts", join(repository, "build", "runtime"));
  await main(process.argv.slice(2), process.cwd());
} catch (error) {
  console.error(error.message);
  process.exit(error.exitCode ?? 1);
}
