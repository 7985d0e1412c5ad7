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

/**
 * No name has a zero. A lone surrogate is a byte that is part of no character (`file-names.ts`); others, or
 * bytes that together are a character, would be a second way to write a name.
 */
const UNWRITABLE = new RegExp(
  [
    String.raw`[\0\ud800-\udc7f\udd00-\udfff]`,
    String.raw`[\udcc2-\udcdf][\udc80-\udcbf]`,
    String.raw`\udce0[\udca0-\udcbf][\udc80-\udcbf]`,
    String.raw`[\udce1-\udcec\udcee\udcef][\udc80-\udcbf]{2}`,
    String.raw`\udced[\udc80-\udc9f][\udc80-\udcbf]`,
    String.raw`\udcf0[\udc90-\udcbf][\udc80-\udcbf]{2}`,
    String.raw`[\udcf1-\udcf3][\udc80-\udcbf]{3}`,
    String.raw`\udcf4[\udc80-\udc8f][\udc80-\udcbf]{2}`,
  ].join("|"),
  "u",
);

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
  const { type, size, mtimeMs, ctimeUs, inode, mode, target } = entry;
  if (!["file", "directory", "link", "name"].includes(type)) return "its type is unknown";
  if (![size, inode].every(isCount) || ![mtimeMs, ctimeUs].every(isTime)) {
    return "its size or time is no number";
  }
  if (!isCount(mode) || mode > 0o7777) return "its mode is no mode";
  if (typeof target !== "string") return "its target is no text";
  if (type !== "file" && size !== 0) return "it is no file and has a size";
  if ((type === "link" || type === "name") && mode !== 0) return "it has a mode of its own";
  // The first name of a file is looked for among those that came before.
  if (type === "name") return null;
  if (type !== "link") return target === "" ? null : "it is no link and has a target";
  if (target === "" || UNWRITABLE.test(target) || utf8Bytes(target) > MAX_TARGET_BYTES) {
    return "its target is none";
  }
  return null;
}

/** As a release before this one wrote it: without what a later write shows in. */
type OlderEntry = Omit<Entry, "ctimeUs" | "inode"> & Partial<Entry>;

/** Only what we know: a stranger's object may have more, or inherit it. */
function entryOf(value: unknown): Entry | null {
  if (typeof value !== "object" || value === null) return null;
  const { path, type, size, mtimeMs, ctimeUs = 0, inode = 0, mode, target } = value as OlderEntry;
  return { path, type, size, mtimeMs, ctimeUs, inode, mode, target };
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
  const files = new Set<string>();
  let bytes = 0;
  const faultOf = (entry: Entry): string | null => {
    const last = manifest.at(-1);
    if (last && byPath(last, entry) >= 0) return "it is there twice, or not in its order";
    const parent = entry.path.slice(0, Math.max(0, entry.path.lastIndexOf("/")));
    if (parent !== "" && !folders.has(parent)) return "what it is in is no folder";
    if (entry.type === "name" && !files.has(entry.target)) return "what it names is no file";
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
      if (entry.type === "file") files.add(entry.path);
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
