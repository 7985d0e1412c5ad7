// Bundles the worker threads into build/workers, for images: encore.app's prebuild hook.
import { load } from "../runtime/load.mjs";

const { bundleWorker } = await load("shared/worker.ts", "build/scripts");
for (const entry of ["dns/worker.ts", "proxy/worker.ts", "containers/files-worker.ts"]) {
  console.log(await bundleWorker(entry));
}
