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

/** A cluster as a place for many repls at once. */
export interface Place {
  readonly clusterId: string;
  readonly state: ClusterState;
  /** How many repls live there or are on their way. */
  readonly repls: number;
  /** How many of them belong to each owner. */
  readonly owners: ReadonlyMap<string, number>;
}

export interface Leaving {
  readonly replId: string;
  readonly owner: string;
}

export interface ChosenHome {
  readonly replId: string;
  readonly clusterId: string;
}

/** A cluster for each repl, in their order, each chosen as if those before it were there already. */
export function chooseForEach(
  places: readonly Place[],
  leaving: readonly Leaving[],
): { readonly chosen: readonly ChosenHome[]; readonly reasons: readonly string[] } {
  const filling = new Map(
    places.map((place) => [place.clusterId, { ...place, owners: new Map(place.owners) }]),
  );
  const candidatesFor = (owner: string): Candidate[] =>
    [...filling.values()].map(({ clusterId, state, repls, owners }) => {
      return { clusterId, state, repls, ownerRepls: owners.get(owner) ?? 0 };
    });
  const chosen: ChosenHome[] = [];
  for (const { replId, owner } of leaving) {
    const { clusterId, reasons } = choose(candidatesFor(owner));
    const place = clusterId === undefined ? undefined : filling.get(clusterId);
    if (!place) return { chosen: [], reasons };
    place.repls += 1;
    place.owners.set(owner, (place.owners.get(owner) ?? 0) + 1);
    chosen.push({ replId, clusterId: place.clusterId });
  }
  return { chosen, reasons: [] };
}
