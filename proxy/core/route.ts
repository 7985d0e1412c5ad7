/**
 * What a cluster does with a request for a repl: the table of design section 4, total and pure.
 *
 * `minGeneration` is what an authenticated hop promised; 0 for a visitor. It rises along a path, so
 * two stale tombstones cannot send a request back and forth: the second one asks the authority.
 */
import { LIMITS } from "./limits";

export type RouteState = "none" | "staged" | "active" | "frozen" | "tombstone";

/** A row of `containers.route`, as far as routing needs it. */
export interface Route {
  readonly state: RouteState;
  readonly generation: number;
  /** Where a tombstone or a staged route points to. */
  readonly peer: string;
  /** A container of this generation runs and may get traffic. */
  readonly awake: boolean;
}

export type Decision =
  | { readonly action: "serve" }
  | { readonly action: "wake" }
  | { readonly action: "hold" }
  | { readonly action: "forward"; readonly peer: string; readonly minGeneration: number }
  | { readonly action: "ask" }
  | { readonly action: "refuse"; readonly error: "not_found" | "loop" | "authority_unreachable" };

const SERVE: Decision = { action: "serve" };
const WAKE: Decision = { action: "wake" };
const HOLD: Decision = { action: "hold" };
const ASK: Decision = { action: "ask" };

function forward(peer: string, minGeneration: number, hops: number): Decision {
  if (hops >= LIMITS.hops) return { action: "refuse", error: "loop" };
  return { action: "forward", peer, minGeneration };
}

export function decide(route: Route | undefined, minGeneration: number, hops: number): Decision {
  if (hops > LIMITS.hops) return { action: "refuse", error: "loop" };
  if (route === undefined) return ASK;
  switch (route.state) {
    case "active":
      if (route.generation < minGeneration) return ASK;
      return route.awake ? SERVE : WAKE;
    case "frozen":
      return route.generation < minGeneration ? ASK : HOLD;
    case "staged":
      // The sender knows of the commit; this cluster will hear of it any moment.
      if (minGeneration >= route.generation) return HOLD;
      // Its source may be staged too, back to here, when neither has heard of the commit between.
      return route.peer === "" || hops > 0 ? ASK : forward(route.peer, minGeneration, hops);
    case "tombstone":
      if (route.generation <= minGeneration || route.peer === "") return ASK;
      return forward(route.peer, route.generation, hops);
    case "none":
      return ASK;
  }
}

/** What the authority answered: where the repl lives, and since which generation. */
export interface Placement {
  readonly found: boolean;
  readonly clusterId: string;
  readonly generation: number;
}

/** The authority's answer, as seen by the cluster that asked; undefined: it cannot be reached. */
export interface Answer {
  readonly self: string;
  readonly placement: Placement | undefined;
}

/**
 * What to do once the authority has answered a request that `decide` could not place; `ask`: ask it anew.
 */
export function decideWith(
  { self, placement }: Answer,
  route: Route | undefined,
  minGeneration: number,
  hops: number,
): Decision {
  if (placement === undefined) return { action: "refuse", error: "authority_unreachable" };
  if (!placement.found) return { action: "refuse", error: "not_found" };
  // The sender knows of a later commit than this answer, which was kept for a while.
  if (placement.generation < minGeneration) return ASK;
  if (placement.clusterId !== self) {
    const min = Math.max(placement.generation, minGeneration);
    return forward(placement.clusterId, min, hops);
  }
  // It lives here: either the row came meanwhile, or the log brings it soon.
  const current = decide(route, Math.max(placement.generation, minGeneration), hops);
  return current.action === "ask" ? HOLD : current;
}
