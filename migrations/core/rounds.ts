import { FREEZE_DEADLINE_MS } from "./limits";

/**
 * When a handoff's files have been copied often enough while the app runs. Each round brings what changed
 * during the one before, so rounds get shorter as long as files are copied faster than they are written.
 */

/** What one round of a copy found and did. */
export interface Round {
  /** Of all files. */
  readonly bytes: number;
  readonly changedFiles: number;
  /** Of files that had to be read. */
  readonly changedBytes: number;
  /** Read, but to be read again: they were written at that very moment. */
  readonly unsettledBytes: number;
  readonly ms: number;
  /** Since the round before began; null for the first. */
  readonly sinceMs: number | null;
}

/** As long as the walk over 10⁴ files and a boot: shorter rounds would gain nothing. */
const SHORT_MS = 250;
/** A tenth of a second, also for a slow disk, and with the cost of opening each. */
const SMALL_BYTES = 4 * 1024 * 1024;
const SMALL_FILES = 200;
/** More bring nothing: each that helps is shorter by a third. */
export const MAX_ROUNDS = 8;
const SHRUNK = 0.7;
/** One may be slow by chance. */
const MAX_STALLED = 2;
/** Of the freeze deadline; the rest is for the stop, the boot and the switch. */
export const MAX_DELTA_MS = FREEZE_DEADLINE_MS / 2;

export type Verdict =
  /** What the last round would bring is little. */
  | { readonly kind: "freeze" }
  | { readonly kind: "again" }
  /** The app writes faster than can be copied. Rates are bytes per millisecond. */
  | {
      readonly kind: "outrun";
      readonly changeRate: number;
      readonly copyRate: number;
      readonly pauseMs: number;
    };

/** Whether to copy once more, freeze, or give up; `rounds` are those until now, at least one. */
export function verdictOf(rounds: readonly Round[]): Verdict {
  const last = rounds.at(-1);
  if (!last) return { kind: "again" };
  if (isSmall(last) || expectedMs(last) <= SHORT_MS) return { kind: "freeze" };
  const mayGoOn = rounds.length < MAX_ROUNDS;
  if (mayGoOn && stalled(rounds) < MAX_STALLED) return { kind: "again" };
  if (expectedMs(last) <= MAX_DELTA_MS) return { kind: "freeze" };
  const { changeRate, copyRate } = ratesOf(last);
  return { kind: "outrun", changeRate, copyRate, pauseMs: pauseOf(rounds, last) };
}

/** Of the first round everything has changed: it says nothing of how much the app writes. */
function isSmall({ sinceMs, changedBytes, changedFiles, unsettledBytes }: Round): boolean {
  const isLittle = changedBytes <= SMALL_BYTES && changedFiles <= SMALL_FILES;
  return sinceMs !== null && isLittle && unsettledBytes <= SMALL_BYTES;
}

/** How long the next round would take, if the app goes on as it did. */
function expectedMs(round: Round): number {
  const { ms, sinceMs, unsettledBytes } = round;
  const changing = sinceMs === null ? ms : ms * Math.min(1, ms / Math.max(1, sinceMs));
  return Math.max(changing, unsettledBytes / Math.max(1, ratesOf(round).copyRate));
}

/** How many rounds in a row, up to the last, were not much shorter than the one before. */
function stalled(rounds: readonly Round[]): number {
  let count = 0;
  for (let at = rounds.length - 1; at > 0; at--) {
    const [before, after] = [rounds[at - 1], rounds[at]];
    if (!before || !after || after.ms <= before.ms * SHRUNK) break;
    count++;
  }
  return count;
}

function ratesOf({ changedBytes, ms, sinceMs }: Round): {
  readonly changeRate: number;
  readonly copyRate: number;
} {
  return {
    changeRate: changedBytes / Math.max(1, sinceMs ?? ms),
    copyRate: changedBytes / Math.max(1, ms),
  };
}

/** Stop, boot and switch, without the copy. */
const AROUND_MS = 1_000;

/** How long a stop-copy would stop the app: it copies once before. */
function pauseOf(rounds: readonly Round[], last: Round): number {
  const { changeRate, copyRate } = ratesOf(last);
  const changed = Math.min(last.bytes, changeRate * (rounds[0]?.ms ?? 0));
  return Math.max(last.ms, changed / Math.max(1, copyRate)) + AROUND_MS;
}

/** A disk under load may be slower by as much than when it was measured. */
const SLOWER = 3;
/** Whoever needs longer is better served by a copy of one's own. */
export const MAX_STOP_MS = 30 * 60_000;

/**
 * How long a stop-copy may stop the app after this round: time to copy all of it, though most was
 * copied before.
 */
export function stopDeadlineMs({ bytes, changedBytes, ms }: Round): number {
  const wholeMs = ms * Math.max(1, bytes / Math.max(1, changedBytes));
  return Math.round(Math.min(MAX_STOP_MS, FREEZE_DEADLINE_MS + SLOWER * wholeMs));
}

/** Why a move was given up, for who wants it; `command` is how it can be done all the same. */
export function outrunReason(
  { changeRate, copyRate, pauseMs }: Extract<Verdict, { kind: "outrun" }>,
  command: string,
): string {
  const seconds = Math.ceil(pauseMs / 1_000);
  return (
    `the app changes ${megabytes(changeRate)} of its files and ${megabytes(copyRate)} can be copied; ` +
    `"${command}" moves it with a pause of about ${seconds} s`
  );
}

function megabytes(bytesPerMs: number): string {
  return `${(bytesPerMs / 1_000).toFixed(1)} MB/s`;
}
