import { describe, expect, it } from "vitest";

import { type PeerRow, Peers } from "./peers";

const row = (id: string, revision: number, seq: number, isAlive = true): PeerRow => ({
  id,
  revision,
  seq,
  isAlive,
  seenSecondsAgo: isAlive ? 1 : 11,
  state: "{}",
});

describe("peers", () => {
  it("are missing until they have said, or written, that they answer so much", () => {
    const peers = new Peers();
    peers.learn([row("a", 5, 100), row("b", 4, 100)]);
    expect(peers.missing({ revision: 5, seq: 0 })).toEqual(["b"]);
    expect(peers.missing({ revision: 0, seq: 101 })).toEqual(["a", "b"]);
    peers.hear("b", { revision: 5, seq: 100 });
    expect(peers.missing({ revision: 5, seq: 100 })).toEqual([]);
    peers.learn([row("a", 5, 101), row("b", 5, 100)]);
    expect(peers.missing({ revision: 5, seq: 101 })).toEqual(["b"]);
  });

  it("are not waited for once they are dead, have left, or were never there", () => {
    const peers = new Peers();
    peers.learn([row("a", 1, 1, false), row("b", 1, 1)]);
    peers.hear("stranger", { revision: 0, seq: 0 });
    expect(peers.missing({ revision: 9, seq: 9 })).toEqual(["b"]);
    peers.forget("b");
    expect(peers.missing({ revision: 9, seq: 9 })).toEqual([]);
    expect(peers.rows.map(({ id }) => id)).toEqual(["a"]);
  });

  it("do not fall behind what they have said, whatever is heard or read late", () => {
    const peers = new Peers();
    peers.learn([row("a", 1, 1)]);
    peers.hear("a", { revision: 3, seq: 7 });
    peers.hear("a", { revision: 2, seq: 9 });
    peers.learn([row("a", 1, 1)]);
    expect(peers.rows).toMatchObject([{ revision: 3, seq: 9 }]);
  });

  it("are heard before their row is read", () => {
    const peers = new Peers();
    peers.hear("new", { revision: 3, seq: 3 });
    peers.learn([row("new", 0, 0)]);
    expect(peers.missing({ revision: 3, seq: 3 })).toEqual([]);
  });

  it("that are gone are forgotten with what they said", () => {
    const peers = new Peers();
    peers.hear("a", { revision: 3, seq: 3 });
    peers.learn([]);
    peers.learn([row("a", 1, 1)]);
    expect(peers.missing({ revision: 3, seq: 3 })).toEqual(["a"]);
  });
});
