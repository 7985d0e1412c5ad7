import type { Mode } from "./migration";

/** How a repl's owner wants it to be moved. */
export type Policy = "auto" | "overlap" | "handoff";

export interface Observed {
  /** A container of it runs at the source. */
  readonly running: boolean;
  /** It wrote into its folder since its release. */
  readonly filesChanged: boolean;
}

/**
 * The mode of a move: what the caller asks for, else what the policy says. Nothing that runs is
 * nothing to hand over or to overlap. What has written files may write again, and two writers lose
 * writes, so it is handed over; what never did is taken as stateless.
 */
export function chooseMode(requested: Mode | null, policy: Policy, observed: Observed): Mode {
  if (requested !== null) return requested;
  if (!observed.running) return "asleep";
  if (policy !== "auto") return policy;
  return observed.filesChanged ? "handoff" : "overlap";
}
