import { describe, expect, it } from "vitest";

import { type Attended, type Duty, dutyOf } from "./duty";
import { NO_ROUTE, type RouteRow } from "./route";

const active: RouteRow = { ...NO_ROUTE, state: "active", generation: 2 };
const running: Attended = {
  generation: 2,
  state: "running",
  isRetired: false,
  runs: true,
  isDue: false,
};
const old: Attended = { ...running, generation: 1, isRetired: true };
const crashed: Attended = { ...running, state: "failed", runs: false };

describe("dutyOf", () => {
  it.each<[string, RouteRow, Attended, Duty]>([
    ["runs for its route", active, running, "nothing"],
    ["runs staged", { ...active, state: "staged" }, running, "nothing"],
    ["waits for its freeze", { ...active, state: "frozen", frozenBy: 3 }, running, "nothing"],
    ["retired, runs", active, old, "drain"],
    ["retired, gone", active, { ...old, runs: false }, "lost"],
    ["gone", active, { ...running, runs: false }, "lost"],
    ["starting, gone", active, { ...running, state: "starting", runs: false }, "lost"],
    ["its boot lease has ended", { ...active, state: "staged", fence: 2 }, running, "stop"],
    ["its staging was undone", { ...active, state: "none", fence: 2 }, running, "stop"],
    ["of an older generation, never retired", active, { ...running, generation: 1 }, "stop"],
    ["its stop was not finished", active, { ...running, state: "stopping", runs: false }, "stop"],
    ["crashed, not yet due", active, crashed, "nothing"],
    ["crashed, due", active, { ...crashed, isDue: true }, "restart"],
    [
      "crashed, due, but frozen",
      { ...active, state: "frozen" },
      { ...crashed, isDue: true },
      "nothing",
    ],
    ["stopped", active, { ...running, state: "stopped", runs: false }, "nothing"],
  ])("%s", (_what, route, container, duty) => {
    expect(dutyOf(route, container)).toBe(duty);
  });
});
