// Runs this repository's TypeScript under plain Node: bundles an entry when it is out of date, and
// imports the bundle. Started from .mjs files; everything else in the repository is TypeScript.
import { createHash } from "node:crypto";
import { chmodSync, existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const REPOSITORY = dirname(dirname(fileURLToPath(import.meta.url)));

/** encore.dev is an ES module that a CommonJS module must be able to require. */
const NODE_MINIMUM = [20, 19];

/** Ends the process with one line when Node.js is too old. */
export function requireNode() {
  const [major, minor] = process.versions.node.split(".").map(Number);
  const [least, leastMinor] = NODE_MINIMUM;
  if (major > least || (major === least && minor >= leastMinor)) return;
  console.error(
    `Node.js ${process.versions.node} is too old: this needs ${NODE_MINIMUM.join(".")} or newer`,
  );
  process.exit(1);
}

/**
 * Imports `entry`, a TypeScript file given relative to the repository, from a bundle in `outDir`. The
 * bundle refers to packages by their place, so `outDir` may be anywhere.
 */
export async function load(entry, outDir) {
  requireNode();
  const name = entry.replace(/\.[^.]+$/, "").replaceAll("/", "-");
  const outfile = await bundle({ entry, outfile: join(outDir, `${name}.mjs`) });
  return import(pathToFileURL(outfile).href);
}

/**
 * Bundles `entry` into `outfile` unless it is up to date, and gives its absolute path. An ES module
 * refers to its packages; a CommonJS module has them inside.
 */
export async function bundle({ entry, outfile: path, format = "esm" }) {
  const outfile = resolve(path);
  if (isFresh(outfile)) return outfile;
  mkdirSync(dirname(outfile), { recursive: true, mode: 0o700 });
  const { build } = await import("esbuild");
  const result = await build({
    absWorkingDir: REPOSITORY,
    entryPoints: [entry],
    outfile,
    bundle: true,
    write: false,
    metafile: true,
    platform: "node",
    format,
    target: "node20",
    sourcemap: "linked",
    logLevel: "silent",
    define: { "import.meta.url": JSON.stringify(import.meta.url) },
    plugins: format === "esm" ? [packagesByPlace] : [],
  }).catch((error) => {
    throw new Error(`Cannot bundle "${entry}": ${describe(error)}`);
  });
  for (const file of result.outputFiles) replaceFile(file.path, file.contents);
  const inputs = Object.keys(result.metafile.inputs).map((input) => [
    input,
    digest(join(REPOSITORY, input)),
  ]);
  const manifest = { repository: REPOSITORY, inputs: Object.fromEntries(inputs) };
  replaceFile(manifestOf(outfile), JSON.stringify(manifest));
  return outfile;
}

function describe(error) {
  const [first] = error.errors ?? [];
  if (!first) return error.message;
  const place = first.location ? `${first.location.file}:${first.location.line}: ` : "";
  return `${place}${first.text}`;
}

const packagesByPlace = {
  name: "packages-by-place",
  setup(build) {
    build.onResolve({ filter: /^[^./]/ }, async ({ path, kind, pluginData }) => {
      if (pluginData === "asked" || path.startsWith("node:") || kind === "entry-point") return null;
      const options = { kind, resolveDir: REPOSITORY, pluginData: "asked" };
      const found = await build.resolve(path, options);
      if (found.errors.length > 0 || found.external) return { path, external: true };
      if (!found.path.includes("/node_modules/")) return found;
      return { path: pathToFileURL(found.path).href, external: true };
    });
  },
};

function manifestOf(outfile) {
  return `${outfile}.inputs.json`;
}

function isFresh(outfile) {
  if (!existsSync(outfile) || !existsSync(manifestOf(outfile))) return false;
  try {
    const { repository, inputs } = JSON.parse(readFileSync(manifestOf(outfile), "utf8"));
    if (repository !== REPOSITORY) return false;
    return Object.entries(inputs).every(([path, was]) => digest(join(REPOSITORY, path)) === was);
  } catch {
    return false;
  }
}

function digest(path) {
  return createHash("sha1").update(readFileSync(path)).digest("base64");
}

/** Whole or not at all, also when two processes do it at once. */
function replaceFile(path, contents) {
  const draft = join(dirname(path), `.${basename(path)}.${process.pid}`);
  writeFileSync(draft, contents);
  chmodSync(draft, 0o600);
  renameSync(draft, path);
}
