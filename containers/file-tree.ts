import {
  chmodSync,
  closeSync,
  constants,
  copyFileSync,
  existsSync,
  lchownSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  renameSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { dirname, join, normalize } from "node:path";

import { byPath, difference, type Entry, isSame, type Manifest, totalBytes } from "./core/manifest";

/**
 * Work on whole folders, with blocking calls: it runs in a thread of its own (`files-worker.ts`), and
 * in tests. Links are never followed, so nothing outside of the folders is read or written.
 */

/** A write that falls into the same millisecond as a scan may be missed by it; clocks are coarse. */
const UNSURE_MS = 2_000;
/** Half-written files have this name; a crash leaves them, and the next round takes them away. */
const DRAFT = ".stele-draft";

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
  let bytes = 0;
  const visit = (folder: string): void => {
    for (const name of readdirSync(join(root, folder))) {
      if (isIgnored(name)) continue;
      const path = folder === "" ? name : `${folder}/${name}`;
      const entry = entryAt(root, path);
      if (entry === "gone") continue;
      if (entry === "special") {
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
  const base = { path, size: 0, mtimeMs: 0, mode: stat.mode & 0o7777, target: "" };
  if (stat.isDirectory()) return { ...base, type: "directory" };
  if (stat.isSymbolicLink()) {
    return { ...base, type: "link", mode: 0, target: readlinkSync(full) };
  }
  if (!stat.isFile()) return "special";
  return { ...base, type: "file", size: stat.size, mtimeMs: Math.floor(stat.mtimeMs) };
}

export interface Owner {
  /** Null: whoever runs the platform. */
  readonly uid: number | null;
}

function own(path: string, { uid }: Owner): void {
  if (uid !== null) lchownSync(path, uid, uid);
}

/** Writes one entry beside its place and renames it, so that nobody ever sees half of it. */
function put(entry: Entry, from: string, to: string, owner: Owner): void {
  const target = join(to, entry.path);
  if (entry.type === "directory") {
    mkdirSync(target, { recursive: true, mode: 0o700 });
    own(target, owner);
    return;
  }
  const draft = join(dirname(target), DRAFT);
  rmSync(draft, { force: true });
  if (entry.type === "link") symlinkSync(entry.target, draft);
  else {
    copyContent(from, entry.path, draft);
    chmodSync(draft, entry.mode);
    // Half a millisecond on, since the time travels as a floating-point number of seconds.
    const seconds = (entry.mtimeMs + 0.5) / 1000;
    utimesSync(draft, seconds, seconds);
  }
  own(draft, owner);
  renameSync(draft, target);
}

/**
 * The app may run while it is read, and put a link where a file or a folder was; as root that would
 * read whatever it points to. So what was opened is asked where it is, and then read.
 */
export function copyContent(from: string, path: string, draft: string): void {
  const source = join(from, path);
  if (process.platform !== "linux") {
    copyFileSync(source, draft, constants.COPYFILE_FICLONE);
    return;
  }
  const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
  const file = openSync(source, flags);
  try {
    const opened = `/proc/self/fd/${file}`;
    if (readlinkSync(opened) !== source) throw gone(source);
    copyFileSync(opened, draft, constants.COPYFILE_FICLONE);
  } finally {
    closeSync(file);
  }
}

/** It is not what the scan saw: the next round looks again. */
function gone(path: string): Error {
  return Object.assign(new Error(`"${path}" changed while it was read`), { code: "ENOENT" });
}

function apply(
  { write, remove, chmod }: ReturnType<typeof difference>,
  from: string,
  to: string,
  owner: Owner,
): void {
  for (const path of remove) rmSync(join(to, path), { recursive: true, force: true });
  for (const entry of write) put(entry, from, to, owner);
  // Folders last and from the inside out: one that may not be written to gets its files first.
  const folders = write.filter(({ type }) => type === "directory").toReversed();
  for (const { path, mode, type } of [...chmod, ...folders]) {
    if (type !== "link") chmodSync(join(to, path), mode);
  }
}

/** A generation's folder: `files/` is the app's, what lies beside it is ours. */
export function filesOf(generationDir: string): string {
  return join(generationDir, "files");
}

const manifestOf = (generationDir: string): string => join(generationDir, "manifest.json");
const scannedOf = (generationDir: string): string => join(generationDir, "scanned-at");

function readManifest(generationDir: string): Manifest {
  const file = manifestOf(generationDir);
  return existsSync(file) ? (JSON.parse(readFileSync(file, "utf8")) as Manifest) : [];
}

function writeWhole(file: string, text: string): void {
  writeFileSync(`${file}.draft`, text, { mode: 0o600 });
  renameSync(`${file}.draft`, file);
}

export interface DeployJob {
  readonly kind: "deploy";
  readonly from: string;
  readonly generationDir: string;
  readonly uid: number | null;
  readonly limits: Limits;
}

export interface Copied {
  readonly files: number;
  readonly bytes: number;
  readonly changedFiles: number;
  readonly changedBytes: number;
  /** What could not be copied, since it is no file, folder or link. */
  readonly special: readonly string[];
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
  const change = difference(manifest, scan(to).manifest);
  const wanted = new Set(manifest.map(({ path }) => path));
  const released = new Set(readManifest(generationDir).map(({ path }) => path));
  const remove = change.remove.filter(
    (path) => wanted.has(path) || isDisposable(to, path, released),
  );
  apply({ ...change, remove }, from, to, { uid });
  writeWhole(manifestOf(generationDir), JSON.stringify(manifest));
  return summary(manifest, change.write, []);
}

/** Of the last release, and (a folder) without anything that the app put there. */
function isDisposable(root: string, path: string, released: ReadonlySet<string>): boolean {
  if (path.endsWith(DRAFT)) return true;
  if (!released.has(path)) return false;
  const full = join(root, path);
  if (!lstatSync(full).isDirectory()) return true;
  return readdirSync(full).every((name) => isDisposable(root, `${path}/${name}`, released));
}

function leadsOut({ path, target }: Entry): boolean {
  return target.startsWith("/") || normalize(join(dirname(path), target)).startsWith("..");
}

function summary(
  manifest: Manifest,
  changed: readonly Entry[],
  special: readonly string[],
): Copied {
  return {
    files: manifest.length,
    bytes: totalBytes(manifest),
    changedFiles: changed.length,
    changedBytes: totalBytes(changed),
    special,
  };
}

export interface CopyJob {
  readonly kind: "copy";
  readonly fromDir: string;
  readonly generationDir: string;
  readonly uid: number | null;
  /** The source has stopped writing: afterwards both must be equal, or it throws. */
  readonly final: boolean;
}

/** One round: makes the folder what the other holds now. */
export function copy({ fromDir, generationDir, uid, final }: CopyJob): Copied {
  const [from, to] = [filesOf(realpathSync(fromDir)), filesOf(generationDir)];
  const startedAt = Date.now();
  const { manifest, special } = scan(from);
  const change = difference(manifest, scan(to).manifest);
  const unsure = final ? lateEntries(manifest, change.write, generationDir) : [];
  const write = [...change.write, ...unsure];
  try {
    apply({ ...change, write }, from, to, { uid });
  } catch (error) {
    // A file that went away while the app runs is the next round's to see.
    if (final || (error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
  }
  if (existsSync(manifestOf(fromDir))) {
    writeWhole(manifestOf(generationDir), readFileSync(manifestOf(fromDir), "utf8"));
  }
  writeWhole(scannedOf(generationDir), String(startedAt));
  if (final) verify(from, to);
  return summary(manifest, write, special);
}

/** Files whose content may have changed without a sign, since the last round looked too soon. */
function lateEntries(manifest: Manifest, write: readonly Entry[], generationDir: string): Entry[] {
  const file = scannedOf(generationDir);
  const scannedAt = existsSync(file) ? Number(readFileSync(file, "utf8")) : 0;
  const known = new Set(write.map(({ path }) => path));
  return manifest.filter(
    ({ path, type, mtimeMs }) =>
      type === "file" && mtimeMs >= scannedAt - UNSURE_MS && !known.has(path),
  );
}

function verify(from: string, to: string): void {
  const [source, target] = [scan(from).manifest, scan(to).manifest];
  if (isSame(source, target)) return;
  const { write, remove, chmod } = difference(source, target);
  const first = write[0]?.path ?? chmod[0]?.path ?? remove[0];
  throw new Error(`the copy differs from its source in "${first}"`);
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

export interface RemoveJob {
  readonly kind: "remove";
  readonly directory: string;
}

/** Gives a folder, and all that is in it, to a user: ids may have changed with the settings. */
export interface OwnJob {
  readonly kind: "own";
  readonly generationDir: string;
  readonly uid: number;
}

export function ownAll({ generationDir, uid }: OwnJob): void {
  const files = filesOf(generationDir);
  for (const { path } of scan(files).manifest) own(join(files, path), { uid });
  // Last, since whoever looks takes the folder's own user for everybody's.
  own(files, { uid });
}

export type FilesJob = DeployJob | CopyJob | ChangedJob | RemoveJob | OwnJob;

export function remove({ directory }: RemoveJob): void {
  rmSync(directory, { recursive: true, force: true });
}
