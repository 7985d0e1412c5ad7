/** How many requests may wait, and for how long. */
import { LIMITS } from "./limits";

export interface Held {
  readonly inRepl: number;
  readonly inProcess: number;
  readonly bytes: number;
}

/** Whether one more may wait. The newest is refused: whoever was let in has a promise. */
export function mayHold(held: Held): boolean {
  return (
    held.inRepl < LIMITS.heldPerRepl &&
    held.inProcess < LIMITS.heldPerProcess &&
    held.bytes < LIMITS.heldBytesPerProcess
  );
}

/**
 * Until when a request waits. A hop brings the deadline of its first hold (0: none), so that two
 * holds in a row do not add up.
 */
export function holdUntil(now: number, waking: boolean, hopDeadline: number): number {
  const own = now + (waking ? LIMITS.wakeMs : LIMITS.holdMs);
  return hopDeadline > 0 ? Math.min(own, hopDeadline) : own;
}
