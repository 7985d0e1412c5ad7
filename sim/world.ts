import type { DecisionStatus } from "../clusters/core/decision";
import { firstPlacement, type Placement } from "../clusters/core/placement";
import { NO_ROUTE, type RouteRow, type RouteState } from "../containers/core/route";
import type { Mode, Phase, State } from "../migrations/core/migration";
import { enter } from "../migrations/core/migration";

/**
 * A world of one repl, a few clusters and a few moves, small enough to look at every state that it can
 * come to. What decides in it are the production functions (`rules.ts`); what is invented here is only the
 * hardware: disks, processes, proxies that hear late, and a network that may do anything with a command.
 */
export interface World {
  readonly placement: Placement;
  /** Where the repl went with each committed generation: what the placement log says. */
  readonly log: readonly LogEntry[];
  readonly moves: readonly Move[];
  readonly clusters: readonly Cluster[];
  /** A repl with files may have one writer; a stateless one may run twice. */
  readonly hasFiles: boolean;
  /** Writes that the app has acknowledged to somebody. */
  readonly writes: number;
  /** What the adversary may still do. */
  readonly left: Budget;
}

/** Bounds the world; what is not named here may happen at any time, any number of times. */
export interface Budget {
  /** Deliveries of a command that was sent before. */
  readonly ghosts: number;
  /** Ends of a coordinator between an effect and its record. */
  readonly crashes: number;
  /** Failures of a whole cluster's host, and of its proxy alone. */
  readonly failures: number;
  /** Requests; each is a write, when the repl has files. */
  readonly requests: number;
  /** Aborts by somebody else: an owner, an operator, a source at its freeze deadline. */
  readonly aborts: number;
  /** New releases of the app. */
  readonly deploys: number;
  /** Times that the app is put to sleep because nobody uses it. */
  readonly naps: number;
}

/** An adversary that does nothing. */
export const NO_BUDGET: Budget = {
  ghosts: 0,
  crashes: 0,
  failures: 0,
  requests: 0,
  aborts: 0,
  deploys: 0,
  naps: 0,
};

export interface LogEntry {
  readonly generation: number;
  readonly to: number;
}

export interface Move {
  readonly status: DecisionStatus;
  readonly state: State;
  /** Indexes of clusters; `from` and the generations are known once it is open. */
  readonly from: number;
  readonly to: number;
  readonly fromGeneration: number;
  readonly generation: number;
  /** The destination's lease, as its last `verify` told, lasts beyond now. */
  readonly verified: boolean;
  /** Its destination never answered the abort; its boot lease was waited out. */
  readonly waitedOut: boolean;
  /** Bits by effect: commands that are on the wire for ever. */
  readonly sent: number;
}

export interface Cluster {
  readonly row: RouteRow;
  /** What its proxy acts upon, as late as may be; null: it has no lease and dials nobody. */
  readonly seen: RouteRow | null;
  /** The generation at whose container its proxy has a request; 0: none. */
  readonly inFlight: number;
  /** Bits by generation: whose container runs. */
  readonly running: number;
  /** The generation whose container a freeze has stopped; 0: none. */
  readonly stoppedForMove: number;
  /** A boot lease counts down. */
  readonly leased: boolean;
  /** A boot of that generation was allowed, and has not come to start the container; 0: none. */
  readonly booting: number;
  /** By generation: the last write that its files have; NO_FILES. */
  readonly files: readonly number[];
}

export const NO_FILES = -1;

export interface Shape {
  readonly clusters: number;
  readonly moves: number;
  readonly hasFiles: boolean;
  readonly budget: Budget;
}

export function clusterName(index: number): string {
  return "ABCDEFGH"[index] ?? `#${index}`;
}

export function clusterIndex(name: string): number {
  return "ABCDEFGH".indexOf(name);
}

/** The repl lives in A, awake, and no move has begun. */
export function firstWorld({ clusters, moves, hasFiles, budget }: Shape): World {
  const placement = firstPlacement(clusterName(0));
  const files = Array.from({ length: moves + 2 }, () => NO_FILES);
  const away: Cluster = {
    row: NO_ROUTE,
    seen: NO_ROUTE,
    inFlight: 0,
    running: 0,
    stoppedForMove: 0,
    leased: false,
    booting: 0,
    files,
  };
  const row: RouteRow = { ...NO_ROUTE, state: "active", generation: 1 };
  const home: Cluster = {
    ...away,
    row,
    seen: row,
    running: 1 << 1,
    files: files.map((version, generation) => (generation === 1 ? 0 : version)),
  };
  const nowhere: Move = {
    status: "unknown",
    state: enter("requested", null),
    from: -1,
    to: -1,
    fromGeneration: 0,
    generation: 0,
    verified: false,
    waitedOut: false,
    sent: 0,
  };
  return {
    placement,
    log: [{ generation: 1, to: 0 }],
    moves: Array.from({ length: moves }, () => nowhere),
    clusters: Array.from({ length: clusters }, (_, index) => (index === 0 ? home : away)),
    hasFiles,
    writes: 0,
    left: budget,
  };
}

export function withCluster(world: World, index: number, change: Partial<Cluster>): World {
  const clusters = world.clusters.slice();
  clusters[index] = { ...at(world.clusters, index), ...change };
  return { ...world, clusters };
}

export function withMove(world: World, index: number, change: Partial<Move>): World {
  const moves = world.moves.slice();
  moves[index] = { ...at(world.moves, index), ...change };
  return { ...world, moves };
}

export function withFiles(cluster: Cluster, generation: number, version: number): Cluster {
  if (cluster.files[generation] === version) return cluster;
  const files = cluster.files.slice();
  files[generation] = version;
  return { ...cluster, files };
}

/** An element that is there: asking for another is a fault of the program. */
export function at<T>(items: readonly T[], index: number): T {
  const item = items[index];
  if (item === undefined) throw new Error(`no element ${index} of ${items.length}`);
  return item;
}

export function runs(cluster: Cluster, generation: number): boolean {
  return (cluster.running & (1 << generation)) !== 0;
}

/** Every proxy of the cluster has acknowledged its row, with nothing in flight that it forbids. */
export function isQuiet({ seen, row, inFlight }: Cluster, generation: number): boolean {
  return (seen === null || isSameRow(seen, row)) && inFlight !== generation;
}

export function isSameRow(a: RouteRow, b: RouteRow): boolean {
  return (
    a === b ||
    (a.state === b.state &&
      a.generation === b.generation &&
      a.peer === b.peer &&
      a.fence === b.fence &&
      a.frozenBy === b.frozenBy &&
      a.sealedBy === b.sealedBy)
  );
}

const ROUTE_STATES: readonly RouteState[] = ["none", "staged", "active", "frozen", "tombstone"];
const STATUSES: readonly DecisionStatus[] = ["unknown", "open", "committed", "aborted"];
const MODES: readonly (Mode | null)[] = [null, "asleep", "overlap", "handoff", "stop-copy"];
const PHASES: readonly Phase[] = [
  ...(["requested", "reserving", "preparing", "copying", "freezing", "delta", "booting"] as const),
  ...(["verifying", "switching", "draining", "cleaning", "completed"] as const),
  ...(["aborting", "rolled_back"] as const),
];
export const EFFECTS = [
  ...(["open_migration", "choose_mode", "stage_destination", "copy_files"] as const),
  ...(["freeze_source", "copy_delta", "boot_destination", "verify_destination"] as const),
  ...(["seal_source", "commit_placement", "activate_destination"] as const),
  ...(["tombstone_source", "publish_moved", "drain_source", "clean_source"] as const),
  ...(["abort_placement", "unstage_destination", "thaw_source"] as const),
];

/** Takes a state in, number by number. */
export interface Digest {
  add(value: number): void;
}

/** Everything that two worlds may differ in. */
export function digest(world: World, into: Digest): void {
  const { placement, log, moves, clusters, writes, left } = world;
  into.add(
    clusterIndex(placement.clusterId) * 64 + placement.generation * 8 + placement.nextGeneration,
  );
  into.add(writes * 64 + log.length);
  for (const { generation, to } of log) into.add(generation * 8 + to);
  into.add(
    (((((left.ghosts * 8 + left.crashes) * 8 + left.failures) * 8 + left.requests) * 8 +
      left.aborts) *
      8 +
      left.deploys) *
      8 +
      left.naps,
  );
  for (const move of moves) digestMove(move, into);
  for (const cluster of clusters) digestCluster(cluster, into);
}

function digestMove(move: Move, into: Digest): void {
  const { phase, mode, effect } = move.state;
  into.add(
    ((PHASES.indexOf(phase) * 8 + MODES.indexOf(mode)) * 32 +
      (effect === null ? 31 : EFFECTS.indexOf(effect))) *
      8 +
      STATUSES.indexOf(move.status) * 2 +
      Number(move.verified) +
      Number(move.waitedOut) * 0x10_0000,
  );
  into.add(((move.from + 1) * 8 + move.to + 1) * 64 + move.fromGeneration * 8 + move.generation);
  into.add(move.sent);
}

function digestCluster(cluster: Cluster, into: Digest): void {
  const { row, seen, inFlight, running, stoppedForMove, leased, booting, files } = cluster;
  digestRow(row, into);
  if (seen === null) into.add(-1);
  else digestRow(seen, into);
  into.add((((inFlight * 64 + running) * 8 + stoppedForMove) * 8 + booting) * 2 + Number(leased));
  for (const version of files) into.add(version);
}

function digestRow(
  { state, generation, fence, frozenBy, sealedBy, peer }: RouteRow,
  into: Digest,
): void {
  into.add(
    ((((ROUTE_STATES.indexOf(state) * 8 + generation) * 8 + fence) * 8 + (frozenBy ?? 0)) * 8 +
      (sealedBy ?? 0)) *
      16 +
      (peer === null ? 15 : clusterIndex(peer)),
  );
}
