// npm run explore [-- STATES]: looks at that many states of the move protocol, ten million unless told.
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

import { load } from "../runtime/load.mjs";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const { main } = await load("sim/explore-command.ts", join(root, "build/sim"));
process.exitCode = main(process.argv.slice(2), console.log) ? 0 : 1;
