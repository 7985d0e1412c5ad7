/** Files that stay for a while where a repl has moved away from, so that it is fast to bring it back. */
import { existsSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";

import { type ContainerRef, markerOf } from "./drivers/driver";
import { markAsKept } from "./file-kept";
import { manifestOf } from "./file-tree";
import { filesChanged, removeFolder } from "./files";
import { closeGenerationDir, generationDir } from "./host";
import { lock } from "./runner";
import { config } from "./settings";
import type { ClusterStore } from "./store";
import { forgetKept, keep, kept, overdue } from "./store-kept";

const MEGABYTE = 1024 * 1024;

/**
 * Of the generations that a repl has left here, for that of its move, the newest stays; null when none is
 * kept.
 */
export async function keepNewest(
  store: ClusterStore,
  replId: string,
  { generations, leftFor }: { readonly generations: readonly number[]; readonly leftFor: number },
): Promise<number | null> {
  if (config().undoKeepMs === 0 || generations.length === 0) return null;
  const generation = Math.max(...generations);
  const ref = { clusterId: store.clusterId, replId, generation };
  const { bytes } = await filesChanged({ generationDir: generationDir(ref) });
  closeGenerationDir(ref);
  markAsKept(generationDir(ref), leftFor);
  await keep(store.clusterId, { replId, generation }, bytes);
  return generation;
}

/**
 * Makes kept files the beginning of a staged generation: the first round of the copy then brings what
 * differs. False when there are none, or the copy has begun.
 */
export async function takeKept(store: ClusterStore, ref: ContainerRef): Promise<boolean> {
  const found = await kept(store.clusterId, ref.replId);
  if (!found || found.generation >= ref.generation) return false;
  const from = { ...ref, generation: found.generation };
  return await lock.run(markerOf(from), async () => {
    const [old, fresh] = [generationDir(from), generationDir(ref)];
    const isThere = existsSync(old) && !existsSync(fresh);
    if (isThere) {
      rmSync(join(old, "partial"), { recursive: true, force: true });
      rmSync(manifestOf(old), { force: true });
      renameSync(old, fresh);
    }
    await forgetKept(store.clusterId, ref.replId, found.generation);
    return isThere;
  });
}

/** Removes what is kept for too long, or is too much. */
export async function sweepKept(
  store: ClusterStore,
  limits = { keepMs: config().undoKeepMs, maxBytes: config().undoMaxMegabytes * MEGABYTE },
): Promise<void> {
  const { clusterId } = store;
  for (const found of await overdue(clusterId, limits)) {
    const ref = { clusterId, ...found };
    await lock.run(markerOf(ref), async () => {
      const route = await store.route(ref.replId);
      const isItsHome = route?.generation === ref.generation && route.state !== "none";
      if (!isItsHome) await removeFolder({ directory: generationDir(ref) });
      await forgetKept(clusterId, ref.replId, ref.generation);
    });
  }
}
