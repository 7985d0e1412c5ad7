import { describe, expect, it } from "vitest";

import { type ContainerEvent, type ContainerState, isLive, nextState } from "./lifecycle";

describe("nextState", () => {
  it.each<[ContainerState, ContainerEvent, ContainerState | undefined]>([
    ["starting", "ready", "running"],
    ["starting", "ended", "failed"],
    ["starting", "stop", "stopping"],
    ["running", "stop", "stopping"],
    ["running", "ended", "failed"],
    ["running", "start", undefined],
    ["stopping", "ended", "stopped"],
    ["stopping", "ready", undefined],
    ["stopped", "start", "starting"],
    ["failed", "start", "starting"],
    ["failed", "ready", undefined],
  ])("%s, %s: %s", (state, event, expected) => {
    expect(nextState(state, event)).toBe(expected);
  });

  it("counts as live whatever may have processes", () => {
    const states: ContainerState[] = ["starting", "running", "stopping", "stopped", "failed"];
    expect(states.filter(isLive)).toEqual(["starting", "running", "stopping"]);
  });
});
