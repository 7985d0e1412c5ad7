import { existsSync, lstatSync, readdirSync, realpathSync } from "node:fs";
import { dirname, join, normalize } from "node:path";

import { difference, type Entry, isSame, totalBytes } from "./core/manifest";
import { writeWhole } from "./file-arrived";
import { inside } from "./file-names";
import { bring, type Copied, type Place, prepare, settle, summary } from "./file-round";
import { filesOf, type Limits, manifestOf, readManifest, scan } from "./file-tree";

export interface DeployJob extends Place {
  readonly kind: "deploy";
  readonly from: string;
  readonly limits: Limits;
}

/**
 * Makes the app's folder what `from` holds, but leaves what the app wrote itself: only what the last
 * release brought is taken away again. Throws for what cannot be deployed, and then changed nothing.
 */
export function deploy({ from: directory, generationDir, uid, limits }: DeployJob): Copied {
  const from = realpathSync(directory);
  const { manifest, special } = scan(from, (name) => name === ".git", limits);
  if (special.length > 0) throw new Error(`"${special[0]}" is a socket, a pipe or a device`);
  const outside = manifest.find((entry) => entry.type === "link" && leadsOut(entry));
  if (outside) throw new Error(`"${outside.path}" is a link out of it, to "${outside.target}"`);
  const to = filesOf(generationDir);
  const there = scan(to).manifest;
  const change = difference(manifest, there);
  const wanted = new Set(manifest.map(({ path }) => path));
  const released = new Set(readManifest(generationDir).map(({ path }) => path));
  const disposable = change.remove.filter(
    (path) => wanted.has(path) || isDisposable(to, path, released),
  );
  const place = { generationDir, uid };
  const prepared = prepare({ ...change, remove: disposable }, there, place);
  bring(prepared.files, from, place, (error) => {
    throw error;
  });
  settle(prepared, place);
  writeWhole(manifestOf(generationDir), JSON.stringify(manifest));
  return summary(manifest, change.write, []);
}

/** Of the last release, and (a folder) without anything that the app put there. */
function isDisposable(root: string, path: string, released: ReadonlySet<string>): boolean {
  if (!released.has(path)) return false;
  const full = inside(root, path);
  if (!lstatSync(full).isDirectory()) return true;
  return readdirSync(full).every((name) => isDisposable(root, `${path}/${name}`, released));
}

function leadsOut({ path, target }: Entry): boolean {
  return target.startsWith("/") || normalize(join(dirname(path), target)).startsWith("..");
}

export interface ChangedJob {
  readonly kind: "changed";
  readonly generationDir: string;
}

export interface Changed {
  /** The app wrote into its folder since the release. */
  readonly changed: boolean;
  readonly bytes: number;
}

export function changed({ generationDir }: ChangedJob): Changed {
  const files = filesOf(generationDir);
  if (!existsSync(files)) return { changed: false, bytes: 0 };
  const { manifest } = scan(files);
  return { changed: !isSame(readManifest(generationDir), manifest), bytes: totalBytes(manifest) };
}
