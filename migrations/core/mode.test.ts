import { describe, expect, it } from "vitest";

import type { Mode } from "./migration";
import { chooseMode, type Policy } from "./mode";

describe("chooseMode()", () => {
  it.each<[Policy, boolean, boolean, Mode]>([
    ["auto", false, false, "asleep"],
    ["auto", false, true, "asleep"],
    ["auto", true, false, "overlap"],
    ["auto", true, true, "handoff"],
    ["overlap", false, true, "asleep"],
    ["overlap", true, true, "overlap"],
    ["handoff", false, false, "asleep"],
    ["handoff", true, false, "handoff"],
  ])("policy %s, running %s, files changed %s: %s", (policy, running, filesChanged, mode) => {
    expect(chooseMode(null, policy, { running, filesChanged })).toBe(mode);
  });

  it.each<Mode>(["asleep", "overlap", "handoff"])("is %s when the caller says so", (mode) => {
    expect(chooseMode(mode, "handoff", { running: true, filesChanged: true })).toBe(mode);
    expect(chooseMode(mode, "overlap", { running: false, filesChanged: false })).toBe(mode);
  });
});
