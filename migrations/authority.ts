import { clusters } from "~encore/clients";

import { outbound } from "../shared/outbound";
import type { Policy } from "./core/mode";

/** Its answers are single transactions; one that takes longer is not coming. */
const TIMEOUT_MS = 5_000;

const guarded = outbound("the clusters service", { timeoutMs: TIMEOUT_MS });

export interface Located {
  readonly replId: string;
  readonly name: string;
  readonly owner: string;
  readonly clusterId: string;
  readonly generation: number;
}

export interface Opened {
  readonly policy: Policy;
  readonly fromCluster: string;
  readonly fromGeneration: number;
  readonly generation: number;
}

export interface OpenRequest {
  readonly migrationId: string;
  readonly replId: string;
  readonly toCluster: string;
  /** Refused when it lives elsewhere by now; null: from wherever it lives. */
  readonly fromCluster: string | null;
  readonly traceparent: string;
}

export interface DecideRequest {
  readonly migrationId: string;
  readonly decision: "committed" | "aborted";
  /** ISO 8601: a commit that comes later aborts instead. */
  readonly notAfter: string | null;
  readonly traceparent: string;
}

/** Who decides about placements: the `clusters` service. */
export interface Authority {
  lookup(replId: string): Promise<Located | null>;
  open(request: OpenRequest): Promise<Opened>;
  /** Answers what stands, whoever decided it. */
  decide(request: DecideRequest): Promise<{
    status: "committed" | "aborted";
    seq: number | null;
  }>;
  getDecision(migrationId: string): Promise<{
    status: "open" | "committed" | "aborted" | "unknown";
    seq: number | null;
  }>;
}

/** Who lives in a cluster. */
export interface Residents {
  /** Whether there is such a cluster; nothing lives where there is none. */
  readonly found: boolean;
  readonly state: "active" | "cordoned";
  readonly items: ReadonlyArray<{
    readonly replId: string;
    readonly name: string;
    readonly owner: string;
    readonly policy: Policy;
    /** A migration of it is open at the authority. */
    readonly isMoving: boolean;
  }>;
}

export interface ChooseRequest {
  readonly from: string;
  /** The only place to go to; null for any. */
  readonly to: string | null;
  readonly replIds: readonly string[];
}

/** What an evacuation asks of the `clusters` service. */
export interface Registry {
  residents(clusterId: string): Promise<Residents>;
  /** Nothing is placed there from now on. */
  cordon(clusterId: string): Promise<void>;
  /** A new home for each that still lives there and does not move; none with the reason why. */
  chooseHomes(request: ChooseRequest): Promise<{
    readonly chosen: ReadonlyArray<{ readonly replId: string; readonly clusterId: string }>;
    readonly reason: string;
  }>;
}

export const registry: Registry = {
  residents: (clusterId) => guarded(() => clusters.residents({ clusterId })),
  cordon: (clusterId) => guarded(() => clusters.cordon({ clusterId })),
  chooseHomes: ({ from, to, replIds }) =>
    guarded(() =>
      clusters.chooseHomes({ from, replIds: [...replIds], ...(to !== null && { to }) }),
    ),
};

export const authority: Authority = {
  lookup: async (replId) => {
    const located = await guarded(() => clusters.lookup({ replId }));
    return located.found ? located : null;
  },
  open: ({ fromCluster, ...request }) =>
    guarded(() =>
      clusters.openMigration({ ...request, ...(fromCluster !== null && { fromCluster }) }),
    ),
  decide: ({ migrationId, decision, notAfter, traceparent }) =>
    guarded(() =>
      clusters.decide({
        migrationId,
        decision,
        ...(notAfter !== null && { notAfter }),
        traceparent,
      }),
    ),
  getDecision: (migrationId) => guarded(() => clusters.getDecision({ migrationId })),
};
