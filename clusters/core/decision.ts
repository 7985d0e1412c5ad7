/**
 * How a migration is decided: one row, one compare-and-set.
 *
 *     (no row) ──open──▶ open ──┬──▶ committed
 *         │                     │
 *         └──────── abort ──────┴──▶ aborted
 *
 * Both ends are final. Whoever wants to cancel must win this row, and so must whoever commits;
 * everybody else is told what stands. An abort of a migration that was never opened is kept as
 * well: an `open` that arrives later must not bring it to life.
 */
export type Decision = "committed" | "aborted";
export type DecisionStatus = "open" | Decision | "unknown";

export interface DecideCommand {
  readonly decision: Decision;
  /** The destination's boot lease is over: it may have fenced itself, so a commit aborts instead. */
  readonly expired: boolean;
}

export type Verdict =
  /** Nothing changes: this was decided before. */
  | { readonly kind: "stands"; readonly status: Decision }
  /** Move the placement and write the log entry, with the row, in one transaction. */
  | { readonly kind: "commit" }
  | { readonly kind: "abort" }
  /** A commit of something that was never opened. */
  | { readonly kind: "refuse" };

export function decide(status: DecisionStatus, command: DecideCommand): Verdict {
  switch (status) {
    case "committed":
    case "aborted":
      return { kind: "stands", status };
    case "open":
      return { kind: command.decision === "committed" && !command.expired ? "commit" : "abort" };
    case "unknown":
      return { kind: command.decision === "aborted" ? "abort" : "refuse" };
  }
}
