/**
 * The rules of a route: what a cluster's proxies know of a repl.
 *
 *     none ──stage──▶ staged ──activate──▶ active ◀──thaw── frozen
 *     ▲ ▲               │                    │ └──freeze──────▲ │
 *     │ └────unstage────┘                    └──▶ tombstone ◀───┘
 *     └────────────────────forget───────────────────┘
 *
 * An active route may be sealed: it serves, and takes no release before its move is decided.
 *
 * Commands come late, twice or never, from coordinators that may have been replaced; so the receiver
 * fences (design section 4, rules 1 to 5). A generation that is older than the row's, or closed by an
 * abort (`fence`), changes nothing. Events (`activate`, `tombstone`, `created`, `deleted`) prove a decision
 * of the authority: applying them is a join on the generation, so that any order and any repetition of
 * them ends alike.
 */
export type RouteState = "none" | "staged" | "active" | "frozen" | "tombstone";

export interface RouteRow {
  readonly state: RouteState;
  /** Of the placement that the row speaks of; 0 when there never was one. Never falls. */
  readonly generation: number;
  /** The highest generation that an abort or an ended boot lease closed here. Never falls. */
  readonly fence: number;
  /** The generation of the move that froze it; set in state `frozen` only. */
  readonly frozenBy: number | null;
  /** The generation of the move that took its release as the last one; set in state `active` only. */
  readonly sealedBy: number | null;
  /** Where else to ask: the source while staged, the new home of a tombstone. */
  readonly peer: string | null;
  /** A deleted repl comes back with no event: its id is never used again. */
  readonly deleted: boolean;
}

/** What a cluster knows of a repl that it never heard of. */
export const NO_ROUTE: RouteRow = {
  state: "none",
  generation: 0,
  fence: 0,
  frozenBy: null,
  sealedBy: null,
  peer: null,
  deleted: false,
};

export type RouteCommand =
  | { readonly kind: "stage"; readonly generation: number; readonly peer: string }
  | { readonly kind: "unstage"; readonly generation: number }
  | { readonly kind: "freeze"; readonly generation: number }
  /** A move that does not freeze is about to commit: until it is decided no release comes in. */
  | { readonly kind: "seal"; readonly generation: number }
  /** The freeze did not come to be (requests still ran); the same move may try again. */
  | { readonly kind: "unfreeze"; readonly generation: number }
  /** The move was aborted, and its destination has said that it is fenced. */
  | { readonly kind: "thaw"; readonly generation: number }
  | { readonly kind: "activate"; readonly generation: number }
  | { readonly kind: "tombstone"; readonly generation: number; readonly to: string }
  /**
   * Nobody renewed the boot lease of a staged container. It is fenced and stops, but stays staged with
   * its files: the commit may have come first, and only the authority knows.
   */
  | { readonly kind: "lease_ended"; readonly generation: number }
  | { readonly kind: "created"; readonly generation: number }
  /** Nobody uses the tombstone any more. Its generation and the fence stay: late commands still come. */
  | { readonly kind: "forget"; readonly generation: number }
  | { readonly kind: "deleted" };

/** Work that the caller carries out after saving the row. Each is idempotent. */
export type RouteEffect =
  /** Its container, if it runs, may get traffic. */
  | { readonly kind: "publish_upstream"; readonly generation: number }
  /** What it has in flight may end; then it stops. */
  | { readonly kind: "retire_container"; readonly generation: number }
  | { readonly kind: "stop_container"; readonly generation: number }
  | { readonly kind: "discard_files"; readonly generation: number };

/** `unchanged`: the row already says so, which is success for whoever repeats a command. */
export type RouteOutcome = "done" | "unchanged" | "refused";

export interface RouteDecision {
  readonly row: RouteRow;
  readonly effects: readonly RouteEffect[];
  readonly outcome: RouteOutcome;
  /** Why it was refused; "" otherwise. */
  readonly reason: string;
}

function changed(row: RouteRow, ...effects: RouteEffect[]): RouteDecision {
  return { row, effects, outcome: "done", reason: "" };
}

function unchanged(row: RouteRow): RouteDecision {
  return { row, effects: [], outcome: "unchanged", reason: "" };
}

function refused(row: RouteRow, reason: string): RouteDecision {
  return { row, effects: [], outcome: "refused", reason };
}

/** What `command` makes of `row`. Total and pure; neither `generation` nor `fence` ever falls. */
export function decide(row: RouteRow, command: RouteCommand): RouteDecision {
  if (row.deleted) return deletedRow(row, command);
  switch (command.kind) {
    case "stage":
      return stage(row, command.generation, command.peer);
    case "unstage":
      return unstage(row, command.generation);
    case "freeze":
      return freeze(row, command.generation);
    case "seal":
      return seal(row, command.generation);
    case "unfreeze":
      return unfreeze(row, command.generation);
    case "thaw":
      return thaw(row, command.generation);
    case "activate":
    case "created":
      return activate(row, command.generation);
    case "tombstone":
      return tombstone(row, command.generation, command.to);
    case "lease_ended":
      return leaseEnded(row, command.generation);
    case "forget":
      return forget(row, command.generation);
    case "deleted":
      return deleted(row);
  }
}

function deletedRow(row: RouteRow, command: RouteCommand): RouteDecision {
  switch (command.kind) {
    case "stage":
    case "freeze":
    case "seal":
      return refused(row, "the repl is deleted");
    case "unstage":
    case "thaw":
      return closed(row, command.generation);
    case "unfreeze":
    case "activate":
    case "created":
    case "tombstone":
    case "lease_ended":
    case "forget":
    case "deleted":
      return unchanged(row);
  }
}

function stage(row: RouteRow, generation: number, peer: string): RouteDecision {
  if (generation <= row.fence) {
    return refused(row, `generation ${generation} is closed: the fence is ${row.fence}`);
  }
  if (row.state === "staged" && row.generation === generation) return unchanged(row);
  if (row.state === "active" || row.state === "frozen") {
    return refused(row, `the repl is ${row.state} here at generation ${row.generation}`);
  }
  if (generation <= row.generation) {
    return refused(row, `generation ${generation} is not above ${row.generation}`);
  }
  const staged: RouteRow = { ...row, state: "staged", generation, peer };
  return changed(staged, ...(row.state === "staged" ? ended(row.generation) : []));
}

/** A container that never had traffic, and files that nobody will look at again. */
function ended(generation: number): RouteEffect[] {
  return [
    { kind: "stop_container", generation },
    { kind: "discard_files", generation },
  ];
}

/**
 * Closes `generation` here for good, and all before it: a command of such a move which still comes does
 * nothing, and what is staged for one may run no more.
 */
function closed(row: RouteRow, generation: number): RouteDecision {
  if (row.fence >= generation) return unchanged(row);
  const fenced = { ...row, fence: generation };
  const isStopped = mayBoot(row, row.generation) && !mayBoot(fenced, row.generation);
  if (!isStopped) return changed(fenced);
  return changed(fenced, { kind: "stop_container", generation: row.generation });
}

function unstage(row: RouteRow, generation: number): RouteDecision {
  if (row.state !== "staged" || row.generation !== generation) return closed(row, generation);
  const fence = Math.max(row.fence, generation);
  return changed({ ...row, state: "none", fence, peer: null }, ...ended(generation));
}

function freeze(row: RouteRow, generation: number): RouteDecision {
  if (row.state === "frozen" && row.frozenBy === generation) return unchanged(row);
  const fault = leavingFault(row, generation);
  if (fault !== null) return refused(row, fault);
  return changed({ ...row, state: "frozen", frozenBy: generation, sealedBy: null });
}

function seal(row: RouteRow, generation: number): RouteDecision {
  const fault = leavingFault(row, generation);
  if (fault !== null) return refused(row, fault);
  if (row.sealedBy === generation) return unchanged(row);
  return changed({ ...row, sealedBy: generation });
}

/** Why the move of `generation` may not take the repl away from here; null when it may. */
function leavingFault(row: RouteRow, generation: number): string | null {
  if (generation <= row.fence) {
    return `generation ${generation} is closed: the fence is ${row.fence}`;
  }
  if (row.state !== "active") return `the route is ${row.state}, not active`;
  if (row.generation >= generation) {
    return `generation ${generation} is not above ${row.generation}`;
  }
  return null;
}

function unfreeze(row: RouteRow, generation: number): RouteDecision {
  if (row.state !== "frozen" || row.frozenBy !== generation) return unchanged(row);
  const active: RouteRow = { ...row, state: "active", frozenBy: null };
  return changed(active, { kind: "publish_upstream", generation: row.generation });
}

function thaw(row: RouteRow, generation: number): RouteDecision {
  const isSealed = row.sealedBy === generation;
  const unsealed = isSealed ? { ...row, sealedBy: null } : row;
  const { row: thawed, effects, outcome } = unfreeze(unsealed, generation);
  const fenced = closed(thawed, generation);
  if (outcome === "unchanged" && !isSealed) return fenced;
  return changed(fenced.row, ...effects);
}

function activate(row: RouteRow, generation: number): RouteDecision {
  if (generation < row.generation) return unchanged(row);
  // Frozen at this very generation is active with a move under way: only that move may thaw it.
  const isHome = row.state === "active" || row.state === "frozen";
  // A tombstone of this generation says that its home is elsewhere; both cannot be true.
  if (generation === row.generation && (isHome || row.state === "tombstone")) return unchanged(row);
  const active: RouteRow = { ...NO_ROUTE, state: "active", generation, fence: row.fence };
  return changed(active, ...superseded(row, generation), {
    kind: "publish_upstream",
    generation,
  });
}

function tombstone(row: RouteRow, generation: number, to: string): RouteDecision {
  if (generation <= row.generation) return unchanged(row);
  const moved: RouteRow = {
    ...NO_ROUTE,
    state: "tombstone",
    generation,
    fence: row.fence,
    peer: to,
  };
  return changed(moved, ...superseded(row, generation));
}

function forget(row: RouteRow, generation: number): RouteDecision {
  if (row.state !== "tombstone" || row.generation !== generation) return unchanged(row);
  return changed({ ...row, state: "none", peer: null });
}

/** What becomes of the container of `row` when the row speaks of a newer generation. */
function superseded(row: RouteRow, generation: number): RouteEffect[] {
  if (row.generation === generation) return [];
  if (row.state === "staged") return ended(row.generation);
  if (row.state === "active" || row.state === "frozen") {
    return [{ kind: "retire_container", generation: row.generation }];
  }
  return [];
}

function leaseEnded(row: RouteRow, generation: number): RouteDecision {
  if (!mayBoot(row, generation)) return unchanged(row);
  return changed({ ...row, fence: generation }, { kind: "stop_container", generation });
}

function deleted(row: RouteRow): RouteDecision {
  const { generation, fence } = row;
  const gone: RouteRow = { ...NO_ROUTE, generation, fence, deleted: true };
  return changed(gone, ...ended(row.generation));
}

type RouteOfContainer = Pick<RouteRow, "state" | "generation" | "fence">;

/** Whether the staged container of `generation` may run: what `boot` and `verify` ask. */
export function mayBoot(row: RouteOfContainer, generation: number): boolean {
  return row.state === "staged" && row.generation === generation && generation > row.fence;
}

/** Whether the container of `generation` may run, with traffic or without. */
export function mayRun(row: RouteOfContainer, generation: number): boolean {
  return (row.state === "active" && row.generation === generation) || mayBoot(row, generation);
}

/** Nothing asks for the container of `generation`; one that a freeze is about to stop is asked for. */
export function isLeftOver(row: RouteOfContainer, generation: number): boolean {
  const isFrozen = row.state === "frozen" && row.generation === generation;
  return !isFrozen && !mayRun(row, generation);
}

/**
 * Whether `after` is `before` but for its fence: an older move was closed, and the one that is under way
 * keeps its deadlines.
 */
export function isSameStay(before: RouteRow, after: RouteRow): boolean {
  return (
    before.state === after.state &&
    before.generation === after.generation &&
    before.frozenBy === after.frozenBy &&
    before.sealedBy === after.sealedBy
  );
}

/** Whether a release may come to the home of `generation`: no move has counted what is there. */
export function mayDeploy(
  row: Pick<RouteRow, "state" | "generation" | "sealedBy">,
  generation: number,
): boolean {
  return row.state === "active" && row.generation === generation && row.sealedBy === null;
}
