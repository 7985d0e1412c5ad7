#!/usr/bin/env node
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

import { load } from "../runtime/load.mjs";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const { main } = await load("cli/stele.ts", join(root, "build/cli"));

const interrupted = new AbortController();
process.once("SIGINT", () => interrupted.abort());
process.once("SIGTERM", () => interrupted.abort());
// `stele logs app | head` closes our output before we are done: that is no fault.
process.stdout.on("error", () => process.exit(0));

process.exitCode = await main(process.argv.slice(2), {
  root,
  env: process.env,
  isTty: process.stdout.isTTY === true,
  columns: () => process.stdout.columns ?? 80,
  write: (text) => process.stdout.write(text),
  complain: (text) => process.stderr.write(text),
  now: Date.now,
  signal: interrupted.signal,
});
