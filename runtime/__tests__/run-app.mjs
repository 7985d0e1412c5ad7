// Runs the application in the folder given as an argument, as boot does, but without a database; the
// third argument has more of the infra config.
import { writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { bundle, load } from "../load.mjs";

const [root, listen, more = "{}"] = process.argv.slice(2);
const state = join(root, ".stele");
// Processes of one application share the rest.
const infra = join(state, `infra-${process.pid}.json`);
const { loadModel } = await load("runtime/analyze/cache.ts", state);
const { generate } = await load("runtime/generate.ts", state);
const { bundleApp } = await load("runtime/bundle.ts", state);
const model = await loadModel(root, join(state, "model-cache.json"));
generate(root, model);
const native = await bundle({
  entry: "runtime/native.ts",
  outfile: join(state, "native.cjs"),
  format: "cjs",
});
const app = await bundleApp(root, state);
writeFileSync(join(state, "model.json"), JSON.stringify(model));
writeFileSync(infra, JSON.stringify({ graceful_shutdown: { total: 5 }, ...JSON.parse(more) }));
Object.assign(process.env, {
  ENCORE_RUNTIME_LIB: native,
  ENCORE_APP_META_PATH: join(state, "model.json"),
  ENCORE_INFRA_CONFIG_PATH: infra,
  ENCORE_LISTEN_ADDR: listen,
  ENCORE_LOG: process.env.ENCORE_LOG ?? "warn",
});
process.chdir(root);
const { control } = createRequire(import.meta.url)(native);
control.whenReady.then(
  ({ address }) => console.log(`ready ${address}`),
  (error) => console.log(`failed ${error.message}`),
);
await import(pathToFileURL(app).href);
