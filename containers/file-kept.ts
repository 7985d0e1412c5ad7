import { lstatSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";

import { changedSince, type Entry, type Manifest } from "./core/manifest";
import { forgetArrived } from "./file-arrived";

/**
 * A copy may begin with the folder that the repl has left here (`kept.ts`). Two marks beside an app's
 * files tell what of it can be as it was: on the source that it was a whole copy of the folder, and
 * since when the app writes there; on the folder for which generation it was left.
 */

/** The folder of that generation was equal to the one it was copied from. */
export interface Settled {
  readonly generation: number;
  /** By the clock of its file system. What came later changed inodes later. */
  readonly atMs: number;
}

const settledMark = (generationDir: string): string => join(generationDir, "settled");
const keptMark = (generationDir: string): string => join(generationDir, "kept");

/** After the last round of a copy, before anything runs there. */
export function markSettled(generationDir: string): void {
  writeFileSync(settledMark(generationDir), basename(generationDir), { mode: 0o600 });
}

/** Null where the last copy was none to the end, or there was none. */
export function settledOf(generationDir: string): Settled | null {
  const mark = lstatSync(settledMark(generationDir), { throwIfNoEntry: false });
  if (!mark) return null;
  const generation = Number(readFileSync(settledMark(generationDir), "utf8"));
  return Number.isSafeInteger(generation) ? { generation, atMs: Math.floor(mark.mtimeMs) } : null;
}

/** `leftFor`: the generation of the move that took the repl away. Nobody writes there any more. */
export function markAsKept(generationDir: string, leftFor: number): void {
  rmSync(settledMark(generationDir), { force: true });
  forgetArrived(generationDir);
  writeFileSync(keptMark(generationDir), String(leftFor), { mode: 0o600 });
}

/** For which generation what is there was left; null when a round of a copy made it. */
export function keptFor(generationDir: string): number | null {
  const mark = lstatSync(keptMark(generationDir), { throwIfNoEntry: false });
  return mark ? Number(readFileSync(keptMark(generationDir), "utf8")) : null;
}

/** A round has come to its end: what is there is the copy's. */
export function forgetMark(generationDir: string): void {
  rmSync(keptMark(generationDir), { force: true });
}

/**
 * Files that may differ from the kept ones although size and time are the same. All of them, unless the
 * source was copied from this very folder: then those whose inodes changed since.
 */
export function unsureOfKept(
  manifest: Manifest,
  leftFor: number,
  settled: Settled | null,
): readonly Entry[] {
  if (settled?.generation === leftFor) return changedSince(manifest, settled.atMs);
  return manifest.filter(({ type }) => type === "file");
}
