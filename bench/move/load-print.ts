import { count, duration, table } from "../../cli/format";
import type { LoadResult } from "./load";
import type { Lost } from "./load-fates";

/** The tables of a run, and what failed. Pure. */
export function render(result: LoadResult): string {
  const failed = [...result.failures.map(tell), ...result.faults].map((what) => `failed: ${what}`);
  const parts = [classes(result), moves(result), crashes(result), facts(result), failed.join("\n")];
  return parts.filter((part) => part !== "").join("\n\n");
}

function classes(result: LoadResult): string {
  const rows = result.classes.map((one) => [
    one.app,
    one.kind,
    one.way,
    String(one.count),
    String(one.failed),
    duration(one.p50Ms),
    duration(one.p99Ms),
    duration(one.longestMs),
    atRest(one.atRest.p50Ms),
    atRest(one.atRest.p99Ms),
    apart(one.cut),
    apart(one.metNobody),
  ]);
  const titles = [
    "MOVED BY",
    "",
    "TO, CONNECTION",
    ">COUNT",
    ">FAILED",
    ">P50",
    ">P99",
    ">LONGEST",
  ];
  const more = [">AT REST P50", ">P99", ">CUT BY A KILL", ">MET NOBODY"];
  return table([...titles, ...more], rows);
}

function atRest(ms: number): string {
  return ms === 0 ? "" : duration(ms);
}

function apart(number: number): string {
  return number === 0 ? "" : String(number);
}

function moves(result: LoadResult): string {
  const rows = result.moves.map(({ app, completed, undone, switchedMs }) => [
    app,
    String(completed),
    String(undone),
    duration(switchedMs),
  ]);
  return table(["MOVES BY", ">COMPLETED", ">UNDONE", ">SWITCHED IN, P50"], rows);
}

function crashes({ crashes: all }: LoadResult): string {
  if (all.length === 0) return "";
  const rows = all.map(({ process, victim, app, phase, outcome, awayMs }) => [
    victim === "control" ? process : `${process}, the ${victim}`,
    app,
    phase,
    outcome,
    duration(awayMs),
  ]);
  return table(["KILL -9 OF", "IN A MOVE BY", "SEEN IN", "WHICH", ">AWAY"], rows);
}

function facts(result: LoadResult): string {
  const { small, large, seconds, failed, forwarded, reconnects, writes } = result;
  return [
    `${small} small requests, ${large} large and slow ones in ${Math.round(seconds)} s: ${failed} failed`,
    `${count(result.crashes.length, "kill")}; ${forwarded} requests were answered by another cluster than was asked`,
    `${reconnects} times an event stream or a WebSocket was asked to come again, and did`,
    `${count(writes, "acknowledged write")} looked for in the writer's file`,
  ].join("\n");
}

function tell({ who, why, dialled, askedAt, endedAt }: Lost): string {
  const lasted = duration(endedAt - askedAt);
  return `${who}, at ${dialled}: ${why} (asked at ${(askedAt / 1000).toFixed(2)} s, ${lasted})`;
}
