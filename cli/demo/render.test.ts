import { describe, expect, it } from "vitest";

import { palette } from "../format";
import { type AppResult, hasFailed, type MoveResult, renderLive, renderResult } from "./render";
import type { VisitReport } from "./visitors";

const GOLDEN = "../golden";
const plain = palette(false);

const visits: VisitReport = {
  requests: 3600,
  failed: 0,
  failures: [],
  byKind: { fresh: 3600 },
  byCluster: { east: 2000, west: 1600 },
  forwarded: 420,
  p50Ms: 1.52,
  p99Ms: 33.4,
  longestMs: 61,
  reconnects: 2,
  echoes: 380,
  events: 40,
  notes: { acknowledged: 0, missing: 0, doubled: 0 },
};
const move: MoveResult = {
  from: "east",
  to: "west",
  mode: "overlap",
  outcome: "completed",
  reason: null,
  switchedMs: 381,
  holdMs: null,
  dnsFreshMs: 0.4,
};
const hello: AppResult = { app: "hello.demo", visits, moves: [move] };
const notes: AppResult = {
  app: "notes.demo",
  visits: { ...visits, echoes: 0, events: 0, notes: { acknowledged: 800, missing: 0, doubled: 0 } },
  moves: [{ ...move, mode: "handoff", holdMs: 579.4, dnsFreshMs: 3.2 }],
};
const broken: AppResult = {
  app: "notes.demo",
  visits: {
    ...notes.visits,
    failed: 1,
    failures: [{ kind: "pinned", what: "status 503", at: "2026-01-01T00:00:00.000Z" }],
    notes: { acknowledged: 800, missing: 1, doubled: 0 },
  },
  moves: [{ ...move, outcome: "rolled_back", reason: "busy", dnsFreshMs: null }],
};

describe("the demo's tables", () => {
  it("when all went well", async () => {
    const text = renderResult(plain, [hello, notes]);
    await expect(`${text}\n`).toMatchFileSnapshot(`${GOLDEN}/demo-well.txt`);
  });

  it("when it did not", async () => {
    const text = renderResult(plain, [hello, broken]);
    await expect(`${text}\n`).toMatchFileSnapshot(`${GOLDEN}/demo-failed.txt`);
  });

  it("while it goes on", async () => {
    const apps = [
      { app: "hello.demo", cluster: "east", moving: "west: booting", visits },
      { app: "notes.demo", cluster: "west", moving: "", visits: notes.visits },
    ];
    const text = renderLive(plain, apps, { elapsedMs: 5_000, totalMs: 20_000 });
    await expect(`${text}\n`).toMatchFileSnapshot(`${GOLDEN}/demo-live.txt`);
  });
});

describe("hasFailed()", () => {
  const with_ = (changed: Partial<VisitReport>, outcome = "completed"): AppResult => ({
    ...hello,
    visits: { ...visits, ...changed },
    moves: [{ ...move, outcome }],
  });

  it.each([
    ["nothing", with_({}), false],
    ["a request", with_({ failed: 1 }), true],
    ["a lost note", with_({ notes: { acknowledged: 1, missing: 1, doubled: 0 } }), true],
    ["a doubled note", with_({ notes: { acknowledged: 1, missing: 0, doubled: 1 } }), true],
    ["a move", with_({}, "rolled_back"), true],
  ])("%s", (_what, result, expected) => {
    expect(hasFailed([hello, result])).toBe(expected);
  });
});
