// Moves of the whole platform on loopback. `--only NAME` runs one part: a file of this folder that
// exports `run(args)`.
const PARTS = { hold: () => import("./hold.mjs"), load: () => import("./load.mjs") };

const args = process.argv.slice(3);
const at = args.indexOf("--only");
const only = at < 0 ? undefined : args.splice(at, 2)[1];
if (only !== undefined && !(only in PARTS)) {
  console.error(`Cannot run "${only}": --only takes one of ${Object.keys(PARTS).join(", ")}`);
  process.exit(2);
}
for (const [name, part] of Object.entries(PARTS)) {
  if (only !== undefined && only !== name) continue;
  console.log(`${name}:`);
  const { run } = await part();
  await run(args);
}
process.exit(process.exitCode ?? 0);
