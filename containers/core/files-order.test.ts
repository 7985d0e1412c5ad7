import { describe, expect, it } from "vitest";

import { type FilesOrder, givingFault, orderFault } from "./files-order";
import { NO_ROUTE, type RouteRow } from "./route";

const order: FilesOrder = {
  replId: "r1",
  migrationId: "m1",
  generation: 2,
  final: false,
  pieces: null,
};

describe("an order", () => {
  it("is one with a manifest or pieces to give", () => {
    expect(orderFault(order)).toBeNull();
    const piece = { path: "a", offset: 0, blocks: 1, have: [] };
    expect(orderFault({ ...order, pieces: [piece] })).toBeNull();
  });

  it.each<[string, unknown]>([
    ["nothing", null],
    ["a list", [order]],
    ["no repl", { ...order, replId: "" }],
    ["a long id", { ...order, migrationId: "m".repeat(201) }],
    ["no generation", { ...order, generation: 0 }],
    ["half a generation", { ...order, generation: 1.5 }],
    ["no round", { ...order, final: "yes" }],
    ["no pieces", { ...order, pieces: undefined }],
    ["a path out", { ...order, pieces: [{ path: "..", offset: 0, blocks: 1, have: [] }] }],
  ])("is none that is %s", (_what, value) => expect(orderFault(value)).not.toBeNull());
});

describe("giving", () => {
  const active: RouteRow = { ...NO_ROUTE, state: "active", generation: 1 };
  const frozen: RouteRow = { ...active, state: "frozen", frozenBy: 2 };
  const first = { generation: 2, final: false };
  const last = { generation: 2, final: true };

  it.each<[string, RouteRow, typeof first, boolean, string | null]>([
    ["while it serves", active, first, true, null],
    ["while it is frozen", frozen, first, false, null],
    ["the last round", frozen, last, false, null],
    ["the last round while it serves", active, last, false, "generation 2 has not frozen it"],
    [
      "the last round of another move",
      { ...frozen, frozenBy: 3 },
      last,
      false,
      "generation 2 has not frozen it",
    ],
    ["the last round too soon", frozen, last, true, "its container has not stopped yet"],
    ["an aborted move", { ...active, fence: 2 }, first, true, "generation 2 is closed here"],
    ["an old move", { ...active, generation: 2 }, first, true, "generation 2 is closed here"],
    [
      "what has moved",
      { ...active, state: "tombstone" },
      first,
      false,
      "the repl is tombstone here",
    ],
    ["what never was", NO_ROUTE, first, false, "the repl is none here"],
    [
      "what is still to come",
      { ...active, state: "staged" },
      first,
      false,
      "the repl is staged here",
    ],
  ])("%s", (_what, route, asked, isRunning, fault) =>
    expect(givingFault(route, asked, isRunning)).toBe(fault),
  );
});
