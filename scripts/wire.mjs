// npm run wire -- --server ADDRESS:PORT: see dns/conformance/README.md.
import { load } from "../runtime/load.mjs";

const { main } = await load("dns/conformance/wire-command.ts", "build/wire");
try {
  process.exitCode = (await main(process.argv.slice(2), console.log)) ? 0 : 1;
} catch (error) {
  console.error(error.message);
  process.exitCode = 1;
}
