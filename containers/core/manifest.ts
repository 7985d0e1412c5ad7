/** One thing in a folder. */
export interface Entry {
  /** Relative, `/` between parts; a byte that is no UTF-8 is a lone surrogate, U+DC80 to U+DCFF. */
  readonly path: string;
  /** `name`: a further name of a file, which is the first of its names. */
  readonly type: "file" | "directory" | "link" | "name";
  /** Bytes; 0 for what is no file. */
  readonly size: number;
  /** Whole milliseconds since the epoch; 0 for what is no file: a folder's time says nothing. */
  readonly mtimeMs: number;
  /** When its inode last changed, in microseconds, which no app can set back; 0 for what is no file. */
  readonly ctimeUs: number;
  /** Which inode it is in its file system; 0 for what is no file. */
  readonly inode: number;
  /** Permission bits; 0 for links and names, which have none of their own. */
  readonly mode: number;
  /** Where a link points, or the first name of a file; "" for what is neither. */
  readonly target: string;
}

/**
 * Clocks of file systems are coarse: a write may fall into the same tick as the scan that misses it.
 * Those that date in fractions of a millisecond tick with the kernel, each 10 ms at least.
 */
const FINE_TICK_US = 20_000;
const COARSE_TICK_US = 2_000_000;
/**
 * A write through a mapping is dated when it makes a clean page dirty; later ones into that page are
 * not, until the kernel has written it out: after 30 s, looked at each 5 s, by default.
 */
const DIRTY_MS = 40_000;

/** What a folder holds, sorted by path, so that a folder comes before what is in it. */
export type Manifest = readonly Entry[];

export interface Difference {
  /** Missing or other content: to be copied. Folders come before what is in them. */
  readonly write: readonly Entry[];
  /** Paths that are too much; what is in a folder comes before it. */
  readonly remove: readonly string[];
  /** Same content, other permissions. */
  readonly chmod: readonly Entry[];
}

function sameContent(a: Entry, b: Entry): boolean {
  return a.type === b.type && a.size === b.size && a.mtimeMs === b.mtimeMs && a.target === b.target;
}

/** Byte order of the path, so that both sides sort alike in every locale. */
export function byPath(a: Entry, b: Entry): number {
  return a.path < b.path ? -1 : Number(a.path > b.path);
}

/** What makes `target` equal to `source`. */
export function difference(source: Manifest, target: Manifest): Difference {
  const existing = new Map(target.map((entry) => [entry.path, entry]));
  const wanted = new Map(source.map((entry) => [entry.path, entry]));
  const write: Entry[] = [];
  const chmod: Entry[] = [];
  for (const entry of source) {
    const there = existing.get(entry.path);
    if (!there || !sameContent(entry, there)) write.push(entry);
    else if (there.mode !== entry.mode) chmod.push(entry);
  }
  // A thing that changed its type is in the way: it goes first, with all that is in it.
  const remove = target
    .filter(({ path, type }) => wanted.get(path)?.type !== type)
    .map(({ path }) => path)
    .reverse();
  return { write, remove, chmod };
}

/** What changes whenever a file is written, replaced, renamed or its times are set. */
export function stampOf({ inode, ctimeUs }: Entry): string {
  return `${inode}.${ctimeUs}`;
}

/** When a source was looked at, by the clock of its file system. */
export interface LookedAt {
  readonly scannedAtUs: number;
  /** What was written to shortly before had been written out first, so that later writes are dated. */
  readonly isFlushed: boolean;
}

/**
 * Whether each write into a file after that look shows in its stamp, so that it need not be read again
 * as long as that is the same.
 */
export function isSettled(
  { ctimeUs, mtimeMs }: Entry,
  { scannedAtUs, isFlushed }: LookedAt,
): boolean {
  const tickUs = ctimeUs % 1_000 === 0 ? COARSE_TICK_US : FINE_TICK_US;
  const isDated = isFlushed || mtimeMs < scannedAtUs / 1_000 - DIRTY_MS;
  return ctimeUs < scannedAtUs - tickUs && isDated;
}

/**
 * Files that may have pages which are written through a mapping without a sign. Those with the time
 * that the release gave them have not been written since then.
 */
export function mayBeDirty(
  manifest: Manifest,
  scannedAtUs: number,
  released: Manifest,
): readonly Entry[] {
  const sinceMs = scannedAtUs / 1_000 - DIRTY_MS;
  const recent = manifest.filter(({ type, mtimeMs }) => type === "file" && mtimeMs >= sinceMs);
  if (recent.length === 0) return recent;
  const given = new Map(released.map(({ path, mtimeMs }) => [path, mtimeMs]));
  return recent.filter(({ path, mtimeMs }) => mtimeMs !== given.get(path));
}

/**
 * Files whose inodes changed at `sinceMs` or later. That is a time of a file beside them, so however
 * coarse their clock is, it is the same.
 */
export function changedSince(manifest: Manifest, sinceMs: number): readonly Entry[] {
  return manifest.filter(({ type, ctimeUs }) => type === "file" && ctimeUs >= sinceMs * 1_000);
}

export function isSame(source: Manifest, target: Manifest): boolean {
  const { write, remove, chmod } = difference(source, target);
  return write.length + remove.length + chmod.length === 0;
}

/** Bytes of all files. */
export function totalBytes(manifest: Manifest): number {
  return manifest.reduce((sum, { size }) => sum + size, 0);
}
