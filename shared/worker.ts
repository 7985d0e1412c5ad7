import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { basename, join, resolve } from "node:path";
import { type TransferListItem, Worker } from "node:worker_threads";

interface Manifest {
  /** Every source file in the bundle, with the digest of its content. */
  readonly inputs: Readonly<Record<string, string>>;
}

function digest(file: string): string {
  return createHash("sha256").update(readFileSync(file)).digest("base64");
}

function isFresh(bundle: string, manifestFile: string): boolean {
  if (!existsSync(bundle) || !existsSync(manifestFile)) return false;
  const { inputs } = JSON.parse(readFileSync(manifestFile, "utf8")) as Manifest;
  return Object.entries(inputs).every(([file, was]) => existsSync(file) && digest(file) === was);
}

/** Where worker bundles are: relative to the working directory, which is the app's root under Encore too. */
function buildDir(): string {
  return resolve(process.env.STELE_BUILD_DIR ?? "build", "workers");
}

/** `dns/worker.ts` → `dns-worker`: the folder tells workers apart, their file names do not. */
function bundleName(entry: string): string {
  return entry.replace(/\.ts$/, "").replaceAll("/", "-");
}

let builds = 0;

interface Bundled {
  readonly code: Uint8Array;
  readonly sources: readonly string[];
}

/** Loads esbuild only when something is stale, and leaves no child process of it behind. */
async function bundleSource(entry: string): Promise<Bundled> {
  const { build, stop } = await import("esbuild");
  builds++;
  try {
    const { outputFiles, metafile } = await build({
      entryPoints: [entry],
      bundle: true,
      platform: "node",
      format: "esm",
      target: "node20",
      packages: "external",
      sourcemap: "inline",
      metafile: true,
      write: false,
    });
    const [output] = outputFiles;
    if (!output) throw new Error(`Cannot bundle "${entry}": esbuild gave no output`);
    return { code: output.contents, sources: Object.keys(metafile.inputs) };
  } finally {
    builds--;
    if (builds === 0) await stop();
  }
}

/**
 * Bundles a worker's source when it is out of date, and says where the bundle is. Encore makes one file
 * of the application and knows nothing of workers (encore-contract I.m), so this is done by ourselves.
 */
export async function bundleWorker(entry: string): Promise<string> {
  const directory = buildDir();
  const bundle = join(directory, `${bundleName(entry)}.mjs`);
  const manifestFile = join(directory, `${bundleName(entry)}.json`);
  if (!existsSync(entry) && existsSync(bundle)) return bundle; // An image may ship bundles without sources.
  if (isFresh(bundle, manifestFile)) return bundle;

  mkdirSync(directory, { recursive: true });
  const { code, sources } = await bundleSource(entry);
  const inputs = sources.map((file) => [file, digest(file)]);
  // Several processes may build at once: each writes a file of its own, and the last rename wins.
  const draft = `${bundle}.${process.pid}`;
  writeFileSync(draft, code);
  renameSync(draft, bundle);
  writeFileSync(draft, JSON.stringify({ inputs: Object.fromEntries(inputs) } satisfies Manifest));
  renameSync(draft, manifestFile);
  return bundle;
}

/**
 * Starts a worker thread from a source file given relative to the app's root, such as `dns/worker.ts`.
 * Ports within `workerData` are the worker's own, and listed in `transfer`.
 */
export async function startWorker(
  entry: string,
  workerData: unknown,
  transfer: readonly TransferListItem[] = [],
): Promise<Worker> {
  const bundle = await bundleWorker(entry);
  const transferList = [...transfer];
  return new Worker(bundle, { workerData, transferList, name: basename(bundle, ".mjs") });
}
