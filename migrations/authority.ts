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

export const authority: Authority = {
  lookup: async (replId) => {
    const located = await guarded(() => clusters.lookup({ replId }));
    return located.found ? located : null;
  },
  open: (request) => guarded(() => clusters.openMigration(request)),
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
