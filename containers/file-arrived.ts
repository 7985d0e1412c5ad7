import { existsSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { isSettled, type LookedAt, type Manifest, stampOf } from "./core/manifest";
import { filesOf, scan } from "./file-tree";

/**
 * What a destination remembers between the rounds of a copy: what lies in its folder, and as which
 * version of each file of the source. So the last round, for which requests are held, looks at nothing
 * that an earlier one has brought and that has not changed since.
 */
export interface Arrived {
  /** What the folder holds. */
  readonly there: Manifest;
  /** By path, the stamp of the source's file whose content is there. */
  readonly seen: ReadonlyMap<string, string>;
}

const arrivedOf = (generationDir: string): string => join(generationDir, "arrived.json");
/** The paths that a round is about to touch; of these nothing is known until it has ended. */
const arrivingOf = (generationDir: string): string => join(generationDir, "arriving.json");

export function writeWhole(file: string, text: string): void {
  writeFileSync(`${file}.draft`, text, { mode: 0o600 });
  renameSync(`${file}.draft`, file);
}

export function arrivedIn(generationDir: string): Arrived {
  const files = filesOf(generationDir);
  if (!existsSync(arrivedOf(generationDir))) {
    return { there: scan(files).manifest, seen: new Map() };
  }
  const text = readFileSync(arrivedOf(generationDir), "utf8");
  const { there, seen } = JSON.parse(text) as { there: Manifest; seen: [string, string][] };
  const known = new Map(seen);
  if (!existsSync(arrivingOf(generationDir))) return { there, seen: known };
  const touched = JSON.parse(readFileSync(arrivingOf(generationDir), "utf8")) as string[];
  for (const path of touched) known.delete(path);
  return { there: scan(files).manifest, seen: known };
}

/** Before the folder is touched. */
export function noteArriving(generationDir: string, touched: Iterable<string>): void {
  if (!existsSync(arrivedOf(generationDir))) return;
  writeWhole(arrivingOf(generationDir), JSON.stringify([...touched]));
}

/** After a round while the app ran. `read`: paths of files whose content came after that look. */
export function noteArrived(
  generationDir: string,
  source: LookedAt & { readonly manifest: Manifest },
  before: Arrived["seen"],
  read: (path: string) => boolean,
): Arrived["seen"] {
  const seen = new Map<string, string>();
  for (const entry of source.manifest) {
    if (entry.type !== "file") continue;
    const stamp = stampOf(entry);
    const isKnown = read(entry.path) ? isSettled(entry, source) : before.get(entry.path) === stamp;
    if (isKnown) seen.set(entry.path, stamp);
  }
  const there = scan(filesOf(generationDir)).manifest;
  writeWhole(arrivedOf(generationDir), JSON.stringify({ there, seen: [...seen] }));
  rmSync(arrivingOf(generationDir), { force: true });
  return seen;
}

/** Somebody else may write into the folder from now on. */
export function forgetArrived(generationDir: string): void {
  for (const file of [arrivedOf(generationDir), arrivingOf(generationDir)]) {
    rmSync(file, { force: true });
  }
}
