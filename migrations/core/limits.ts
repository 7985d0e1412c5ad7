import { type Effect, isBeforeCommit, type Mode, type Phase } from "./migration";

/** Requests are held 10 s at most; the coordinator gives up early enough to thaw within that. */
export const FREEZE_DEADLINE_MS = 5_000;
/** A request that is still running after so many freezes is not going to end (design section 4). */
export const MAX_FREEZES = 5;
/** Before the commit giving up costs nothing; this many tries take about 3 s. */
export const MAX_ATTEMPTS = 6;

/** Between two freezes the source serves, so that what was held is not held again at once. */
export const BUSY_BACKOFF = { minMs: 500, maxMs: 4_000 } as const;
/** Short at first: a hold may wait behind it. */
export const RETRY_BACKOFF = { minMs: 50, maxMs: 2_000 } as const;

/**
 * How long each effect may take, in milliseconds. Those between freeze and commit are cut short by
 * the freeze deadline anyway.
 */
export const TIMEOUT_MS: Readonly<Record<Effect, number>> = {
  open_migration: 5_000,
  choose_mode: 10_000,
  stage_destination: 10_000,
  copy_files: 600_000,
  freeze_source: 6_000,
  copy_delta: 30_000,
  boot_destination: 60_000,
  verify_destination: 15_000,
  seal_source: 5_000,
  commit_placement: 5_000,
  activate_destination: 5_000,
  tombstone_source: 5_000,
  publish_moved: 5_000,
  drain_source: 15_000,
  clean_source: 60_000,
  abort_placement: 5_000,
  unstage_destination: 15_000,
  thaw_source: 15_000,
};

/** A start that takes longer, while requests are held, comes too late anyway. */
const HELD_LEASE_MS = 8_000;
/** Nobody waits, or has long stopped waiting: as long as a start may take, and what follows it. */
const UNHELD_LEASE_MS = 75_000;
/** The clocks of two machines run apart, one that must stop a container may be busy. */
const LEASE_MARGIN_MS = 2_000;

/** How long a destination may run its container before the commit, from before it asked whether it may. */
export function bootLeaseMs(mode: Mode | null): number {
  return mode === "overlap" || mode === "stop-copy" ? UNHELD_LEASE_MS : HELD_LEASE_MS;
}

/** Until when a commit may count on a lease of which so much was left after `askedAtMs`. */
export function commitBy(askedAtMs: number, leaseLeftMs: number): number {
  return askedAtMs + leaseLeftMs - LEASE_MARGIN_MS;
}

/**
 * How long after an abort a lease may still last that began before it, in milliseconds. Both times are
 * by a clock of the coordinator's own that nobody sets: whose lease began later was told "aborted".
 */
export function leaseLeftMs(mode: Mode | null, abortedAtMs: number, nowMs: number): number {
  return Math.max(0, abortedAtMs + bootLeaseMs(mode) + LEASE_MARGIN_MS - nowMs);
}

/** Whether to try an effect again that failed `attempts` times: for ever, where there is no way back. */
export function mayRetry(phase: Phase, attempts: number): boolean {
  return !isBeforeCommit(phase) || attempts < MAX_ATTEMPTS;
}

/** How much of a freeze's deadline is left, in milliseconds; undefined where nothing is frozen. */
export function freezeLeftMs(
  phase: Phase,
  frozenAtMs: number | null,
  nowMs: number,
  deadlineMs: number = FREEZE_DEADLINE_MS,
): number | undefined {
  if (frozenAtMs === null || !isBeforeCommit(phase)) return undefined;
  return Math.max(0, frozenAtMs + deadlineMs - nowMs);
}
