/** What is killed, where, and in which move: the cells of the matrix, and how it is printed. */
import { type Failpoint, FAILPOINTS } from "../shared/failpoint";

export const MODES = ["handoff", "overlap", "asleep"] as const;
export type Mode = (typeof MODES)[number];
type Way = "forward" | "abort";
/** `whole`: all of `npm start`; the three of `npm run split`, by their part in the move. */
export type Victim = "whole" | "postgres" | "control" | "source" | "destination";
type Part = "control" | "source" | "destination";

/** A move, and where it is held when its victim is killed. */
export interface Cell {
  readonly mode: Mode;
  readonly way: Way;
  readonly point: Failpoint;
  readonly victim: Victim;
}

/** An abort is asked for when all is ready for the commit: then there is most to be undone. */
export const TURN = "migrations.commit_placement.before" satisfies Failpoint;

/** The last before requests are held. */
export const BRINK = "migrations.copy_files.after" satisfies Failpoint;

const ALL: readonly Failpoint[] = Object.values(FAILPOINTS).flat();
const UNDOING = /abort|unstage|thaw/;
/** Not in a move of that mode. */
const ABSENT: Readonly<Record<Mode, RegExp>> = {
  handoff: /drain|seal/,
  overlap: /freeze|delta/,
  // Nothing runs: nothing is stopped, started or looked at.
  asleep: /drain|seal|boot|verify|start\.|stop\.|freeze\.quiet/,
};

/** Nothing else goes on in its process, or in a part of it, while it is held there. */
const BLOCKING = /\.written$|\.prepared$|\.brought$|\.tail\./;
const FREES = /tombstone|publish|clean|activate_destination\.after|tail|stop/;
const BEFORE_FREEZE = /requested|open|choose|stage|copy_files|inspect|freeze_source\.before/;

function pointsOf(mode: Mode, way: Way): Failpoint[] {
  const met = ALL.filter((point) => !ABSENT[mode].test(point));
  if (way === "forward") return met.filter((point) => !UNDOING.test(point));
  // Undone, what was started is stopped, and what was stopped is started again.
  const twice = { handoff: /start\.|stop\./, overlap: /stop\./, asleep: /^$/ }[mode];
  return met.filter((point) => UNDOING.test(point) || twice.test(point));
}

/** In whose process it is held. */
function hostOf(point: Failpoint, way: Way): Part | "either" {
  for (const part of ["control", "source", "destination"] as const) {
    if ((FAILPOINTS[part] as readonly Failpoint[]).includes(point)) return part;
  }
  if (point === "containers.tail.applied") return "either";
  const starts = point.startsWith("containers.start");
  return starts === (way === "forward") ? "destination" : "source";
}

/**
 * Around an effect everybody is killed. Inside it: all, the process that is at it, the one that waits for
 * it, and the database. While an answer is on its way, all and who gives it: to the others it is
 * the effect, done.
 */
function victimsOf(point: Failpoint, way: Way): readonly Victim[] {
  const host = hostOf(point, way);
  if (point.startsWith("migrations.") || host === "either") {
    return ["whole", "postgres", "control", "source", "destination"];
  }
  if (point.endsWith(".answer")) return ["whole", host];
  return [...new Set<Victim>(["whole", "postgres", "control", host])];
}

export const CELLS: readonly Cell[] = MODES.flatMap((mode) =>
  (["forward", "abort"] as const).flatMap((way) =>
    pointsOf(mode, way).flatMap((point) =>
      victimsOf(point, way).map((victim) => ({ mode, way, point, victim })),
    ),
  ),
);

/** Requests are held there; a few moves at once, so that none is held for long. */
export function holds({ mode, way, point }: Cell): boolean {
  if (mode === "overlap") return false;
  return way === "abort" || !(BEFORE_FREEZE.test(point) || FREES.test(point));
}

export function blocks({ point }: Cell): boolean {
  return BLOCKING.test(point);
}

/** What became of a cell. */
export interface Row extends Cell {
  readonly outcome: string;
  /** From the kill to the end of the move. */
  readonly endedMs: number;
  readonly served: number;
  /** While nothing answered there, or with what was killed. */
  readonly excused: number;
  readonly faults: readonly string[];
}

const seconds = (ms: number): string => (ms / 1000).toFixed(1);

/** One line for each point; a column for each mode and victim. */
export function table(rows: readonly Row[]): string {
  const columns = [...new Set(rows.map(({ mode, victim }) => `${mode} ${victim}`))].sort();
  const played = new Set(rows.map(({ way, point }) => `${way} ${point}`));
  const all = CELLS.map(({ way, point }) => `${way} ${point}`);
  const lines = [...new Set(all)].filter((line) => played.has(line));
  const cellOf = (line: string, column: string): string => {
    const row = rows.find(
      (one) => `${one.way} ${one.point}` === line && `${one.mode} ${one.victim}` === column,
    );
    if (!row) return "·";
    const letter = { completed: "C", rolled_back: "R" }[row.outcome] ?? "?";
    return `${letter} ${seconds(row.endedMs)}${row.faults.length > 0 ? " !" : ""}`;
  };
  const widths = columns.map((column) => Math.max(column.length, 7));
  const pad = (cells: readonly string[]): string =>
    cells.map((cell, at) => cell.padEnd(widths[at] ?? 0)).join("  ");
  const first = Math.max(...lines.map(({ length }) => length), 5);
  return [
    `${"point".padEnd(first)}  ${pad(columns)}`,
    ...lines.map(
      (line) => `${line.padEnd(first)}  ${pad(columns.map((column) => cellOf(line, column)))}`,
    ),
  ].join("\n");
}

/** For people: the whole of it in one line. */
export function summary(what: string, rows: readonly Row[]): string {
  const count = (outcome: string): number => rows.filter((row) => row.outcome === outcome).length;
  const sum = (of: "served" | "excused"): number => rows.reduce((all, row) => all + row[of], 0);
  const times = rows.map(({ endedMs }) => endedMs).sort((a, b) => a - b);
  return (
    `figure: kill -9 of ${what}: ${rows.length} cells, ${count("completed")} committed, ` +
    `${count("rolled_back")} rolled back; from the kill to the end of the move ` +
    `${seconds(times[Math.floor(times.length / 2)] ?? 0)} s median, ${seconds(times.at(-1) ?? 0)} s longest; ` +
    `${sum("served")} requests served, ${sum("excused")} while nothing ran there, ` +
    `${rows.flatMap(({ faults }) => faults).length} faults (C committed, R rolled back, seconds)`
  );
}
