/** What the demo shows. Pure: lines from facts. */

import { bar, duration, type Palette, table } from "../format";
import type { Failed } from "./tally";
import type { VisitReport } from "./visitors";

export interface MoveResult {
  readonly from: string;
  readonly to: string;
  readonly mode: string | null;
  readonly outcome: string;
  readonly reason: string | null;
  /** From the start to the new cluster's being in charge, in milliseconds. */
  readonly switchedMs: number;
  readonly holdMs: number | null;
  /** From the commit to the first new answer of our name server; null when it was not seen. */
  readonly dnsFreshMs: number | null;
}

export interface AppResult {
  readonly app: string;
  readonly visits: VisitReport;
  readonly moves: readonly MoveResult[];
}

export interface LiveApp {
  readonly app: string;
  readonly cluster: string;
  /** Such as `west: freezing`; empty at rest. */
  readonly moving: string;
  readonly visits: VisitReport;
}

/** The block that is refreshed while the visitors are there. */
export function renderLive(
  { bold, dim, red, green, yellow }: Palette,
  apps: readonly LiveApp[],
  progress: { readonly elapsedMs: number; readonly totalMs: number },
): string {
  const rows = apps.map(({ app, cluster, moving, visits }) => [
    bold(app),
    cluster,
    moving === "" ? dim("at home") : yellow(moving),
    String(visits.requests),
    visits.failed === 0 ? green("0") : red(String(visits.failed)),
    byCluster(visits),
    duration(visits.p50Ms),
    duration(visits.p99Ms),
  ]);
  const titles = ["APP", "HOME", "MOVING TO", ">REQUESTS", ">FAILED", "SERVED BY", ">P50", ">P99"];
  return `${bar(progress.elapsedMs / progress.totalMs)} ${Math.round(progress.elapsedMs / 1000)} of ${Math.round(progress.totalMs / 1000)} s\n\n${table(titles, rows)}`;
}

function byCluster({ byCluster: counts }: VisitReport): string {
  return Object.entries(counts)
    .map(([cluster, count]) => `${cluster} ${count}`)
    .join(", ");
}

/** The tables at the end, and the failures, if there are any. */
export function renderResult(paint: Palette, apps: readonly AppResult[]): string {
  const { bold, red, green } = paint;
  const visits = table(
    [
      "APP",
      ">REQUESTS",
      ">FAILED",
      "SERVED BY",
      ">P50",
      ">P99",
      ">LONGEST HOLD",
      ">COMMIT → DNS FRESH",
      ">BY TOMBSTONE",
    ],
    apps.map(({ app, visits: seen, moves }) => [
      bold(app),
      String(seen.requests),
      seen.failed === 0 ? green("0") : red(String(seen.failed)),
      byCluster(seen),
      duration(seen.p50Ms),
      duration(seen.p99Ms),
      longest(moves.map(({ holdMs }) => holdMs)),
      longest(moves.map(({ dnsFreshMs }) => dnsFreshMs)),
      String(seen.forwarded),
    ]),
  );
  const moves = table(
    ["MOVE", "", "MODE", "OUTCOME", ">SWITCHED IN", ">HELD", ">DNS FRESH"],
    apps.flatMap(({ app, moves: made }) =>
      made.map(({ from, to, mode, outcome, reason, switchedMs, holdMs, dnsFreshMs }) => [
        bold(app),
        `${from} → ${to}`,
        mode ?? "",
        outcome === "rolled_back" ? red(`rolled back: ${reason ?? ""}`) : green("moved"),
        duration(switchedMs),
        holdMs === null ? "none" : duration(holdMs),
        fresh(dnsFreshMs),
      ]),
    ),
  );
  return [visits, moves, ...facts(apps), ...faults(paint, apps)].join("\n\n");
}

function longest(values: ReadonlyArray<number | null>): string {
  const known = values.filter((value) => value !== null);
  return known.length === 0 ? "none" : fresh(Math.max(...known));
}

/** Clocks of two processes are read here: below a millisecond they say nothing. */
function fresh(ms: number | null): string {
  if (ms === null) return "not seen";
  return ms < 1 ? "< 1 ms" : duration(ms);
}

function facts(apps: readonly AppResult[]): string[] {
  const lines = apps.flatMap(({ app, visits }) => {
    const { echoes, events, reconnects, notes } = visits;
    const streams =
      echoes + events === 0
        ? []
        : [
            `${app}: ${echoes} WebSocket echoes, ${events} server-sent events, ${reconnects} times asked to reconnect`,
          ];
    const kept =
      notes.acknowledged === 0
        ? []
        : [
            `${app}: ${notes.acknowledged} notes acknowledged, ${notes.missing} missing, ${notes.doubled} there twice`,
          ];
    return [...streams, ...kept];
  });
  return lines.length === 0 ? [] : [lines.join("\n")];
}

function faults({ red }: Palette, apps: readonly AppResult[]): string[] {
  const lines = apps.flatMap(({ app, visits }) =>
    visits.failures.map((failed) => red(describe(app, failed))),
  );
  return lines.length === 0 ? [] : [lines.join("\n")];
}

function describe(app: string, { kind, what, at }: Failed): string {
  return `${at} ${app} (${kind}): ${what}`;
}

/** Whether the demo proved what it is there to prove. */
export function hasFailed(apps: readonly AppResult[]): boolean {
  return apps.some(
    ({ visits, moves }) =>
      visits.failed > 0 ||
      visits.notes.missing > 0 ||
      visits.notes.doubled > 0 ||
      moves.some(({ outcome }) => outcome === "rolled_back"),
  );
}
