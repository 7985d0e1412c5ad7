import { byPath, type Entry, type Manifest } from "./manifest";
import { BATCH_BLOCKS, BATCH_PIECES, BLOCK_BYTES, type Piece, utf8Bytes } from "./pieces";

/**
 * What another cluster says of files, checked before a path of it is used: neither side of a copy
 * trusts the other. Every function says what is wrong, or null.
 */
export interface ManifestLimits {
  readonly maxEntries: number;
  readonly maxBytes: number;
}

export const MANIFEST_LIMITS: ManifestLimits = {
  /** Each takes some 300 bytes at either side, twice while they are compared. */
  maxEntries: 1_000_000,
  /** What the time that a coordinator gives a copy (600 s) is enough for at 1 Gbit/s. */
  maxBytes: 64 * 1024 ** 3,
};

/** As many entries as a deployed directory may have, by far. */
export const MAX_RELEASED_BYTES = 256 * 1024 * 1024;
/** Of Linux (PATH_MAX), less what our own folders above it take. */
const MAX_PATH_BYTES = 3_800;
/** Of every file system in use (NAME_MAX). */
const MAX_NAME_BYTES = 255;
const MAX_TARGET_BYTES = 4_095;

/** A lone surrogate would be written as another character, and so under another name. */
const UNWRITABLE = /[\0\p{Surrogate}]/u;

/** Of a path inside a folder: relative, no way up, nothing that names a thing twice. */
export function pathFault(path: unknown): string | null {
  if (typeof path !== "string" || path === "") return "it is no path";
  if (path.length > MAX_PATH_BYTES || utf8Bytes(path) > MAX_PATH_BYTES) {
    return `its path is longer than ${MAX_PATH_BYTES} bytes`;
  }
  if (UNWRITABLE.test(path)) return "its path has a character that no file name can have";
  for (const name of path.split("/")) {
    if (name === "") return "its path is absolute or has an empty part";
    if (name === "." || name === "..") return `its path has the part "${name}"`;
    if (utf8Bytes(name) > MAX_NAME_BYTES) return `its name is longer than ${MAX_NAME_BYTES} bytes`;
  }
  return null;
}

const isCount = (value: unknown): value is number =>
  Number.isSafeInteger(value) && Number(value) >= 0;
const isTime = (value: unknown): value is number => Number.isSafeInteger(value);

function shapeFault(entry: Entry): string | null {
  const { type, size, mtimeMs, ctimeMs, mode, target } = entry;
  if (!["file", "directory", "link"].includes(type)) return "its type is unknown";
  if (!isCount(size) || !isTime(mtimeMs) || !isTime(ctimeMs))
    return "its size or time is no number";
  if (!isCount(mode) || mode > 0o7777) return "its mode is no mode";
  if (typeof target !== "string") return "its target is no text";
  if (type !== "file" && size !== 0) return "it is no file and has a size";
  if (type !== "link") return target === "" ? null : "it is no link and has a target";
  if (target === "" || UNWRITABLE.test(target) || utf8Bytes(target) > MAX_TARGET_BYTES) {
    return "its target is none";
  }
  return null;
}

/** Only what we know: a stranger's object may have more, or inherit it. */
function entryOf(value: unknown): Entry | null {
  if (typeof value !== "object" || value === null) return null;
  const { path, type, size, mtimeMs, ctimeMs, mode, target } = value as Entry;
  return { path, type, size, mtimeMs, ctimeMs, mode, target };
}

export interface ManifestReader {
  /** Takes the next entry; says why it is not taken. */
  readonly take: (value: unknown) => string | null;
  readonly manifest: Manifest;
}

/**
 * Reads a stranger's manifest entry by entry. Sorted, each path once, each folder before what is in it:
 * so nothing is ever written through a link or below a file.
 */
export function createManifestReader(limits: ManifestLimits = MANIFEST_LIMITS): ManifestReader {
  const manifest: Entry[] = [];
  const folders = new Set<string>();
  let bytes = 0;
  const faultOf = (entry: Entry): string | null => {
    const last = manifest.at(-1);
    if (last && byPath(last, entry) >= 0) return "it is there twice, or not in its order";
    const parent = entry.path.slice(0, Math.max(0, entry.path.lastIndexOf("/")));
    if (parent !== "" && !folders.has(parent)) return "what it is in is no folder";
    if (manifest.length >= limits.maxEntries) return `there are more than ${limits.maxEntries}`;
    if (bytes + entry.size > limits.maxBytes) {
      return `the files have more than ${limits.maxBytes} bytes`;
    }
    return null;
  };
  return {
    manifest,
    take(value) {
      const entry = entryOf(value);
      if (!entry) return "it is no entry";
      const fault = pathFault(entry.path) ?? shapeFault(entry) ?? faultOf(entry);
      if (fault !== null) return fault;
      manifest.push(entry);
      bytes += entry.size;
      if (entry.type === "directory") folders.add(entry.path);
      return null;
    },
  };
}

/** SHA-256, base64url. */
const HASH = /^[A-Za-z0-9_-]{43}$/;
/** Where the manifest of the release lies: beside the files, so by no path. */
export const RELEASED = "";

function pieceFault(value: unknown): string | null {
  if (typeof value !== "object" || value === null) return "a piece is none";
  const { path, offset, blocks, have } = value as Piece;
  const fault = path === RELEASED ? null : pathFault(path);
  if (fault !== null) return `of a piece: ${fault}`;
  if (!isCount(offset) || offset % BLOCK_BYTES !== 0) return "a piece does not begin with a block";
  if (!isCount(blocks) || blocks < 1 || blocks > BATCH_BLOCKS) {
    return `a piece has not 1 to ${BATCH_BLOCKS} blocks`;
  }
  const isKnown = Array.isArray(have) && have.length <= blocks;
  if (!isKnown || !have.every((hash) => typeof hash === "string" && HASH.test(hash))) {
    return "a piece has more hashes than blocks, or such as are none";
  }
  return null;
}

/** Of what the destination asks for; the blocks of all pieces are limited together. */
export function piecesFault(value: unknown): string | null {
  if (!Array.isArray(value) || value.length === 0) return "it names no piece";
  if (value.length > BATCH_PIECES) return `it names more than ${BATCH_PIECES} pieces`;
  for (const piece of value) {
    const fault = pieceFault(piece);
    if (fault !== null) return fault;
  }
  return null;
}
