import { createHash } from "node:crypto";
import {
  chmodSync,
  closeSync,
  constants,
  copyFileSync,
  existsSync,
  fstatSync,
  ftruncateSync,
  lchownSync,
  mkdirSync,
  openSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { basename, dirname, join } from "node:path";

import { failpointSync } from "../shared/failpoint";
import {
  difference,
  type Difference,
  type Entry,
  isSame,
  type Manifest,
  totalBytes,
  unsure,
} from "./core/manifest";
import { BLOCK_BYTES } from "./core/pieces";
import {
  forgetMark,
  keptFor,
  markSettled,
  type Settled,
  settledOf,
  unsureOfKept,
} from "./file-kept";
import {
  filesOf,
  isGone,
  manifestOf,
  openInside,
  readManifest,
  readWhole,
  removeOdd,
  type Scan,
  scan,
} from "./file-tree";

/**
 * One round of a copy: makes an app's folder what another holds now. What is to be done, and how it is
 * put in its place, is the same wherever the files come from: a folder beside it, or another cluster
 * (`file-draw.ts`). Hard links, holes and extended attributes are not kept: a file is its bytes.
 */

/** Where files go, and whose they will be. */
export interface Place {
  readonly generationDir: string;
  /** Null: whoever runs the platform. */
  readonly uid: number | null;
}

/** What half of a change has been done when its files can come. */
export interface Prepared {
  /** To be brought by `putFile`. */
  readonly files: readonly Entry[];
  /** Set by `settle`, in this order. */
  readonly modes: readonly Entry[];
}

const draftsOf = (generationDir: string): string => join(generationDir, "partial");

/** Where a file is until it is whole: outside of the app's folder, and found again after a crash. */
export function draftOf({ generationDir }: Place, path: string): string {
  return join(draftsOf(generationDir), createHash("sha256").update(path).digest("hex"));
}

function own(path: string, { uid }: Place): void {
  if (uid !== null) lchownSync(path, uid, uid);
}

const isShut = ({ type, mode }: Entry): boolean => type === "directory" && (mode & 0o700) !== 0o700;

/** Takes away what is in the way, makes folders and links; `there` is what the place holds. */
export function prepare(change: Difference, there: Manifest, place: Place): Prepared {
  const to = filesOf(place.generationDir);
  mkdirSync(draftsOf(place.generationDir), { recursive: true, mode: 0o700 });
  // Not everybody is root: what is in a folder that may not be written to changes all the same.
  const shut = there.filter(isShut);
  for (const { path } of shut) chmodSync(join(to, path), 0o700);
  for (const path of change.remove) rmSync(join(to, path), { recursive: true, force: true });
  const folders = change.write.filter(({ type }) => type === "directory");
  for (const { path } of folders) {
    mkdirSync(join(to, path), { mode: 0o700 });
    own(join(to, path), place);
  }
  for (const entry of change.write.filter(({ type }) => type === "link")) putLink(entry, place);
  const handled = new Set([...change.remove, ...change.chmod.map(({ path }) => path)]);
  const reopened = shut.filter(({ path }) => !handled.has(path));
  // From the inside out: one that may not be entered gets what is in it first.
  const modes = [...change.chmod, ...folders, ...reopened].sort((a, b) =>
    a.path < b.path ? 1 : -1,
  );
  return { files: change.write.filter(({ type }) => type === "file"), modes };
}

function putLink({ path, target }: Entry, place: Place): void {
  const draft = draftOf(place, path);
  rmSync(draft, { force: true });
  symlinkSync(target, draft);
  own(draft, place);
  renameSync(draft, join(filesOf(place.generationDir), path));
}

/** Puts a whole draft in its place. Its owner first: giving it away takes some of its mode. */
export function putFile({ path, mode, mtimeMs }: Entry, place: Place): void {
  const draft = draftOf(place, path);
  own(draft, place);
  chmodSync(draft, mode);
  // Half a millisecond on, since the time travels as a floating-point number of seconds.
  const seconds = (mtimeMs + 0.5) / 1000;
  utimesSync(draft, seconds, seconds);
  renameSync(draft, join(filesOf(place.generationDir), path));
}

export function settle({ modes }: Prepared, place: Place): void {
  for (const { path, mode } of modes) chmodSync(join(filesOf(place.generationDir), path), mode);
  forgetMark(place.generationDir);
  rmSync(draftsOf(place.generationDir), { recursive: true, force: true });
}

/** Opens a draft for writing. What is in its place becomes the draft: most of it may stay. */
export function openDraft(path: string, draft: string): number {
  if (!existsSync(draft) && existsSync(path)) renameSync(path, draft);
  if (existsSync(draft)) chmodSync(draft, 0o600);
  return openSync(draft, constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW, 0o600);
}

export function writeBytes(file: number, bytes: Uint8Array, at: number): void {
  for (let done = 0; done < bytes.length;) {
    done += writeSync(file, bytes, done, bytes.length - done, at + done);
  }
}

/** From here on it is worth to compare. */
const PATCHED_BYTES = 4 * BLOCK_BYTES;

/**
 * Copies a file of a folder into its draft. Throws as gone what is no longer what the scan saw. A large
 * one that is at `there` already is compared, and written where it differs: a disk writes slower than
 * memory is read.
 */
export function copyContent(from: string, path: string, draft: string, there?: string): void {
  const file = openInside(from, path);
  try {
    const source = process.platform === "linux" ? `/proc/self/fd/${file}` : join(from, path);
    const isPatched = fstatSync(file).size >= PATCHED_BYTES && there !== undefined;
    if (!isPatched || !existsSync(there)) copyFileSync(source, draft, constants.COPYFILE_FICLONE);
    else if (!isCloned(source, draft)) patch(file, openDraft(there, draft));
  } finally {
    closeSync(file);
  }
}

/** Some file systems share the blocks of a copy: nothing is faster. */
function isCloned(source: string, draft: string): boolean {
  try {
    copyFileSync(source, draft, constants.COPYFILE_FICLONE_FORCE);
    return true;
  } catch {
    rmSync(draft, { force: true });
    return false;
  }
}

function patch(from: number, to: number): void {
  const [wanted, there] = [Buffer.alloc(BLOCK_BYTES), Buffer.alloc(BLOCK_BYTES)];
  try {
    for (let at = 0; ; at += BLOCK_BYTES) {
      const bytes = wanted.subarray(0, readWhole(from, wanted, at));
      if (!there.subarray(0, readWhole(to, there, at)).equals(bytes)) writeBytes(to, bytes, at);
      if (bytes.length === BLOCK_BYTES) continue;
      ftruncateSync(to, at + bytes.length);
      return;
    }
  } finally {
    closeSync(to);
  }
}

/** Copies files of a folder to their place; those that are gone are named to `onGone`. */
export function bring(
  files: readonly Entry[],
  from: string,
  place: Place,
  onGone: (error: unknown) => void,
): void {
  const drafts = draftsOf(place.generationDir);
  rmSync(drafts, { recursive: true, force: true });
  mkdirSync(drafts, { mode: 0o700 });
  for (const entry of files) {
    try {
      const there = join(filesOf(place.generationDir), entry.path);
      copyContent(from, entry.path, draftOf(place, entry.path), there);
    } catch (error) {
      if (!isGone(error)) throw error;
      onGone(error);
      continue;
    }
    putFile(entry, place);
  }
}

export interface Copied {
  readonly files: number;
  readonly bytes: number;
  readonly changedFiles: number;
  readonly changedBytes: number;
  /** What could not be copied, since it is no file, folder or link. */
  readonly special: readonly string[];
}

export function summary(
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

/** What a source holds, and when it looked by its own clock. */
export interface Source extends Scan {
  readonly scannedAtMs: number;
  readonly settled: Settled | null;
}

export interface Round extends Prepared {
  readonly copied: Copied;
}

const stepOf = (final: boolean): "copy_files" | "copy_delta" =>
  final ? "copy_delta" : "copy_files";

/** A generation's folder lies in its repl's. */
const replOf = ({ generationDir }: Place): string => basename(dirname(generationDir));

/** Finds out what is to be done, and prepares it. */
export function beginRound(
  { manifest, special, scannedAtMs, settled }: Source,
  place: Place,
  final: boolean,
): Round {
  const leftFor = keptFor(place.generationDir);
  if (leftFor !== null) removeOdd(filesOf(place.generationDir));
  const there = scan(filesOf(place.generationDir)).manifest;
  const change = difference(manifest, there);
  const firstScanMs = firstScanOf(place.generationDir, scannedAtMs);
  const written = new Set(change.write.map(({ path }) => path));
  const doubtful = [
    ...(leftFor === null ? [] : unsureOfKept(manifest, leftFor, settled)),
    ...(final ? unsure(manifest, firstScanMs, readManifest(place.generationDir)) : []),
  ];
  const late = [...new Set(doubtful)].filter(({ path }) => !written.has(path));
  const prepared = prepare(change, there, place);
  failpointSync(`containers.${stepOf(final)}.prepared`, replOf(place));
  return {
    ...prepared,
    files: [...prepared.files, ...late],
    copied: summary(manifest, [...change.write, ...late], special),
  };
}

/** All files have come. */
export function endRound(round: Round, place: Place, final: boolean): void {
  failpointSync(`containers.${stepOf(final)}.brought`, replOf(place));
  settle(round, place);
}

/** When the first round looked: what was copied since then may be older than its time says. */
function firstScanOf(generationDir: string, scannedAtMs: number): number {
  const file = join(generationDir, "scanned-at");
  if (existsSync(file)) return Number(readFileSync(file, "utf8"));
  writeWhole(file, String(scannedAtMs));
  return 0;
}

export function writeWhole(file: string, text: string): void {
  writeFileSync(`${file}.draft`, text, { mode: 0o600 });
  renameSync(`${file}.draft`, file);
}

/** After the last round both must be equal, or it throws. */
export function verifyRound(source: Manifest, { generationDir }: Place): void {
  const target = scan(filesOf(generationDir)).manifest;
  if (isSame(source, target)) return markSettled(generationDir);
  const { write, remove: tooMuch, chmod } = difference(source, target);
  const first = write[0]?.path ?? chmod[0]?.path ?? tooMuch[0];
  throw new Error(`the copy differs from its source in "${first}"`);
}

export interface CopyJob extends Place {
  readonly kind: "copy";
  readonly fromDir: string;
  /** The source has stopped writing: afterwards both must be equal, or it throws. */
  readonly final: boolean;
}

/** One round, from a folder of this machine. */
export function copy({ fromDir, generationDir, uid, final }: CopyJob): Copied {
  const place = { generationDir, uid };
  const from = filesOf(realpathSync(fromDir));
  const scannedAtMs = Date.now();
  const round = beginRound(
    { ...scan(from), scannedAtMs, settled: settledOf(fromDir) },
    place,
    final,
  );
  bring(round.files, from, place, (error) => {
    // A file that went away while the app runs is the next round's to see.
    if (final) throw error;
  });
  if (existsSync(manifestOf(fromDir))) {
    writeWhole(manifestOf(generationDir), readFileSync(manifestOf(fromDir), "utf8"));
  }
  endRound(round, place, final);
  if (final) verifyRound(scan(from).manifest, place);
  return round.copied;
}
