/** Who plays which cells next: as many at once as one kill serves. */
import { blocks, type Cell, holds, type Victim } from "./crash-matrix";
import type { Repl } from "./platform";

/** Two kinds, since an app that keeps files has one writer, and one that keeps none may run twice. */
export const APPS = { notes: 6, hello: 4 } as const;
export type App = keyof typeof APPS;
export const CLUSTERS = ["east", "west"] as const;
/** More are held for longer than any visitor waits, on a machine of two cores. */
export const HOLDS_AT_ONCE = 4;

/** An app and who uses it. */
export interface Actor {
  readonly app: App;
  readonly repl: Repl;
  /** Counters that its visitors were told are kept. */
  readonly acknowledged: string[];
}

const appOf = ({ mode }: Cell): App => (mode === "overlap" ? "hello" : "notes");

/** Few of a batch may be such. */
const hardness = (cell: Cell): number => Number(blocks(cell)) * 2 + Number(holds(cell));

/** An app where it lives now. */
export interface Candidate {
  readonly actor: Actor;
  readonly home: string;
  /** Its last move; "" when there was none. */
  readonly before: string;
}

export interface Choice extends Candidate {
  readonly cell: Cell;
}

/** For the death of one process: a cell for each app that can play one. */
export function choose(
  process: string,
  candidates: readonly Candidate[],
  pending: ReadonlySet<Cell>,
): Choice[] {
  const chosen: Choice[] = [];
  // These first, or the last batches would have one cell each.
  const left = [...pending].sort((a, b) => hardness(b) - hardness(a));
  for (const candidate of candidates) {
    const { actor, home } = candidate;
    const at = left.findIndex((cell) => {
      if (appOf(cell) !== actor.app || processOf(cell.victim, home) !== process) return false;
      if (blocks(cell) && chosen.some((one) => blocks(one.cell))) return false;
      return !holds(cell) || chosen.filter((one) => holds(one.cell)).length < HOLDS_AT_ONCE;
    });
    const [cell] = at < 0 ? [] : left.splice(at, 1);
    if (cell) chosen.push({ cell, ...candidate });
  }
  return chosen;
}

/** Which process is that of the victim, in a move from `home`. */
function processOf(victim: Victim, home: string): string {
  if (victim === "source") return home;
  return victim === "destination" ? otherThan(home) : victim;
}

export function otherThan(clusterId: string): string {
  return clusterId === "east" ? "west" : "east";
}
