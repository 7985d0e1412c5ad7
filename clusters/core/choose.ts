import type { ClusterState } from "./cluster";

/** A cluster as a place for one more repl. */
export interface Candidate {
  readonly clusterId: string;
  readonly state: ClusterState;
  /** How many repls live there. */
  readonly repls: number;
  /** How many of them belong to the owner of the new one. */
  readonly ownerRepls: number;
}

export interface Choice {
  /** Undefined when no cluster can take it. */
  readonly clusterId: string | undefined;
  /** Why each cluster was chosen or was not, best first. */
  readonly reasons: readonly string[];
}

/**
 * The active cluster with the fewest repls; among equals the one where the owner already has most,
 * then the first by id, so that the same clusters always give the same choice.
 */
export function choose(candidates: readonly Candidate[]): Choice {
  const active = candidates.filter((candidate) => candidate.state === "active").toSorted(better);
  const rest = candidates.filter((candidate) => candidate.state !== "active");
  return {
    clusterId: active[0]?.clusterId,
    reasons: [
      ...active.map((candidate, index) => explain(candidate, index === 0)),
      ...rest.map((candidate) => `"${candidate.clusterId}" is ${candidate.state}`),
    ],
  };
}

function better(a: Candidate, b: Candidate): number {
  return a.repls - b.repls || b.ownerRepls - a.ownerRepls || (a.clusterId < b.clusterId ? -1 : 1);
}

function explain({ clusterId, repls, ownerRepls }: Candidate, chosen: boolean): string {
  const load = `"${clusterId}" has ${repls} repls, ${ownerRepls} of the owner`;
  return chosen ? `${load}: chosen` : load;
}
