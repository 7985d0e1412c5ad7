/**
 * When a failed attempt may be made again (RFC 9110 section 9.2.2): only if the app cannot have seen
 * the request, or a repetition means the same.
 */
export interface Attempt {
  /** The connection was established. */
  readonly connected: boolean;
  /** It had carried an exchange before, so the app may have closed it before it read this request. */
  readonly reused: boolean;
  /** Any byte of a response came. */
  readonly answered: boolean;
  /** Any byte of the request's body was handed over. */
  readonly bodySent: boolean;
  readonly method: string;
  /** Attempts made before on a connection that was then lost. */
  readonly lost: number;
}

/** `reroute`: read the route again first. `fresh`: the same upstream, on a new connection. */
export type Retry = "reroute" | "fresh" | "no";

const IDEMPOTENT = new Set(["GET", "HEAD", "OPTIONS", "PUT", "DELETE"]);

export function mayRetry(attempt: Attempt): Retry {
  if (!attempt.connected) return "reroute";
  if (!attempt.reused || attempt.answered || attempt.bodySent || attempt.lost > 0) return "no";
  return IDEMPOTENT.has(attempt.method) ? "fresh" : "no";
}
