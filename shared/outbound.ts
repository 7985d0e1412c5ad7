import {
  BrokenCircuitError,
  circuitBreaker,
  ConsecutiveBreaker,
  handleWhen,
  TaskCancelledError,
  timeout,
  TimeoutStrategy,
  wrap,
} from "cockatiel";
import { APIError, ErrCode } from "encore.dev/api";

/** So many failures in a row say that the other side is down, not that one call had bad luck. */
const FAILURES_TO_OPEN = 10;
/** Short, since a hold of requests may wait behind it (hold budget 10 s, design section 4). */
const OPEN_MS = 1_000;

/** Answers that blame the other side; every other APIError is a refusal, which proves that it lives. */
const OUTAGES: readonly ErrCode[] = [
  ErrCode.Unavailable,
  ErrCode.DeadlineExceeded,
  ErrCode.Internal,
  ErrCode.Unknown,
];

function isOutage(error: Error): boolean {
  return !(error instanceof APIError) || OUTAGES.includes(error.code);
}

export interface OutboundOptions {
  readonly timeoutMs: number;
}

/**
 * A guard for calls that leave the process: each has a deadline, and after a row of failures the next
 * ones fail at once for a second. The signal aborts at the deadline. Fails with `unavailable` or
 * `deadline_exceeded`, which name the peer, or with the call's own error.
 */
export function outbound(
  peer: string,
  { timeoutMs }: OutboundOptions,
): <T>(call: (signal: AbortSignal) => Promise<T>) => Promise<T> {
  const policy = wrap(
    circuitBreaker(handleWhen(isOutage), {
      halfOpenAfter: OPEN_MS,
      breaker: new ConsecutiveBreaker(FAILURES_TO_OPEN),
    }),
    timeout(timeoutMs, TimeoutStrategy.Aggressive),
  );
  return async (call) => {
    try {
      // A signal of its own: the policy would hang all its calls on one shared signal.
      return await policy.execute(({ signal }) => call(signal), new AbortController().signal);
    } catch (error) {
      if (error instanceof BrokenCircuitError) {
        throw APIError.unavailable(
          `Cannot reach ${peer}: its last ${FAILURES_TO_OPEN} calls failed`,
        );
      }
      if (error instanceof TaskCancelledError) {
        throw APIError.deadlineExceeded(`No answer from ${peer} within ${timeoutMs} ms`);
      }
      throw error;
    }
  };
}
