import { createHash } from "node:crypto";
import { closeSync, fstatSync, realpathSync, statSync } from "node:fs";

import { RELEASED } from "./core/distrust";
import { type Entry } from "./core/manifest";
import { BATCH_BLOCKS, BLOCK_BYTES, type Piece } from "./core/pieces";
import { isZero } from "./file-content";
import { type Frame, pack, type Unsealed } from "./file-frames";
import { type Settled, settledOf } from "./file-kept";
import { lookAt } from "./file-look";
import { filesOf, isGone, manifestOf, openInside, readWhole } from "./file-tree";

/**
 * The source's side of a copy: what a folder holds, and pieces of its files, as frames that are made
 * when somebody takes them. Keeps nothing but the files that it has open.
 */

/** So that a frame stays below 1 MiB: an entry has two texts of up to 4 KiB each, mostly 100 bytes. */
const ENTRIES_CHARS = 128 * 1024;
/** For the log of who moves it; a folder of a thousand sockets needs no thousand names. */
const MAX_SPECIAL = 100;

/** What is said before the entries of a manifest. */
export interface ManifestHead {
  /** How it is started; null when nothing was deployed yet. */
  readonly release: unknown;
  /** By the clock of the source's file system, before it looked. */
  readonly scannedAtUs: number;
  /** What was written lately had been written out before the files were looked at. */
  readonly isFlushed: boolean;
  /** The manifest of the release, beside the files. */
  readonly released: { readonly size: number; readonly mtimeMs: number } | null;
  readonly special: readonly string[];
  /** When the folder was a whole copy, as it came here; null or absent: it did not, or was deployed here. */
  readonly settled?: Settled | null;
}

/** What one answer gives. */
export interface GiveJob {
  readonly kind: "give";
  /** The generation's folder. */
  readonly fromDir: string;
  /** Null: the manifest. */
  readonly pieces: readonly Piece[] | null;
  /** The source has stopped writing. */
  readonly final: boolean;
  readonly release: unknown;
}

export function give(job: GiveJob): Generator<Unsealed> {
  const frames = job.pieces ? pieceFrames(job.fromDir, job.pieces) : manifestFrames(job);
  return pack(guarded(frames));
}

/** A fault is told in words: the head of the answer was sent long ago. */
function* guarded(frames: Iterable<Frame>): Generator<Frame> {
  try {
    yield* frames;
    yield { kind: "end" };
  } catch (error) {
    yield { kind: "failed", reason: (error as Error).message };
  }
}

function* manifestFrames({ fromDir, release, final }: GiveJob): Generator<Frame> {
  if (release === null) {
    const nothing = { scannedAtUs: 0, isFlushed: true, released: null, special: [] };
    yield { kind: "head", head: { release, ...nothing } };
    return;
  }
  const { manifest, special, scannedAtUs, isFlushed } = lookAt(fromDir, final);
  const found = statSync(manifestOf(fromDir), { throwIfNoEntry: false });
  const released = found && { size: found.size, mtimeMs: Math.floor(found.mtimeMs) };
  const head: ManifestHead = {
    release,
    scannedAtUs,
    isFlushed,
    released: released ?? null,
    special: special.slice(0, MAX_SPECIAL),
    settled: settledOf(fromDir),
  };
  yield { kind: "head", head };
  let entries: Entry[] = [];
  let chars = 0;
  for (const entry of manifest) {
    entries.push(entry);
    chars += 100 + entry.path.length + entry.target.length;
    if (chars < ENTRIES_CHARS) continue;
    yield { kind: "entries", entries };
    [entries, chars] = [[], 0];
  }
  yield { kind: "entries", entries };
}

/** A file that grew since it was asked for could make an answer endless. */
const MAX_ANSWER_BYTES = 2 * BATCH_BLOCKS * BLOCK_BYTES;

function* pieceFrames(fromDir: string, pieces: readonly Piece[]): Generator<Frame> {
  let leftBytes = MAX_ANSWER_BYTES;
  const root = realpathSync(fromDir);
  for (const piece of pieces) {
    const file = leftBytes > 0 ? openPiece(root, piece) : null;
    if (file === null) {
      yield { kind: "gone" };
      continue;
    }
    try {
      for (const frame of blockFrames(file, piece)) {
        if (frame.kind === "data") leftBytes -= frame.bytes.length;
        yield frame;
      }
    } finally {
      closeSync(file);
    }
  }
}

function openPiece(root: string, { path }: Piece): number | null {
  try {
    return path === RELEASED ? openInside(root, "manifest.json") : openInside(filesOf(root), path);
  } catch (error) {
    if (isGone(error)) return null;
    throw error;
  }
}

function* blockFrames(file: number, { offset, blocks, have }: Piece): Generator<Frame> {
  const stat = fstatSync(file);
  if (!stat.isFile()) {
    yield { kind: "gone" };
    return;
  }
  const { size } = stat;
  yield { kind: "file", size };
  const end = Math.min(size, offset + blocks * BLOCK_BYTES);
  for (let at = offset, index = 0; at < end; at += BLOCK_BYTES, index++) {
    const bytes = Buffer.allocUnsafe(Math.min(BLOCK_BYTES, end - at));
    // The app cut it off meanwhile.
    if (readWhole(file, bytes, at) < bytes.length) {
      yield { kind: "gone" };
      return;
    }
    const hash = have[index];
    if (hash !== undefined && hashOf(bytes) === hash) yield { kind: "same" };
    else if (isZero(bytes)) yield { kind: "zero" };
    else yield { kind: "data", bytes };
  }
}

export function hashOf(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("base64url");
}
