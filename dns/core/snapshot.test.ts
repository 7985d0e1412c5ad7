import { describe, expect, it } from "vitest";

import type { Change } from "./catalog";
import { Snapshot } from "./snapshot";

const soa = "ns1.repl.test hostmaster.repl.test 1 3600 600 86400 60";
const zone: Change = { kind: "zone", zone: "repl.test", base: 1000, revision: 1 };
const apex: Change = {
  kind: "rrset",
  zone: "repl.test",
  name: "repl.test",
  type: 6,
  ttl: 60,
  values: [soa],
  revision: 1,
};

describe("a snapshot", () => {
  it("knows how far it leads", () => {
    const snapshot = new Snapshot();
    snapshot.apply({ changes: [zone, { ...apex, revision: 9 }], seq: 4 });
    expect([snapshot.seq, snapshot.revision]).toEqual([4, 9]);
    expect(snapshot.changes().next().value).toMatchObject({ kind: "zone", revision: 9 });
  });

  it("has each thing once, as it is now, and a zone before what is in it", () => {
    const snapshot = new Snapshot();
    const east: Change = { kind: "cluster", id: "east", ingress: ["192.0.2.1"] };
    const other: Change = { ...apex, name: "x.repl.test", revision: 2 };
    const { values, ...gone } = { ...apex, name: "y.repl.test" };
    snapshot.apply({ changes: [zone, { ...other, ttl: 1 }, { ...gone, values }, east], seq: 1 });
    snapshot.apply({ changes: [{ ...gone, values: [] }, other], seq: 0 });
    expect([...snapshot.changes()]).toEqual([{ ...zone, revision: 2 }, east, other]);
    snapshot.apply({ changes: [{ kind: "cluster_gone", id: "east" }], seq: 2 });
    expect([...snapshot.changes()]).toEqual([{ ...zone, revision: 2 }, other]);
  });
});
