import {
  chmodSync,
  closeSync,
  constants,
  existsSync,
  lchownSync,
  lstatSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  readSync,
  realpathSync,
  rmSync,
  type Stats,
} from "node:fs";
import { dirname, join } from "node:path";

import { byPath, type Entry, type Manifest } from "./core/manifest";
import { BROKEN, bytesOf, inside, textOf } from "./file-names";

/**
 * Work on whole folders, with blocking calls: it runs in a thread of its own (`files-worker.ts`), and
 * in tests. Links are never followed, so nothing outside of the folders is read or written.
 */

export interface Scan {
  readonly manifest: Manifest;
  /** Sockets, pipes and devices: they cannot be copied. */
  readonly special: readonly string[];
}

export interface Limits {
  readonly maxFiles: number;
  readonly maxBytes: number;
}

const NO_LIMITS: Limits = { maxFiles: Infinity, maxBytes: Infinity };

/** What the folder holds; `isIgnored` is asked with an entry's own name. Throws past a limit. */
export function scan(
  root: string,
  isIgnored: (name: string) => boolean = () => false,
  limits: Limits = NO_LIMITS,
): Scan {
  const manifest: Entry[] = [];
  const special: string[] = [];
  const shared: Shared[] = [];
  let bytes = 0;
  const visit = (folder: string): void => {
    for (const name of namesIn(folder === "" ? root : `${root}/${folder}`)) {
      if (isIgnored(name)) continue;
      const path = folder === "" ? name : `${folder}/${name}`;
      const stat = statOf(root, path);
      // The app may take a file away while its folder is read.
      if (!stat) continue;
      const entry = entryOf(root, path, stat);
      if (!entry) {
        special.push(path);
        continue;
      }
      if (entry.type === "file" && stat.nlink > 1) shared.push({ entry, at: manifest.length });
      manifest.push(entry);
      bytes += entry.size;
      if (manifest.length > limits.maxFiles) {
        throw new Error(`more than ${limits.maxFiles} files`);
      }
      if (bytes > limits.maxBytes) throw new Error(`more than ${limits.maxBytes} bytes`);
      if (entry.type === "directory") visit(path);
    }
  };
  visit("");
  for (const { at, name } of furtherNames(root, shared)) manifest[at] = name;
  return { manifest: manifest.sort(byPath), special };
}

function namesIn(folder: string): string[] {
  const names = readdirSync(bytesOf(folder));
  if (!names.some((name) => name.includes(BROKEN))) return names;
  return readdirSync(bytesOf(folder), { encoding: "buffer" }).map(textOf);
}

/** A file with several names, and where in the manifest it stands. */
interface Shared {
  readonly entry: Entry;
  readonly at: number;
}

/** What takes the place of all names of a file but the first. */
function furtherNames(
  root: string,
  shared: readonly Shared[],
): { readonly at: number; readonly name: Entry }[] {
  const first = new Map<string, string>();
  return shared
    .toSorted((a, b) => byPath(a.entry, b.entry))
    .flatMap(({ entry: { path }, at }) => {
      // Numbers of inodes may be larger than a number can be.
      const stat = lstatSync(inside(root, path), { bigint: true, throwIfNoEntry: false });
      const key = `${stat?.dev}.${stat?.ino}`;
      const target = first.get(key);
      if (target === undefined) first.set(key, path);
      return target === undefined ? [] : [{ at, name: { ...bare(path), type: "name", target } }];
    });
}

function statOf(root: string, path: string): Stats | undefined {
  return lstatSync(inside(root, path), { throwIfNoEntry: false });
}

const bare = (path: string): Omit<Entry, "type"> => ({
  path,
  size: 0,
  mtimeMs: 0,
  ctimeUs: 0,
  inode: 0,
  mode: 0,
  target: "",
});

/** Null for what cannot be copied. */
function entryOf(root: string, path: string, stat: Stats): Entry | null {
  const mode = stat.mode & 0o7777;
  if (stat.isFile()) {
    return {
      path,
      type: "file",
      size: stat.size,
      mtimeMs: Math.floor(stat.mtimeMs),
      ctimeUs: Math.floor(stat.ctimeMs * 1_000),
      inode: stat.ino % Number.MAX_SAFE_INTEGER,
      mode,
      target: "",
    };
  }
  if (stat.isDirectory()) return { ...bare(path), type: "directory", mode };
  if (stat.isSymbolicLink()) return { ...bare(path), type: "link", target: targetOf(root, path) };
  return null;
}

function targetOf(root: string, path: string): string {
  const full = inside(root, path);
  const target = readlinkSync(full);
  return target.includes(BROKEN) ? textOf(readlinkSync(full, { encoding: "buffer" })) : target;
}

/** What a path of a folder is now; null for nothing, and for what cannot be copied. */
export function look(root: string, path: string): Entry | null {
  try {
    const stat = statOf(root, path);
    return stat ? entryOf(root, path, stat) : null;
  } catch (error) {
    // What its folder would be is a file.
    if (isGone(error)) return null;
    throw error;
  }
}

/** A generation's folder: `files/` is the app's, what lies beside it is ours. */
export function filesOf(generationDir: string): string {
  return join(generationDir, "files");
}

/** What the last release brought. */
export function manifestOf(generationDir: string): string {
  return join(generationDir, "manifest.json");
}

export function readManifest(generationDir: string): Manifest {
  const file = manifestOf(generationDir);
  return existsSync(file) ? (JSON.parse(readFileSync(file, "utf8")) as Manifest) : [];
}

/**
 * Opens a file for reading. The app may run while it is read, and put a link where a file or a folder
 * was; as root that would read whatever it points to. So what was opened is asked where it is.
 */
export function openInside(root: string, path: string): number {
  const source = inside(root, path);
  const file = openSync(source, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  try {
    if (whereIs(file, root, path) !== join(root, path)) throw gone(join(root, path));
    return file;
  } catch (error) {
    closeSync(file);
    throw error;
  }
}

/** Only Linux says where an open file is; elsewhere a link that comes and goes at once is not seen. */
function whereIs(file: number, root: string, path: string): string {
  if (process.platform === "linux") {
    const where = readlinkSync(`/proc/self/fd/${file}`);
    if (!where.includes(BROKEN)) return where;
    return textOf(readlinkSync(`/proc/self/fd/${file}`, { encoding: "buffer" }));
  }
  const source = join(root, path);
  return join(realpathSync(dirname(source)), source.slice(dirname(source).length));
}

/** It is not what the scan saw: the next round looks again. */
function gone(path: string): Error {
  return Object.assign(new Error(`"${path}" changed while it was read`), { code: "ENOENT" });
}

/** Whether a file could not be opened since it is another thing by now, or nothing. */
export function isGone(error: unknown): boolean {
  const { code = "" } = error as NodeJS.ErrnoException;
  return ["ENOENT", "ENOTDIR", "ELOOP", "ENXIO"].includes(code);
}

/** Fills the buffer from there on; answers how much there was. */
export function readWhole(file: number, buffer: Uint8Array, from: number): number {
  let done = 0;
  while (done < buffer.length) {
    const read = readSync(file, buffer, done, buffer.length - done, from + done);
    if (read === 0) break;
    done += read;
  }
  return done;
}

/**
 * Takes away what no copy makes: what is no file, folder or link, and files with a second name, where
 * whoever writes one writes the other.
 */
export function removeOdd(folder: string | Buffer): void {
  for (const name of readdirSync(folder, { encoding: "buffer" })) {
    const path = Buffer.concat([Buffer.from(folder), Buffer.from("/"), name]);
    const stat = lstatSync(path);
    const isPlain = stat.isSymbolicLink() || (stat.isFile() && stat.nlink === 1);
    if (!isPlain && !stat.isDirectory()) {
      rmSync(path, { recursive: true, force: true });
    } else if (stat.isDirectory()) {
      // Not everybody is root. Modes are the copy's to set.
      if ((stat.mode & 0o700) !== 0o700) chmodSync(path, 0o700);
      removeOdd(path);
    }
  }
}

export interface RemoveJob {
  readonly kind: "remove";
  readonly directory: string;
}

export function remove({ directory }: RemoveJob): void {
  rmSync(directory, { recursive: true, force: true });
}

/** Gives a folder, and all that is in it, to a user: ids may have changed with the settings. */
export interface OwnJob {
  readonly kind: "own";
  readonly generationDir: string;
  readonly uid: number;
}

export function ownAll({ generationDir, uid }: OwnJob): void {
  const files = filesOf(generationDir);
  for (const { path } of scan(files).manifest) {
    const full = inside(files, path);
    const owner = lstatSync(full);
    // To be given away changes an inode, and what changed is looked at again by the next copy.
    if (owner.uid !== uid || owner.gid !== uid) lchownSync(full, uid, uid);
  }
  // Last, since whoever looks takes the folder's own user for everybody's.
  lchownSync(files, uid, uid);
}
