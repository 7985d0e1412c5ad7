import type { ClusterRecord, ClusterState } from "./cluster";

/** How a repl may be moved: `auto` looks at what it does. */
export type Policy = "auto" | "overlap" | "handoff";

/** Whether a repl keeps something in its files: `auto` looks whether it has written any. */
export type DataMode = "auto" | "none" | "files";

const POLICY_OF: Readonly<Record<DataMode, Policy>> = {
  auto: "auto",
  none: "overlap",
  files: "handoff",
};

/** How a repl is moved: as its owner wants it, or as what it keeps asks for. */
export function policyOf({ policy, dataMode }: { policy: Policy; dataMode: DataMode }): Policy {
  return policy === "auto" ? POLICY_OF[dataMode] : policy;
}

/** Where a repl lives. Generations are fencing tokens: integers from 1, never used twice. */
export interface Placement {
  readonly clusterId: string;
  readonly generation: number;
  /** The generation that the next migration gets, whatever becomes of it. */
  readonly nextGeneration: number;
}

/** The first placement of a new repl. */
export function firstPlacement(clusterId: string): Placement {
  return { clusterId, generation: 1, nextGeneration: 2 };
}

export interface OpenRequest {
  readonly toCluster: string;
  /** Undefined when there is no such cluster. */
  readonly toState: ClusterState | undefined;
  /** The migration of this repl that is not decided yet, if any. */
  readonly openMigrationId: string | undefined;
  /** An evacuation moves only what is still there; undefined for a move from wherever it is. */
  readonly fromCluster?: string | undefined;
}

export type Opened =
  | { readonly placement: Placement; readonly generation: number; readonly fromGeneration: number }
  | { readonly reason: string };

/** Burns a generation for a migration to `toCluster`, or says why none may open. */
export function open(placement: Placement, request: OpenRequest): Opened {
  const { toCluster, toState, openMigrationId, fromCluster } = request;
  if (openMigrationId !== undefined) return { reason: `migration ${openMigrationId} is open` };
  if (fromCluster !== undefined && fromCluster !== placement.clusterId) {
    return { reason: `it lives in "${placement.clusterId}" by now` };
  }
  if (toState === undefined) return { reason: `there is no cluster "${toCluster}"` };
  if (toCluster === placement.clusterId) return { reason: "it lives there already" };
  if (toState !== "active") return { reason: `cluster "${toCluster}" is ${toState}` };
  const generation = placement.nextGeneration;
  return {
    placement: { ...placement, nextGeneration: generation + 1 },
    generation,
    fromGeneration: placement.generation,
  };
}

/** What a committed migration makes of the placement that it was opened on. */
export interface Move {
  readonly fromCluster: string;
  readonly fromGeneration: number;
  readonly toCluster: string;
  readonly generation: number;
}

/** The placement after the move; undefined when it is not the one that the migration was opened on. */
export function commit(placement: Placement, move: Move): Placement | undefined {
  const isTheOpened =
    placement.clusterId === move.fromCluster &&
    placement.generation === move.fromGeneration &&
    move.generation > placement.generation &&
    placement.nextGeneration > move.generation;
  return isTheOpened
    ? { ...placement, clusterId: move.toCluster, generation: move.generation }
    : undefined;
}

export type LogKind = "created" | "moved" | "deleted" | "cluster" | "hostname";

/** One change of the placement log, in commit order. Fields that its kind has no use for are null. */
export interface LogEntry {
  seq: number;
  kind: LogKind;
  replId: string | null;
  name: string | null;
  owner: string | null;
  /** The home after the change, or the cluster that a `cluster` entry is about. */
  clusterId: string | null;
  fromClusterId: string | null;
  /** Fencing token of the repl after the change; a reader ignores lower ones than it holds. */
  generation: number | null;
  migrationId: string | null;
  cluster: ClusterRecord | null;
  hostname: string | null;
  /** For `hostname`: false when the name was taken away. */
  present: boolean | null;
  /** When it was written, ISO 8601. */
  at: string;
  /** W3C trace context of what caused it, or an empty string. */
  traceparent: string;
}
