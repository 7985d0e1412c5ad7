import { isUtf8 } from "node:buffer";
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
} from "node:fs";
import { dirname, join } from "node:path";

import { byPath, type Entry, type Manifest } from "./core/manifest";

/**
 * Work on whole folders, with blocking calls: it runs in a thread of its own (`files-worker.ts`), and
 * in tests. Links are never followed, so nothing outside of the folders is read or written.
 */

/** What Node makes of bytes in a name that are no UTF-8: it cannot open such a file. */
const BROKEN = "\ufffd";

export interface Scan {
  readonly manifest: Manifest;
  /** Sockets, pipes, devices, and names that are no UTF-8: they cannot be copied. */
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
  let bytes = 0;
  const visit = (folder: string): void => {
    for (const name of readdirSync(join(root, folder))) {
      if (isIgnored(name)) continue;
      const path = folder === "" ? name : `${folder}/${name}`;
      const entry = entryAt(root, path);
      if (entry === "gone" && !name.includes(BROKEN)) continue;
      if (entry === "gone" || entry === "special") {
        special.push(path);
        continue;
      }
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
  return { manifest: manifest.sort(byPath), special };
}

function entryAt(root: string, path: string): Entry | "gone" | "special" {
  const full = join(root, path);
  // The app may take a file away while its folder is read.
  const stat = lstatSync(full, { throwIfNoEntry: false });
  if (!stat) return "gone";
  const mode = stat.mode & 0o7777;
  const base = { path, size: 0, mtimeMs: 0, ctimeMs: 0, mode, target: "" };
  if (stat.isDirectory()) return { ...base, type: "directory" };
  if (stat.isSymbolicLink()) {
    return { ...base, type: "link", mode: 0, target: readlinkSync(full) };
  }
  if (!stat.isFile()) return "special";
  const [mtimeMs, ctimeMs] = [Math.floor(stat.mtimeMs), Math.floor(stat.ctimeMs)];
  return { ...base, type: "file", size: stat.size, mtimeMs, ctimeMs };
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
  const source = join(root, path);
  const file = openSync(source, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  try {
    if (whereIs(file, source) !== source) throw gone(source);
    return file;
  } catch (error) {
    closeSync(file);
    throw error;
  }
}

/** Only Linux says where an open file is; elsewhere a link that comes and goes at once is not seen. */
function whereIs(file: number, source: string): string {
  if (process.platform === "linux") return readlinkSync(`/proc/self/fd/${file}`);
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
 * whoever writes one writes the other. Names that are no UTF-8 go with them.
 */
export function removeOdd(folder: string | Buffer): void {
  for (const name of readdirSync(folder, { encoding: "buffer" })) {
    const path = Buffer.concat([Buffer.from(folder), Buffer.from("/"), name]);
    const stat = lstatSync(path);
    const isPlain = stat.isSymbolicLink() || (stat.isFile() && stat.nlink === 1);
    if (!isUtf8(name) || !(isPlain || stat.isDirectory())) {
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
    const full = join(files, path);
    const owner = lstatSync(full);
    // To be given away changes an inode, and what changed is looked at again by the next copy.
    if (owner.uid !== uid || owner.gid !== uid) lchownSync(full, uid, uid);
  }
  // Last, since whoever looks takes the folder's own user for everybody's.
  lchownSync(files, uid, uid);
}
