/** Whether a nonce was there before. */
export interface Nonces {
  /** Requests from before this time are not told apart from replays: they are refused as old. */
  readonly since: number;
  /** `full`: it cannot be remembered, and so must not be accepted. */
  take(nonce: string, now: number): "new" | "seen" | "full";
}

export interface NoncesOptions {
  /** From acceptance until a request is too old to come again. */
  readonly lifetimeMs: number;
  /** How many are remembered; those that come on top are refused, and none is forgotten for them. */
  readonly limit: number;
  /** When the memory begins, in milliseconds since the epoch. */
  readonly since: number;
}

/**
 * Remembers nonces in two halves that take turns, so that forgetting costs nothing: each half is filled
 * for one lifetime, kept for another, and dropped whole. Bounded by twice the limit.
 */
export function createNonces({ lifetimeMs, limit, since }: NoncesOptions): Nonces {
  let current = new Set<string>();
  let previous = new Set<string>();
  let turnedAt = since;
  return {
    since,
    take(nonce, now) {
      if (now >= turnedAt + lifetimeMs) {
        // A clock that jumped far ahead has outlived both halves.
        previous = now >= turnedAt + 2 * lifetimeMs ? new Set() : current;
        current = new Set();
        turnedAt = now;
      }
      if (current.has(nonce) || previous.has(nonce)) return "seen";
      if (current.size >= limit) return "full";
      current.add(nonce);
      return "new";
    },
  };
}
