// Bundles the worker threads into build/workers, for images: encore.app's prebuild hook.
import { load } from "../runtime/load.mjs";

const { bundleWorker } = await load("shared/worker.ts", "build/scripts");
const WORKERS = [
  "dns/worker.ts",
  "dns/udp-worker.ts",
  "proxy/worker.ts",
  "containers/files-worker.ts",
];
for (const entry of WORKERS) {
  console.log(await bundleWorker(entry));
}
