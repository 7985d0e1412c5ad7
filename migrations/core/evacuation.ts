import { backoffMs } from "../../shared/backoff";
import type { Mode } from "./migration";

/**
 * An evacuation moves everything out of a cluster, as a desired state: no list is made at its start.
 * Again and again it is looked what still lives there, and what is to be done about it. So what comes in
 * meanwhile is picked up, and a restart goes on without a cursor.
 *
 *     running ⇄ paused                 asked for
 *     running ▶ stopped ▶ running      too many failed · resumed
 *     running ▶ done                   nothing lives there, and nothing is under way
 *     running ▶ incomplete             what is left failed too often: each is named with its reason
 *     running, paused, stopped ▶ cancelled
 *
 * Whatever the state, moves that have begun go on to their end.
 */
export type EvacuationState =
  | "running"
  | "paused"
  | "stopped"
  | "cancelled"
  | "done"
  | "incomplete";

/** What somebody may ask of an evacuation. */
export type EvacuationRequest = "pause" | "resume" | "cancel";

interface Asked {
  readonly from: readonly EvacuationState[];
  readonly to: EvacuationState;
}

const ASKED: Readonly<Record<EvacuationRequest, Asked>> = {
  pause: { from: ["running"], to: "paused" },
  resume: { from: ["paused", "stopped"], to: "running" },
  cancel: { from: ["running", "paused", "stopped"], to: "cancelled" },
};

/** What a request changes an evacuation from, and to. */
export function mayAsk(asked: EvacuationRequest): Asked {
  return ASKED[asked];
}

/** Moves at once. What sleeps is moved in a tenth of a second, so few suffice; each copies files. */
export const DEFAULT_CONCURRENT = 8;
export const DEFAULT_PER_MINUTE = 1_200;
/** The budget looks at the latest move of so many repls, those that ended last. */
export const BUDGET_WINDOW = 50;
/** In percent of the window: more than 2 of 50 say that something is wrong with more than an app. */
export const DEFAULT_ERROR_BUDGET = 5;
/** A repl that failed so often is left, and named. */
export const MAX_FAILURES = 5;
/** Before a repl that failed is tried again: a busy one may have ended what it did. */
export const RETRY_BACKOFF = { minMs: 5_000, maxMs: 120_000 } as const;

export const MINUTE_MS = 60_000;

export interface Limits {
  readonly maxConcurrent: number;
  /** Moves begun in any 60 s. */
  readonly perMinute: number;
  /** Percent of the last moves that may have failed. */
  readonly errorBudget: number;
}

/** A repl that lives in the cluster. */
export interface Resident {
  readonly replId: string;
  /** How it would be moved now; null when the cluster does not say what runs. */
  readonly mode: Mode | null;
  readonly bytes: number | null;
  /** A migration of it is under way, of this evacuation or not. */
  readonly isMoving: boolean;
}

/** What became of a repl's moves in this evacuation, since it was started or resumed. */
export interface Failed {
  readonly failures: number;
  readonly lastAtMs: number;
}

/** All that a step of an evacuation depends on. */
export interface Situation {
  readonly limits: Limits;
  readonly residents: readonly Resident[];
  readonly failed: ReadonlyMap<string, Failed>;
  /** Of the last repls whose moves ended, how many failed; that a repl was busy is none. */
  readonly failedLately: number;
  /** Migrations of this evacuation that are not committed yet. */
  readonly underWay: number;
  /** Unfinished migrations from or to the cluster, whoever began them, and old containers that drain. */
  readonly unsettled: number;
  /** When the migrations of this evacuation in the last minute began. */
  readonly begunAtMs: readonly number[];
  readonly nowMs: number;
}

export type Step =
  | { readonly kind: "begin"; readonly replIds: readonly string[] }
  /** Null: there is nothing to say but that it is at work. */
  | { readonly kind: "wait"; readonly reason: string | null }
  | { readonly kind: "stop"; readonly reason: string }
  | { readonly kind: "end"; readonly state: "done" | "incomplete"; readonly reason: string };

/** What a running evacuation does next. */
export function step(situation: Situation): Step {
  const { residents, failed, unsettled, limits } = situation;
  if (isOverBudget(situation)) {
    const { failedLately } = situation;
    const reason = `${failedLately} of the last ${BUDGET_WINDOW} failed; the error budget is ${limits.errorBudget} %`;
    return { kind: "stop", reason };
  }
  const left = residents.filter(({ isMoving, replId }) => !isMoving && !isGivenUp(failed, replId));
  if (left.length > 0) return beginSome(situation, left);
  if (unsettled > 0 || residents.some(({ isMoving }) => isMoving)) {
    return { kind: "wait", reason: "the last moves come to their end" };
  }
  if (residents.length === 0) return { kind: "end", state: "done", reason: "" };
  const reason = `${residents.length} cannot be moved: each has failed ${MAX_FAILURES} times`;
  return { kind: "end", state: "incomplete", reason };
}

function isOverBudget({ limits, failedLately }: Situation): boolean {
  return failedLately * 100 > limits.errorBudget * BUDGET_WINDOW;
}

function isGivenUp(failed: Situation["failed"], replId: string): boolean {
  return (failed.get(replId)?.failures ?? 0) >= MAX_FAILURES;
}

function beginSome(situation: Situation, left: readonly Resident[]): Step {
  const { limits, failed, nowMs, underWay, begunAtMs } = situation;
  const ready = left.filter(({ replId }) => isDue(failed.get(replId), nowMs));
  if (ready.length === 0) return { kind: "wait", reason: "what failed is tried again later" };
  const lately = begunAtMs.filter((atMs) => atMs > nowMs - MINUTE_MS).length;
  const room = Math.min(limits.maxConcurrent - underWay, limits.perMinute - lately);
  if (underWay >= limits.maxConcurrent) return { kind: "wait", reason: null };
  if (room <= 0) return { kind: "wait", reason: `${limits.perMinute} a minute is the limit` };
  const first = inOrder(ready, failed).slice(0, room);
  return { kind: "begin", replIds: first.map(({ replId }) => replId) };
}

function isDue(failed: Failed | undefined, nowMs: number): boolean {
  if (!failed) return true;
  return nowMs >= retryAtMs(failed);
}

/** When a repl that failed is tried again. */
export function retryAtMs({ failures, lastAtMs }: Failed): number {
  return lastAtMs + backoffMs(failures, RETRY_BACKOFF, 0);
}

/** What nobody notices comes first: asleep, then stateless, then what is handed over, unknown last. */
const RANK: Readonly<Record<Mode | "unknown", number>> = {
  asleep: 0,
  overlap: 1,
  handoff: 2,
  "stop-copy": 2,
  unknown: 3,
};

/** The order of an evacuation: what failed waits for the others, the small go before the large. */
export function inOrder(
  residents: readonly Resident[],
  failed: Situation["failed"] = new Map(),
): readonly Resident[] {
  const key = ({ replId, mode, bytes }: Resident): readonly number[] => [
    failed.get(replId)?.failures ?? 0,
    RANK[mode ?? "unknown"],
    bytes ?? 0,
  ];
  return residents.toSorted((a, b) => compare(key(a), key(b)) || (a.replId < b.replId ? -1 : 1));
}

function compare(a: readonly number[], b: readonly number[]): number {
  const at = a.findIndex((value, index) => value !== b[index]);
  return at === -1 ? 0 : (a[at] ?? 0) - (b[at] ?? 0);
}

/** How long the rest takes at the pace of the last minute; null while there is no pace. */
export function etaMs(remaining: number, movedLately: number, overMs: number): number | null {
  if (remaining === 0) return 0;
  return movedLately === 0 ? null : Math.round((remaining / movedLately) * overMs);
}
