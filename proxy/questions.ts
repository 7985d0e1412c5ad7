import type { Placement } from "./core/route";

/** What the authority is asked: one of the ways to name a repl; the others are empty. */
export interface LookupQuery {
  readonly replId: string;
  readonly name: string;
  readonly owner: string;
  readonly hostname: string;
}

/** An answer of the authority, with the id of what was found. */
export interface Found extends Placement {
  readonly replId: string;
}

export type WakeOutcome = "running" | "frozen" | "moved" | "failed" | "none" | "unreachable";

/** The request that asks: its id and trace go on in the logs and spans of whoever answers. */
export interface Cause {
  readonly requestId: string;
  readonly traceparent: string;
}

/** What only the rest of the platform can do. Each is answered later, by a method of the proxy. */
export interface Requests {
  wake(replId: string, cause: Cause): void;
  lookup(key: string, query: LookupQuery): void;
  /** Read the routes again, now. */
  reread(): void;
}
