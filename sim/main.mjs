// npm run explore [-- STATES], npm run sim [-- --seed N | --minutes N]: see README.md.
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

import { load } from "../runtime/load.mjs";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const [command, ...argv] = process.argv.slice(2);
const { main } = await load(`sim/${command}-command.ts`, join(root, `build/sim-${command}`));
try {
  process.exitCode = main(argv, console.log) ? 0 : 1;
} catch (error) {
  console.error(error.message);
  process.exitCode = 1;
}
