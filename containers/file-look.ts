import { execFileSync } from "node:child_process";
import { closeSync, fsyncSync, lstatSync, realpathSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { type Entry, type LookedAt, type Manifest, mayBeDirty } from "./core/manifest";
import { filesOf, isGone, look, openInside, readManifest, type Scan, scan } from "./file-tree";

/** What a source holds, and by which marks later writes are seen. */
export interface Looked extends Scan, LookedAt {}

/**
 * Looks at a source. While its app runs, what it wrote lately is made to be written out, so that each
 * later write is dated; when it has stopped nobody writes any more.
 */
export function lookAt(generationDir: string, final: boolean): Looked {
  const scannedAtUs = clockOf(generationDir);
  const root = filesOf(realpathSync(generationDir));
  const { manifest, special } = scan(root);
  const dirty = final ? [] : mayBeDirty(manifest, scannedAtUs, readManifest(generationDir));
  if (dirty.length === 0) return { manifest, special, scannedAtUs, isFlushed: true };
  const isFlushed = flush(root, dirty);
  return { manifest: lookedAgain(root, manifest, dirty), special, scannedAtUs, isFlushed };
}

/** What the file system takes for now: its clock may be another machine's. */
function clockOf(generationDir: string): number {
  const file = join(generationDir, "clock");
  writeFileSync(file, "x", { mode: 0o600 });
  return Math.floor(lstatSync(file).ctimeMs * 1_000);
}

/** Each waits for the disk; from here on all of the file system is faster. */
const MAX_SINGLE = 64;
/** A disk that is busier is not waited for: what is not written out is read again after the freeze. */
const FLUSH_MS = 10_000;

/** False when that could not be done. */
function flush(root: string, dirty: readonly Entry[]): boolean {
  try {
    if (dirty.length > MAX_SINGLE) {
      execFileSync("sync", ["-f", root], { timeout: FLUSH_MS, stdio: "ignore" });
    } else {
      for (const { path } of dirty) flushFile(root, path);
    }
    return true;
  } catch {
    return false;
  }
}

function flushFile(root: string, path: string): void {
  let file: number;
  try {
    file = openInside(root, path);
  } catch (error) {
    if (isGone(error)) return;
    throw error;
  }
  try {
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}

/** The stamps as they are after the flush; what is another thing by now is the next round's to see. */
function lookedAgain(root: string, manifest: Manifest, dirty: readonly Entry[]): Manifest {
  const again = new Set(dirty);
  return manifest.map((entry) => {
    if (!again.has(entry)) return entry;
    const now = look(root, entry.path);
    return now?.type === "file" ? now : entry;
  });
}
