import { describe, expect, it } from "vitest";

import { changeOf, type LogEntry } from "./log";

const entry: LogEntry = {
  seq: 1,
  kind: "moved",
  replId: "h1",
  name: "hello",
  owner: "demo",
  clusterId: "west",
  generation: 2,
  cluster: null,
  traceparent: "",
};
const west = { id: "west", ingress: ["127.0.2.1"], removed: false };

describe("changeOf()", () => {
  it.each([
    [
      entry,
      { kind: "repl", id: "h1", name: "hello", owner: "demo", clusterId: "west", generation: 2 },
    ],
    [
      { ...entry, kind: "created", generation: 1 },
      { kind: "repl", generation: 1 },
    ],
    [
      { ...entry, kind: "deleted" },
      { kind: "repl_gone", id: "h1" },
    ],
    [
      { ...entry, kind: "cluster", cluster: west },
      { kind: "cluster", id: "west", ingress: ["127.0.2.1"] },
    ],
    [
      { ...entry, kind: "cluster", cluster: { ...west, removed: true } },
      { kind: "cluster_gone", id: "west" },
    ],
  ])("of %j is %j", (given, change) => {
    expect(changeOf(given)).toMatchObject(change);
  });

  it("is nothing for what names do not depend on, or what says too little", () => {
    expect(changeOf({ ...entry, kind: "hostname" })).toBeUndefined();
    expect(changeOf({ ...entry, kind: "of the future" })).toBeUndefined();
    expect(changeOf({ ...entry, clusterId: null })).toBeUndefined();
    expect(changeOf({ ...entry, kind: "cluster" })).toBeUndefined();
  });
});
