import { afterEach, describe, expect, it } from "vitest";

import type { Mark } from "./core/peers";
import { Registry } from "./registry";
import type { InstanceRow } from "./store-instances";

interface Member {
  readonly registry: Registry;
  mark: Mark;
  /** Takes a step, and says so. */
  reach: (mark: Partial<Mark>) => void;
}

/** A database's part: rows by an own clock, and a channel that every instance hears. */
class Database {
  readonly rows = new Map<string, InstanceRow & { isAlive: boolean }>();
  readonly members: Member[] = [];
  readonly told: string[] = [];
  readonly states: (string | null)[] = [];
  revision = 0;
  isAway = false;
  isMute = false;

  async member(id: string, mark: Mark): Promise<Member> {
    const reach = (next: Partial<Mark>): void => {
      member.mark = { ...member.mark, ...next };
      member.registry.advance();
    };
    const registry = new Registry({
      id,
      mark: () => member.mark,
      store: this.#store(),
      onState: (reason) => this.states.push(reason),
      pace: { beatMs: 40, recheckMs: 10 },
    });
    const member: Member = { registry, mark, reach };
    this.members.push(member);
    await registry.join(
      () => "{}",
      () => undefined,
    );
    return member;
  }

  #store() {
    const answer = async <T>(work: () => T): Promise<T> => {
      if (this.isAway) throw new Error("the database is away");
      return work();
    };
    return {
      writeInstance: (row: InstanceRow) =>
        answer(() => void this.rows.set(row.id, { ...row, isAlive: true })),
      readRegistry: (ownId: string) =>
        answer(() => {
          const others = [...this.rows.values()].filter(({ id }) => id !== ownId);
          const peers = others.map((row) => ({ ...row, seenSecondsAgo: 1 }));
          return { revision: this.revision, peers };
        }),
      tellInstances: (message: string) =>
        answer(() => {
          this.told.push(message);
          if (this.isMute) return;
          for (const { registry } of this.members) registry.hear(message);
        }),
      deleteInstance: (id: string) => answer(() => void this.rows.delete(id)),
    };
  }
}

const LONG_MS = 20_000;
const START: Mark = { revision: 1, seq: 10 };
let database = new Database();

async function three(): Promise<[Member, Member, Member]> {
  const members = [];
  for (const id of ["a", "b", "c"]) members.push(await database.member(id, START));
  for (const { registry } of members) await registry.refresh();
  return members as [Member, Member, Member];
}

afterEach(async () => {
  await Promise.all(database.members.map(({ registry }) => registry.leave(100)));
  database = new Database();
});

describe("a wait for all instances", () => {
  it("ends when each has said that it answers a revision", async () => {
    const [a, b, c] = await three();
    a.reach({ revision: 2 });
    b.reach({ revision: 2 });
    const waited = a.registry.waitForAll({ revision: 2, seq: 0 }, LONG_MS);
    expect(await Promise.race([waited, Promise.resolve("waits")])).toBe("waits");
    c.reach({ revision: 2 });
    expect(await waited).toEqual([]);
  });

  it("names those that do not, itself included, when its time is over", async () => {
    const [a, b] = await three();
    b.reach({ revision: 2 });
    expect(await a.registry.waitForAll({ revision: 2, seq: 0 }, 0)).toEqual(["a", "c"]);
  });

  it("asks for a sequence, which nobody says unasked", async () => {
    const [a, b, c] = await three();
    for (const member of [b, c]) member.reach({ seq: 11 });
    expect(database.told).toEqual([]);
    const waited = a.registry.waitForAll({ revision: 0, seq: 12 }, LONG_MS);
    await expect.poll(() => database.told.length).toBeGreaterThan(2);
    for (const member of [a, b, c]) member.reach({ seq: 12 });
    expect(await waited).toEqual([]);
  });

  it("gives up on one that has died, or left", async () => {
    const [a, b, c] = await three();
    const waited = a.registry.waitForAll({ revision: 2, seq: 0 }, LONG_MS);
    a.reach({ revision: 2 });
    await b.registry.leave(1_000);
    database.rows.set("c", { ...database.rows.get("c")!, isAlive: false });
    expect(await waited).toEqual([]);
    expect(c.mark.revision).toBe(1);
  });

  it("counts one that has joined meanwhile", async () => {
    const [a, b, c] = await three();
    const waited = a.registry.waitForAll({ revision: 2, seq: 0 }, LONG_MS);
    const d = await database.member("d", START);
    const registryOfA = a.registry;
    await expect.poll(() => registryOfA.peers.length, { timeout: 5_000 }).toBe(3);
    for (const member of [a, b, c]) member.reach({ revision: 2 });
    expect(registryOfA.missing({ revision: 2, seq: 0 })).toEqual(["d"]);
    d.reach({ revision: 2 });
    expect(await waited).toEqual([]);
  });

  it("learns from the rows what was not heard", async () => {
    const [a, b, c] = await three();
    database.isMute = true;
    const waited = a.registry.waitForAll({ revision: 2, seq: 0 }, LONG_MS);
    for (const member of [a, b, c]) member.reach({ revision: 2 });
    expect(await waited).toEqual([]);
  });

  it("passes nobody by while the database is away", async () => {
    const [a, b, c] = await three();
    database.isAway = true;
    for (const member of [a, b, c]) member.reach({ revision: 2 });
    expect(await a.registry.waitForAll({ revision: 2, seq: 0 }, 0)).toEqual(["b", "c"]);
    database.isAway = false;
    expect(await a.registry.waitForAll({ revision: 2, seq: 0 }, LONG_MS)).toEqual([]);
    expect(database.states).toEqual([expect.stringContaining("away"), null]);
  });

  it("says what comes while a message is under way in one more", async () => {
    const [a] = await three();
    database.told.length = 0;
    for (let revision = 2; revision <= 100; revision++) a.reach({ revision });
    const missing = () => database.members[1]!.registry.missing({ revision: 100, seq: 0 });
    await expect.poll(missing).toEqual(["b", "c"]);
    expect(database.told).toHaveLength(2);
  });

  it("is not disturbed by what is no message", async () => {
    const [a] = await three();
    a.registry.hear("what?");
    a.registry.hear("{}");
    expect(a.registry.missing(START)).toEqual([]);
  });
});
