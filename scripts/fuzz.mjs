// npm run fuzz -- dns: mutated packets to the name server's answerer.
import { load } from "../runtime/load.mjs";

const [what, ...argv] = process.argv.slice(2);
try {
  if (what !== "dns") throw new Error(`Cannot fuzz "${what ?? ""}": expected dns`);
  const { main } = await load("dns/fuzz/fuzz-command.ts", "build/fuzz");
  process.exitCode = main(argv, console.log) ? 0 : 1;
} catch (error) {
  console.error(error.message);
  process.exitCode = 1;
}
