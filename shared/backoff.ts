/** The bounds of a back-off, in milliseconds. */
export interface Backoff {
  readonly minMs: number;
  readonly maxMs: number;
}

/**
 * How long to wait before attempt number `attempt` (from 1), in milliseconds: doubles from `minMs` to
 * `maxMs`, and `random` (0 ≤ random < 1) takes off up to half, so that many waiters do not come back at once.
 */
export function backoffMs(attempt: number, { minMs, maxMs }: Backoff, random: number): number {
  const full = Math.min(maxMs, minMs * 2 ** Math.min(attempt - 1, 30));
  return Math.round(full * (1 - random / 2));
}
