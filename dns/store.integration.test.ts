import { afterAll, beforeAll, describe, expect, it } from "vitest";

import type { Change } from "./core/catalog";
import { unpackRepls } from "./core/packed";
import { db } from "./db";
import * as store from "./store";
import * as challengeStore from "./store-challenges";
import * as domainStore from "./store-domain";
import * as copy from "./store-placements";

const soa = "ns1.store.test hostmaster.store.test 0 3600 600 86400 60";
const seed = (zone: string) => ({
  zone,
  rrsets: [{ name: zone, type: 6, ttl: 60, values: [soa] }],
});
const key = (name: string, type = 1) => ({ zone: "store.test", name: `${name}.store.test`, type });

async function put(name: string, values: string[], type = 1): Promise<number> {
  const { zone, name: whole } = key(name);
  const rows = [{ name: whole, type, ttl: 60, values }];
  const outcome = await store.changeZone(zone, { names: [whole] }, () => ({ rows }));
  if (typeof outcome !== "number") throw new Error(outcome.reason);
  return outcome;
}

const byName = (changes: readonly Change[], name: string): Change[] =>
  changes.filter((change) => "name" in change && change.name === name);

let cursor = 0;
beforeAll(async () => {
  cursor = await copy.readCursor();
  await store.putZone(seed("store.test"));
});
// Other tests follow the real log, which holds nothing of what is copied here.
afterAll(async () => {
  await db.exec`UPDATE log_cursor SET seq = ${cursor}`;
});

describe("zones", () => {
  it("are made once", async () => {
    const before = await store.listRrsets("store.test");
    await store.putZone({ ...seed("store.test"), rrsets: [] });
    expect(await store.listRrsets("store.test")).toEqual(before);
    expect(await store.zoneExists("store.test")).toBe(true);
    expect(await store.zoneExists("other.test")).toBe(false);
  });

  it("tell readers what changed after a revision, removals too", async () => {
    const first = await put("a", ["192.0.2.1"]);
    const second = await put("a", []);
    expect(second).toBeGreaterThan(first);
    const { changes, revision } = await store.changesAfter(first);
    expect(revision).toBe(second);
    expect(changes).toMatchObject([
      { kind: "zone", zone: "store.test", revision: second },
      { kind: "rrset", name: "a.store.test", type: 1, values: [], revision: second },
    ]);
    expect(await store.findRrset(key("a"))).toBeNull();
    expect((await store.changesAfter(second)).changes).toEqual([]);
  });

  it("never let a reader skip a writer that commits late", async () => {
    let seen = (await store.changesAfter(0)).revision;
    const found = new Set<string>();
    const writes = Array.from({ length: 20 }, (_, i) => put(`late${i}`, ["192.0.2.1"]));
    let isDone = false;
    const all = Promise.all(writes).then(() => (isDone = true));
    for (let isLast = false; !isLast; isLast = isDone) {
      const { changes, revision } = await store.changesAfter(seen);
      for (const change of changes) if (change.kind === "rrset") found.add(change.name);
      seen = revision;
    }
    await all;
    for (const change of (await store.changesAfter(seen)).changes) {
      if (change.kind === "rrset") found.add(change.name);
    }
    expect(found.size).toBe(20);
  });

  it("show the checks what is in scope, and take a refusal", async () => {
    await put("b", ["192.0.2.1"]);
    await put("mx", ["10 b.store.test"], 15);
    const refused = { code: "invalid", reason: "no" } as const;
    const seen = async (scope: store.Scope): Promise<string[]> => {
      let names: string[] = [];
      const outcome = await store.changeZone("store.test", scope, ({ rows }) => {
        names = rows.map(({ name, type }) => `${name} ${type}`);
        return refused;
      });
      expect(outcome).toEqual(refused);
      return names;
    };
    const b = key("b").name;
    expect(await seen({ names: [b] })).toEqual([`${b} 1`]);
    expect((await seen({ names: [b], withPointers: true })).sort()).toEqual([
      `${b} 1`,
      "mx.store.test 15",
    ]);
    expect(await seen({})).toEqual(expect.arrayContaining(["store.test 6", `${b} 1`]));
    const nowhere = await store.changeZone("other.test", {}, () => ({ rows: [] }));
    expect(nowhere).toMatchObject({ code: "not_found" });
  });

  it("have no later revision when nothing changes, and many rows at once", async () => {
    const revisionOf = async (): Promise<number> => {
      const { changes } = await store.changesAfter(0);
      const zone = changes.find((one) => one.kind === "zone" && one.zone === "store.test");
      return zone && "revision" in zone ? zone.revision : 0;
    };
    const before = await revisionOf();
    await store.changeZone("store.test", {}, () => ({ rows: [] }));
    expect(await revisionOf()).toBe(before);
    const rows = Array.from({ length: 1_200 }, (_, i) => {
      return { name: `n${i}.store.test`, type: 16, ttl: i, values: [`"${i}"`, '"\\"\\\\\\200"'] };
    });
    await store.changeZone("store.test", {}, () => ({ rows }));
    expect(await revisionOf()).toBeGreaterThan(before);
    const stored = await store.findRrset(key("n1100", 16));
    expect(stored).toMatchObject({ ttl: 1100, values: rows[1100]!.values });
    const gone = rows.map((row) => ({ ...row, ttl: 0, values: [] }));
    await store.changeZone("store.test", {}, () => ({ rows: gone }));
    expect(await store.findRrset(key("n1100", 16))).toBeNull();
  });
});

describe("challenges", () => {
  const at = { zone: "store.test", name: "_acme-challenge.store.test" };

  it("stand beside each other and go one by one", async () => {
    const before = (await store.changesAfter(0)).revision;
    await challengeStore.putChallenge({ ...at, values: ["one"] }, 60);
    await challengeStore.putChallenge({ ...at, values: ["two"] }, 60);
    await challengeStore.putChallenge({ ...at, values: ["two"] }, 60);
    const both = byName((await store.changesAfter(before)).changes, at.name);
    expect(both).toMatchObject([{ kind: "challenge", values: ["one", "two"] }]);
    await challengeStore.deleteChallenge(at.name, ["one"]);
    const revision = await challengeStore.deleteChallenge(at.name, ["two"]);
    const none = byName((await store.changesAfter(before)).changes, at.name);
    expect(none).toMatchObject([{ kind: "challenge", values: [], revision }]);
  });

  it("expire", async () => {
    await challengeStore.putChallenge({ ...at, values: ["short"] }, 0.001);
    await expect.poll(() => challengeStore.expireChallenges()).toBeTypeOf("number");
    expect(await challengeStore.expireChallenges()).toBeUndefined();
    const now = byName((await store.changesAfter(0)).changes, at.name);
    expect(now).toMatchObject([{ values: [] }]);
  });

  it("are refused beside a CNAME, and CNAME is told of them", async () => {
    const name = "_acme-challenge.alias";
    await put(name, ["x.example"], 5);
    const place = { zone: "store.test", name: key(name).name };
    expect(await challengeStore.putChallenge({ ...place, values: ["v"] }, 60)).toMatchObject({
      code: "invalid",
    });
    await challengeStore.putChallenge({ ...at, values: ["v"] }, 60);
    const scope = { names: [at.name] };
    await store.changeZone("store.test", scope, ({ challenges }) => {
      expect(challenges).toEqual([{ name: at.name, value: "v" }]);
      return { code: "invalid", reason: "" };
    });
  });

  it("come and go with a change of the zone", async () => {
    const scope = { names: [at.name] };
    const before = (await store.changesAfter(0)).revision;
    const values = async (): Promise<readonly Change[]> =>
      byName((await store.changesAfter(before)).changes, at.name);
    const put = ["v", "new"].map((value) => ({ name: at.name, value }));
    await store.changeZone("store.test", scope, () => {
      return { rows: [], challenges: { put, gone: [] } };
    });
    expect(await values()).toMatchObject([{ kind: "challenge", values: ["new", "v"] }]);
    await store.changeZone("store.test", scope, () => {
      return { rows: [], challenges: { put: [], gone: put.slice(0, 1) } };
    });
    expect(await values()).toMatchObject([{ kind: "challenge", values: ["new"] }]);
  });
});

describe("the copy of the log", () => {
  const repl = (generation: number): Change => {
    return {
      kind: "repl",
      id: "r1",
      name: "n",
      owner: "o",
      clusterId: `c${generation}`,
      generation,
    };
  };

  const placements = async () => {
    const { systemId, seq, clusters, pages, readPage, close } = await copy.openPlacements();
    const texts = [];
    for (let page = 0; page < pages; page++) texts.push(await readPage(page));
    await close();
    return { systemId, seq, changes: [...clusters, ...texts.flatMap(unpackRepls)] };
  };

  it("moves with its cursor, and only from where the cursor is", async () => {
    const start = await copy.readCursor();
    const changes: Change[] = [
      { kind: "cluster", id: "c1", ingress: ["192.0.2.1", "::1"] },
      repl(1),
    ];
    expect(await copy.copyLog(start, { changes, seq: start + 2 })).toBe(start + 2);
    expect(await copy.copyLog(start, { changes: [repl(9)], seq: start + 9 })).toBe(start + 2);
    const loaded = await placements();
    expect(loaded).toMatchObject({
      seq: start + 2,
      systemId: expect.stringMatching(/^[0-9a-f-]{36}$/),
    });
    expect(loaded.changes).toEqual(expect.arrayContaining(changes));
  });

  it("is copied in a few statements, however many changes there are, as one by one", async () => {
    const start = await copy.readCursor();
    const ids = Array.from({ length: 150 }, (_, number) => `many${number}`);
    const many = (generation: number) => ids.map((id) => ({ ...repl(generation), id }) as Change);
    const gone = ids.slice(0, 50).map((id): Change => ({ kind: "repl_gone", id }));
    const again: Change = { ...(repl(1) as Change & { kind: "repl" }), id: "many0" };
    const changes = [...many(3), ...many(2), ...gone, again];
    await copy.copyLog(start, { changes, seq: start + 1 });
    const left = (await placements()).changes.filter((one) => "id" in one && ids.includes(one.id));
    expect(left).toHaveLength(101);
    expect(left).toEqual(expect.arrayContaining([again, ...many(3).slice(50)]));
    await copy.copyLog(start + 1, {
      changes: ids.map((id) => ({ kind: "repl_gone", id })),
      seq: start + 2,
    });
  });

  it("is read in pages, as of one moment", async () => {
    const count = 50_000;
    await db.exec`
      INSERT INTO placement_copy (repl_id, name, owner, cluster_id, generation)
      SELECT 'page' || i, 'n' || i, 'o' || i % 100, 'c', 1 + i % 5 FROM generate_series(1, ${count}) AS i`;
    const opened = await copy.openPlacements();
    expect(opened.pages).toBeGreaterThan(2);
    const { changes } = await placements();
    expect(await opened.count()).toBe(changes.filter(({ kind }) => kind === "repl").length);
    const first = unpackRepls(await opened.readPage(0));
    await db.exec`UPDATE placement_copy SET cluster_id = 'd', generation = 9 WHERE repl_id LIKE 'page%'`;
    await db.exec`DELETE FROM placement_copy WHERE repl_id = 'page50000'`;
    const rest = [];
    for (let page = 1; page < opened.pages; page++) {
      rest.push(...unpackRepls(await opened.readPage(page)));
    }
    await opened.close();
    const all = [...first, ...rest].filter(({ id }) => id.startsWith("page"));
    const expected = new Set(Array.from({ length: count }, (_, i) => `page${i + 1}`));
    expect(new Set(all.map(({ id }) => id))).toEqual(expected);
    expect(all).toHaveLength(count);
    expect(all.every(({ clusterId, generation }) => clusterId === "c" && generation < 9)).toBe(
      true,
    );
    await db.exec`DELETE FROM placement_copy WHERE repl_id LIKE 'page%'`;
  });

  it("keeps the higher generation, and forgets what is gone", async () => {
    const start = await copy.readCursor();
    await copy.copyLog(start, { changes: [repl(5), repl(4)], seq: start + 1 });
    expect((await placements()).changes).toContainEqual(repl(5));
    const gone: Change[] = [
      { kind: "repl_gone", id: "r1" },
      { kind: "cluster_gone", id: "c1" },
    ];
    await copy.copyLog(start + 1, { changes: gone, seq: start + 2 });
    const left = (await placements()).changes;
    expect(left.filter((change) => "id" in change && ["r1", "c1"].includes(change.id))).toEqual([]);
  });
});

describe("domains", () => {
  const one = { hostname: "a.example", replId: "r1", owner: "o1" };
  const looked = (status: "pending" | "active", from: "pending" | "active" = "pending") =>
    domainStore.markLooked({ ...one, from, status, failingSince: null, reason: null });

  it("belong to one repl, are looked at, told, and removed", async () => {
    expect(await domainStore.addDomain(one)).toBe(true);
    expect(await domainStore.addDomain(one)).toBe(true);
    expect(await domainStore.addDomain({ ...one, replId: "r2" })).toBe(false);
    const [due] = await domainStore.claimDue();
    expect(due).toMatchObject({ ...one, status: "pending", announced: false });
    expect(due!.token).toMatch(/^[0-9a-f]{32}$/);
    expect(await domainStore.claimDue()).toEqual([]);
    await domainStore.markUntold(one.hostname, "away");
    expect(await domainStore.findDomain(one.hostname)).toMatchObject({ reason: "away" });
    await looked("active");
    await looked("pending");
    await domainStore.markTold(one.hostname, true);
    const [listed] = await domainStore.listDomains("r1");
    expect(listed).toMatchObject({ status: "active", announced: true, token: due!.token });
    expect(await domainStore.removeDomain(one.hostname)).toBe(true);
    expect(await domainStore.claimDue()).toMatchObject([{ status: "removing", announced: true }]);
    expect(await domainStore.addDomain(one)).toBe(false);
    await domainStore.markTold(one.hostname, false);
    expect(await domainStore.findDomain(one.hostname)).toMatchObject({ status: "removed" });
    expect(await domainStore.listDomains("r1")).toEqual([]);
  });

  it("are kept for their last owner for a while, with a proof of their own", async () => {
    const before = await domainStore.findDomain(one.hostname);
    expect(await domainStore.addDomain({ ...one, replId: "r3", owner: "o2" })).toBe(false);
    await domainStore.forgetOld();
    expect(await domainStore.addDomain({ ...one, replId: "r2" })).toBe(true);
    const after = await domainStore.findDomain(one.hostname);
    expect(after).toMatchObject({ status: "pending", replId: "r2", removedAt: null });
    expect(after!.token).not.toBe(before!.token);
    await domainStore.removeDomain(one.hostname);
    await domainStore.markTold(one.hostname, false);
    await db.exec`UPDATE domain SET removed_at = now() - interval '73 hours'
      WHERE hostname = ${one.hostname}`;
    expect(await domainStore.addDomain({ ...one, replId: "r3", owner: "o2" })).toBe(true);
    await domainStore.removeDomain(one.hostname);
    await domainStore.markTold(one.hostname, false);
    await db.exec`UPDATE domain SET removed_at = now() - interval '73 hours'
      WHERE hostname = ${one.hostname}`;
    await domainStore.forgetOld();
    expect(await domainStore.findDomain(one.hostname)).toBeNull();
  });

  it("that nobody proves are forgotten", async () => {
    await domainStore.addDomain(one);
    await domainStore.forgetOld();
    expect(await domainStore.findDomain(one.hostname)).not.toBeNull();
    await db.exec`UPDATE domain SET created_at = now() - interval '8 days'
      WHERE hostname = ${one.hostname}`;
    await domainStore.forgetOld();
    expect(await domainStore.findDomain(one.hostname)).toBeNull();
  });

  it("go with their repl", async () => {
    await domainStore.addDomain({ hostname: "b.example", replId: "r9", owner: "o" });
    const start = await copy.readCursor();
    await copy.copyLog(start, { changes: [{ kind: "repl_gone", id: "r9" }], seq: start + 1 });
    expect(await domainStore.findDomain("b.example")).toMatchObject({ status: "removing" });
    expect(await domainStore.listDomains("r9")).toEqual([]);
  });
});
