import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { AppModel } from "../app-model";
import { load } from "../load.mjs";
import type { analyze } from "./analyze";
import { listSourceFiles } from "./source-files";

/** Raised when the model's shape changes: older caches are then not read. */
const FORMAT = 2;

interface CachedFile {
  readonly size: number;
  readonly mtimeMs: number;
  readonly hash: string;
}

interface Cache {
  readonly format: number;
  readonly files: Readonly<Record<string, CachedFile>>;
  /** The names in each folder of migrations: a new one may be at fault. */
  readonly migrations: Readonly<Record<string, string>>;
  readonly model: AppModel;
}

/**
 * The application's model, from the cache while no source has changed; the analyzer is then not
 * even loaded.
 *
 * @throws AppModelError as `analyze` does; a faulty application is never cached
 */
export async function loadModel(root: string, cacheFile: string): Promise<AppModel> {
  const cache = readCache(cacheFile);
  const files = describeFiles(root, cache?.files ?? {});
  if (cache !== null && isCurrent(root, cache, files)) return cache.model;
  // A bundle of its own: it brings TypeScript with it, a fifth of a second to load.
  const bundled = await load("runtime/analyze/analyze.ts", dirname(cacheFile));
  const model = await (bundled as { analyze: typeof analyze }).analyze(root);
  const fresh: Cache = { format: FORMAT, files, migrations: migrationNames(root, model), model };
  mkdirSync(dirname(cacheFile), { recursive: true, mode: 0o700 });
  writeFileSync(cacheFile, JSON.stringify(fresh));
  return model;
}

function isCurrent(root: string, cache: Cache, files: Cache["files"]): boolean {
  if (!sameContents(cache.files, files)) return false;
  const names = migrationNames(root, cache.model);
  return JSON.stringify(names) === JSON.stringify(cache.migrations);
}

function migrationNames(root: string, model: AppModel): Record<string, string> {
  const dirs = model.databases.flatMap(({ migrationsDir: dir }) => (dir === null ? [] : [dir]));
  const names = dirs.map((dir) => [dir, readNames(join(root, dir))] as const);
  return Object.fromEntries(names);
}

function readNames(dir: string): string {
  try {
    return readdirSync(dir).sort().join("\n");
  } catch {
    return "";
  }
}

function readCache(path: string): Cache | null {
  try {
    const cache = JSON.parse(readFileSync(path, "utf8")) as Cache;
    return cache.format === FORMAT ? cache : null;
  } catch {
    return null;
  }
}

/** What the model depends on: every source, the settings, and which migrations there are. */
function describeFiles(
  root: string,
  known: Readonly<Record<string, CachedFile>>,
): Record<string, CachedFile> {
  const extra = ["tsconfig.json", "encore.app"].filter((path) => existsSync(join(root, path)));
  const sources = [...extra, ...listSourceFiles(root)];
  const files = sources.map((path) => [path, describe(join(root, path), known[path])] as const);
  return Object.fromEntries(files);
}

/** A file of the same size and time is taken for unchanged without being read. */
function describe(path: string, known: CachedFile | undefined): CachedFile {
  const { size, mtimeMs } = statSync(path);
  if (known !== undefined && known.size === size && known.mtimeMs === mtimeMs) return known;
  const hash = createHash("sha256").update(readFileSync(path)).digest("base64");
  return { size, mtimeMs, hash };
}

function sameContents(a: Cache["files"], b: Cache["files"]): boolean {
  const paths = Object.keys(b);
  if (Object.keys(a).length !== paths.length) return false;
  return paths.every((path) => a[path]?.hash === b[path]?.hash);
}
