import { existsSync, renameSync } from "node:fs";
import { join } from "node:path";

/** Each effect of a move, as its coordinator sees it: not begun, and done but not yet known. */
type Around<Effect extends string> = `migrations.${Effect}.${"before" | "after"}`;

const around = <const Effect extends string>(...effects: readonly Effect[]) =>
  effects.flatMap((effect): Around<Effect>[] => [
    `migrations.${effect}.before`,
    `migrations.${effect}.after`,
  ]);

/**
 * Where a move may be held, so that a test can end a process just there, by the process that is held:
 * the control plane's, the source's, the destination's, or a cluster's in either part. The matrix of
 * crashes (`e2e/crash-matrix.ts`) fails for a point that no move meets, the compiler for one that is
 * not listed.
 */
export const FAILPOINTS = {
  control: [
    "migrations.requested",
    ...around("open_migration", "choose_mode", "stage_destination", "copy_files", "freeze_source"),
    ...around("copy_delta", "boot_destination", "verify_destination", "seal_source"),
    ...around(
      "commit_placement",
      "activate_destination",
      "tombstone_source",
      "publish_moved",
      "drain_source",
    ),
    ...around("clean_source", "abort_placement", "unstage_destination", "thaw_source"),
    // Written, in a transaction that has not ended.
    "clusters.open.written",
    "clusters.commit.written",
    "clusters.abort.written",
  ],
  source: [
    "containers.freeze.row",
    "containers.freeze.quiet",
    "containers.freeze.answer",
    "containers.seal.row",
    "containers.seal.answer",
    "containers.tombstone.row",
    "containers.tombstone.answer",
    "containers.drain_old.quiet",
    "containers.drain_old.answer",
    "containers.cleanup.kept",
    "containers.cleanup.removed",
    "containers.cleanup.answer",
    "containers.thaw.row",
    "containers.thaw.answer",
  ],
  destination: [
    "containers.stage.row",
    "containers.stage.answer",
    "containers.copy_files.prepared",
    "containers.copy_files.brought",
    "containers.copy_files.copied",
    "containers.copy_files.answer",
    "containers.copy_delta.prepared",
    "containers.copy_delta.brought",
    "containers.copy_delta.copied",
    "containers.copy_delta.answer",
    "containers.boot.leased",
    "containers.boot.answer",
    "containers.verify.probed",
    "containers.verify.answer",
    "containers.activate.row",
    "containers.activate.answer",
    "containers.unstage.row",
    "containers.unstage.stopped",
    "containers.unstage.answer",
  ],
  cluster: [
    "containers.start.claimed",
    "containers.start.spawned",
    "containers.start.listening",
    "containers.stop.row",
    "containers.stop.gone",
    "containers.tail.applied",
  ],
} as const;

export type Failpoint = (typeof FAILPOINTS)[keyof typeof FAILPOINTS][number];

const LOOK_EVERY_MS = 5;
const NOTHING = Promise.resolve();

/**
 * A folder of the test that runs this process; in it `armed/NAME@REPL` is a point to be held at. None
 * in production, whatever the environment says. An app has no part in it: it does not choose the
 * platform's environment, and cannot write there.
 */
const folder =
  process.env.NODE_ENV === "production" ? "" : (process.env.STELE_FAILPOINTS_DIR ?? "");

/** Here a test may hold the move of that repl; otherwise nothing happens. */
export function failpoint(name: Failpoint, replId: string): Promise<void> {
  return folder === "" ? NOTHING : untilReleased(take(name, replId));
}

/** The same for a thread that works with blocking calls. */
export function failpointSync(name: Failpoint, replId: string): void {
  if (folder === "") return;
  const held = take(name, replId);
  while (held !== null && existsSync(held)) {
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, LOOK_EVERY_MS);
  }
}

/** The file that says that it is held; null when nobody wants it. Each order is for one, and once. */
function take(name: Failpoint, replId: string): string | null {
  const held = join(folder, "held", `${name}@${replId}`);
  try {
    renameSync(join(folder, "armed", `${name}@${replId}`), held);
    return held;
  } catch {
    return null;
  }
}

async function untilReleased(held: string | null): Promise<void> {
  while (held !== null && existsSync(held)) {
    await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
  }
}
