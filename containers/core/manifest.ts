/** One thing in a folder. */
export interface Entry {
  /** Relative, `/` between parts. */
  readonly path: string;
  readonly type: "file" | "directory" | "link";
  /** Bytes; 0 for what is no file. */
  readonly size: number;
  /** Whole milliseconds since the epoch; 0 for what is no file: a folder's time says nothing. */
  readonly mtimeMs: number;
  /** When its inode last changed, which no app can set back; 0 for what is no file. */
  readonly ctimeMs: number;
  /** Permission bits; 0 for links, which have none. */
  readonly mode: number;
  /** Where a link points; "" for what is no link. */
  readonly target: string;
}

/** Clocks of file systems are coarse: a write may fall into the same tick as the scan that misses it. */
const TICK_MS = 2_000;
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

/**
 * Files that may have been written since a scan at `scannedAtMs`, by the same clock, without a sign in
 * size and time. Those with the time that the release gave them have not been written since then.
 */
export function unsure(
  manifest: Manifest,
  scannedAtMs: number,
  released: Manifest,
): readonly Entry[] {
  const given = new Map(released.map(({ path, mtimeMs }) => [path, mtimeMs]));
  return manifest.filter(
    ({ path, type, mtimeMs, ctimeMs }) =>
      type === "file" &&
      (ctimeMs >= scannedAtMs - TICK_MS ||
        (mtimeMs >= scannedAtMs - DIRTY_MS && mtimeMs !== given.get(path))),
  );
}

/**
 * Files whose inodes changed at `sinceMs` or later. That is a time of a file beside them, so however
 * coarse their clock is, it is the same.
 */
export function changedSince(manifest: Manifest, sinceMs: number): readonly Entry[] {
  return manifest.filter(({ type, ctimeMs }) => type === "file" && ctimeMs >= sinceMs);
}

export function isSame(source: Manifest, target: Manifest): boolean {
  const { write, remove, chmod } = difference(source, target);
  return write.length + remove.length + chmod.length === 0;
}

/** Bytes of all files. */
export function totalBytes(manifest: Manifest): number {
  return manifest.reduce((sum, { size }) => sum + size, 0);
}
