import {
  chmodSync,
  closeSync,
  constants,
  copyFileSync,
  existsSync,
  fstatSync,
  ftruncateSync,
  openSync,
  type PathLike,
  renameSync,
  rmSync,
  writeSync,
} from "node:fs";

import { BLOCK_BYTES } from "./core/pieces";
import { inside } from "./file-names";
import { openInside, readWhole } from "./file-tree";

/** The bytes of one file, from where it is into a draft. Zeros become holes. */

/** Opens a draft for writing. What is in its place becomes the draft: most of it may stay. */
export function openDraft(path: PathLike, draft: string): number {
  if (!existsSync(draft) && existsSync(path)) renameSync(path, draft);
  if (existsSync(draft)) chmodSync(draft, 0o600);
  return openSync(draft, constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW, 0o600);
}

/** What file systems give room for at once: a smaller hole is none. */
const PAGE_BYTES = 4_096;
const ZEROS = Buffer.alloc(BLOCK_BYTES);

export function isZero(bytes: Uint8Array): boolean {
  return ZEROS.subarray(0, bytes.length).equals(bytes);
}

/** At most a block. What reads as zero already is not written, so that holes stay holes. */
export function writeBytes(file: number, bytes: Uint8Array, at: number): void {
  const there = hasZeroPage(bytes) ? readThere(file, at, bytes.length) : null;
  const isHole = (from: number): boolean =>
    there !== null && isZero(pageAt(bytes, from)) && isZero(pageAt(there, from));
  for (let from = 0; from < bytes.length;) {
    const isSkipped = isHole(from);
    let to = from + PAGE_BYTES;
    while (to < bytes.length && isHole(to) === isSkipped) to += PAGE_BYTES;
    if (!isSkipped) writeAll(file, bytes.subarray(from, to), at + from);
    from = to;
  }
}

const pageAt = (bytes: Uint8Array, from: number): Uint8Array =>
  bytes.subarray(from, from + PAGE_BYTES);

function hasZeroPage(bytes: Uint8Array): boolean {
  for (let from = 0; from < bytes.length; from += PAGE_BYTES) {
    if (isZero(pageAt(bytes, from))) return true;
  }
  return false;
}

/** What lies beyond the end reads as zero. */
function readThere(file: number, at: number, length: number): Buffer {
  const there = Buffer.alloc(length);
  if (at < fstatSync(file).size) readWhole(file, there, at);
  return there;
}

function writeAll(file: number, bytes: Uint8Array, at: number): void {
  for (let done = 0; done < bytes.length;) {
    done += writeSync(file, bytes, done, bytes.length - done, at + done);
  }
}

/** From here on it is worth to compare. */
const PATCHED_BYTES = 4 * BLOCK_BYTES;
/** Smaller ones have no holes that matter, and some file systems keep them without blocks. */
const SPARSE_BYTES = 16 * PAGE_BYTES;

/**
 * Copies a file of a folder into its draft. Throws as gone what is no longer what the scan saw. A large
 * one that is at `there` already is compared, and written where it differs: a disk writes slower than
 * memory is read.
 */
export function copyContent(from: string, path: string, draft: string, there?: PathLike): void {
  const file = openInside(from, path);
  try {
    const source = process.platform === "linux" ? `/proc/self/fd/${file}` : inside(from, path);
    const { size, blocks } = fstatSync(file);
    const isSparse = size >= SPARSE_BYTES && blocks * 512 < size;
    const isPatched = size >= PATCHED_BYTES && there !== undefined && existsSync(there);
    if (!isSparse && !isPatched) copyFileSync(source, draft, constants.COPYFILE_FICLONE);
    else if (!isCloned(source, draft)) patch(file, openDraft(there ?? draft, draft));
  } finally {
    closeSync(file);
  }
}

/** Some file systems share the blocks of a copy: nothing is faster. */
function isCloned(source: PathLike, draft: string): boolean {
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
