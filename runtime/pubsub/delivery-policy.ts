/** What a subscription says of messages that fail. Durations are milliseconds. */
export interface RetryPolicy {
  readonly minBackoffMs: number;
  readonly maxBackoffMs: number;
  readonly maxRetries: number;
}

/** Encore's own numbers for "for ever" and "not once". */
const INFINITE_RETRIES = -1;
const NO_RETRIES = -2;
const DEFAULT_RETRIES = 100;

/** How often a message is delivered before it goes to the dead letters. */
export function maxAttempts(maxRetries: number): number {
  if (maxRetries === INFINITE_RETRIES) return Infinity;
  if (maxRetries === NO_RETRIES) return 1;
  return 1 + (maxRetries === 0 ? DEFAULT_RETRIES : maxRetries);
}

/** Doubles with each failed attempt, from `minBackoffMs` to `maxBackoffMs`. */
export function backoffMs(
  attempt: number,
  { minBackoffMs, maxBackoffMs }: Omit<RetryPolicy, "maxRetries">,
): number {
  return Math.min(maxBackoffMs, minBackoffMs * 2 ** Math.min(attempt - 1, 52));
}

/** What becomes of a message whose delivery failed for the `attempt`th time. */
export function afterFailure(
  attempt: number,
  policy: RetryPolicy,
): { readonly to: "retry"; readonly delayMs: number } | { readonly to: "dead letter" } {
  if (attempt >= maxAttempts(policy.maxRetries)) return { to: "dead letter" };
  return { to: "retry", delayMs: backoffMs(attempt, policy) };
}

/** A claim beyond the last attempt: the process ended in that one, and nobody could say so. */
export function isSpent(attempt: number, { maxRetries }: RetryPolicy): boolean {
  return attempt > maxAttempts(maxRetries);
}
