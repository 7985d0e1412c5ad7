import { createSocket } from "node:dgram";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import * as packet from "dns-packet";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import { clusters } from "~encore/clients";

import type { Answerer } from "./listen";

/** Whether the database answers; the rest of the store stays as it is. */
const database = vi.hoisted(() => ({
  isAway: false,
  refusals: 0,
  /** What of its answers does not come. */
  failsIn: "",
  isLogAway: false,
}));
vi.mock("~encore/clients", async (importOriginal) => {
  const original: { clusters: Record<string, unknown> } = await importOriginal();
  const tail = original.clusters["tail"] as (...args: unknown[]) => unknown;
  const breakable = (...args: unknown[]) => {
    if (database.isLogAway) throw new Error("the log is away");
    return tail(...args);
  };
  return { ...original, clusters: { ...original.clusters, tail: breakable } };
});
type Module = Record<string, unknown>;
/** The functions of a module that ask the database, which may be away. */
const breakable = vi.hoisted(() => (store: Module, ...names: readonly string[]): Module => {
  const wrapped = names.map((name) => [
    name,
    async (...args: unknown[]) => {
      if (database.isAway) {
        database.refusals++;
        throw new Error("the database is away");
      }
      const result: unknown = await (store[name] as (...of: unknown[]) => unknown)(...args);
      if (name !== "openPlacements" || database.failsIn !== "readPage") return result;
      const readPage = async () => {
        database.refusals++;
        throw new Error("the database goes away");
      };
      return { ...(result as object), readPage };
    },
  ]);
  return { ...store, ...Object.fromEntries(wrapped) };
});
vi.mock("./store", async (original) =>
  breakable(await original<Module>(), "zoneExists", "changesAfter"),
);
vi.mock("./store-placements", async (original) =>
  breakable(await original<Module>(), "openPlacements", "readCursor", "copyLog"),
);

const token = { authData: { userID: "test" } };
const folder = mkdtempSync(join(tmpdir(), "stele-dns-"));
const file = join(folder, "snapshot.json");
const HOST = "life.demo.repl.localhost";

interface Process {
  readonly start: () => Promise<void>;
  readonly drain: (deadlineMs: number) => Promise<void>;
  readonly kick: () => Promise<void>;
  readonly answerer: Answerer;
}

let running: Process[] = [];

/** UDP is answered both ways, by turns. */
const UDP = ["portable", "auto"] as const;
let loads = 0;

/** The modules anew: what another process, or this one after a restart, would have. */
async function load(): Promise<Process> {
  vi.resetModules();
  process.env.STELE_DNS_UDP = UDP[loads++ % UDP.length];
  const [life, { instance }] = [await import("./life"), await import("./instance")];
  const loaded = { ...life, answerer: instance().answerer };
  running.push(loaded);
  return loaded;
}

async function ask(
  { answerer }: Process,
  name: string,
  type: packet.RecordType = "A",
): Promise<unknown[]> {
  const socket = createSocket("udp4");
  try {
    const reply = new Promise<Buffer>((resolve) => socket.once("message", resolve));
    const query = packet.encode({ type: "query", questions: [{ type, name }] });
    socket.send(query, answerer.listening[0]!.port, "127.0.0.1");
    const message = packet.decode(await reply);
    return message.answers!.map((record) => "data" in record && record.data);
  } finally {
    socket.close();
  }
}

async function serialOf(process: Process): Promise<number> {
  const [soa] = await ask(process, "repl.localhost", "SOA");
  return (soa as packet.SoaData & { serial: number }).serial;
}
let lastSerial = 0;

beforeAll(async () => {
  process.env.STELE_DNS_LISTEN = "127.0.0.1:0";
  process.env.STELE_DNS_SNAPSHOT = file;
  for (const [id, address] of [
    ["life-east", "192.0.2.1"] as const,
    ["life-west", "192.0.2.2"] as const,
  ]) {
    await clusters.addCluster({ id, ingress: [address], httpPort: 80, listen: [] }, token);
  }
  await clusters.createRepl({ name: "life", owner: "demo", cluster: "life-east" }, token);
});
beforeEach(() => {
  database.isAway = false;
});
afterEach(async () => {
  database.isAway = false;
  await Promise.all(running.map(({ drain }) => drain(1_000)));
  running = [];
});
afterAll(() => {
  delete process.env.STELE_DNS_UDP;
  rmSync(folder, { recursive: true, force: true });
});

describe("an instance", () => {
  it("answers what the log holds, and follows it when it is kicked", async () => {
    const first = await load();
    await first.start();
    await first.kick();
    expect(await ask(first, HOST)).toEqual(["192.0.2.1"]);
    await clusters.setCluster({ id: "life-east", ingress: ["192.0.2.9"] }, token);
    await first.kick();
    expect(await ask(first, HOST)).toEqual(["192.0.2.9"]);
    lastSerial = await serialOf(first);
    await first.drain(1_000);
    expect(existsSync(file)).toBe(true);
  });

  it("starts from the file when the database is away, and reads the database when it is back", async () => {
    database.isAway = true;
    const second = await load();
    await second.start();
    expect(await ask(second, HOST)).toEqual(["192.0.2.9"]);
    expect(await serialOf(second)).toBe(lastSerial);
    // What other instances wrote meanwhile is read when the database's listener connects again.
    database.isAway = false;
    const store = await import("./store");
    const values = ["192.0.2.77"];
    const row = { name: "meanwhile.repl.localhost", type: 1, ttl: 60, values };
    await store.changeZone("repl.localhost", {}, () => ({ rows: [row] }));
    await expect.poll(() => ask(second, row.name), { timeout: 10_000 }).toEqual(values);
    expect(await serialOf(second)).toBeGreaterThan(lastSerial);
    lastSerial = await serialOf(second);
  });

  it("shows the serial that others show, and never an earlier one after a restart", async () => {
    const one = await load();
    await one.start();
    await one.kick();
    expect(await serialOf(one)).toBeGreaterThanOrEqual(lastSerial);
    const other = await load();
    await other.start();
    await other.kick();
    expect(await serialOf(other)).toBe(await serialOf(one));
    lastSerial = await serialOf(other);
  });

  it("starts from the file when the database goes away in the middle", async () => {
    database.failsIn = "readPage";
    const one = await load();
    await one.start();
    expect(await ask(one, HOST)).toEqual(["192.0.2.9"]);
    expect(database.refusals).toBeGreaterThan(0);
    database.failsIn = "";
    const { reload } = await import("./loading");
    await reload();
    expect(await ask(one, HOST)).toEqual(["192.0.2.9"]);
  });

  it("takes placements from the file when that leads further in the log of the same system", async () => {
    const { db } = await import("./db");
    const { seq } = (await db.queryRow<{ seq: number }>`SELECT seq FROM log_cursor`)!;
    await db.exec`UPDATE log_cursor SET seq = 0`;
    await db.exec`UPDATE cluster_copy SET ingress = ${["192.0.2.99"]}`;
    database.isLogAway = true;
    const one = await load();
    await one.start();
    expect(await ask(one, HOST)).toEqual(["192.0.2.9"]);
    await one.drain(1_000);
    // Of another system nothing is taken but from the database.
    const { systemId } = (await db.queryRow<{ systemId: string }>`
      UPDATE zone_clock SET system_id = 'another' RETURNING
        (SELECT system_id FROM zone_clock) AS "systemId"`)!;
    const other = await load();
    await other.start();
    expect(await ask(other, HOST)).toEqual(["192.0.2.99"]);
    await other.drain(1_000);
    await db.exec`UPDATE zone_clock SET system_id = ${systemId}`;
    await db.exec`UPDATE log_cursor SET seq = ${seq}`;
    await db.exec`UPDATE cluster_copy SET ingress = ${["192.0.2.9"]} WHERE id = 'life-east'`;
    database.isLogAway = false;
  });

  it("replaces what came from a file by what the database knows of another system", async () => {
    const { db } = await import("./db");
    const first = await load();
    await first.start();
    await first.drain(1_000);
    database.isAway = true;
    database.isLogAway = true;
    const one = await load();
    await one.start();
    expect(await ask(one, HOST)).toEqual(["192.0.2.9"]);
    const { systemId } = (await db.queryRow<{ systemId: string }>`
      UPDATE zone_clock SET system_id = 'another' RETURNING
        (SELECT system_id FROM zone_clock) AS "systemId"`)!;
    await db.exec`UPDATE cluster_copy SET ingress = ${["192.0.2.99"]} WHERE id = 'life-east'`;
    database.isAway = false;
    await expect.poll(() => ask(one, HOST), { timeout: 10_000 }).toEqual(["192.0.2.99"]);
    await one.drain(1_000);
    await db.exec`UPDATE zone_clock SET system_id = ${systemId}`;
    await db.exec`UPDATE cluster_copy SET ingress = ${["192.0.2.9"]} WHERE id = 'life-east'`;
    database.isLogAway = false;
  });

  it("binds nothing from a file whose base is torn", async () => {
    writeFileSync(file, readFileSync(file).subarray(0, 100));
    database.isAway = true;
    const one = await load();
    const started = one.start();
    const before = database.refusals;
    await expect.poll(() => database.refusals).toBeGreaterThan(before + 1);
    expect(one.answerer.listening).toEqual([]);
    database.isAway = false;
    await started;
    expect(await ask(one, HOST)).toEqual(["192.0.2.9"]);
  });

  it("binds nothing while it knows nothing", async () => {
    rmSync(file);
    database.isAway = true;
    const third = await load();
    const started = third.start();
    const before = database.refusals;
    await expect.poll(() => database.refusals).toBeGreaterThan(before + 1);
    expect(third.answerer.listening).toEqual([]);
    database.isAway = false;
    await started;
    expect(await ask(third, HOST)).toEqual(["192.0.2.9"]);
  });

  it("has a DNS-01 value answered by all instances when the call returns", async () => {
    const one = await load();
    const [api, { instances }] = [
      await import("./api-challenges"),
      await import("./api-instances"),
    ];
    await one.start();
    const other = await load();
    await other.start();
    const name = "_acme-challenge.life.demo.repl.localhost";
    const put = await api.putChallenge({ name, values: ["a", "b"] });
    expect(put).toMatchObject({ everywhere: true, missing: [] });
    for (const each of [one, other]) expect(await ask(each, name, "TXT")).toHaveLength(2);
    const listening = async () =>
      (await instances({ wait: "all" })).items.map((item) => item.listening.length);
    await expect.poll(listening).toEqual([1, 1]);
    const { items } = await instances({});
    expect(items.map(({ revision }) => revision)).toEqual([put.revision, put.revision]);
    await other.drain(1_000);
    await expect.poll(listening).toEqual([1]);
    expect(await api.deleteChallenge({ name, values: ["a", "b"] })).toMatchObject({ missing: [] });
  });

  it("knows when all instances answer an entry of the log", async () => {
    const one = await load();
    const { instances } = await import("./api-instances");
    await one.start();
    const other = await load();
    await other.start();
    await clusters.setCluster({ id: "life-east", ingress: ["192.0.2.20"] }, token);
    await one.kick();
    const seq = (await instances({})).items[0]!.seq;
    const waited = instances({ seq, wait: "all", waitMs: 20_000 });
    await other.kick();
    expect(await waited).toMatchObject({ everywhere: true, missing: [] });
    expect(await ask(other, HOST)).toEqual(["192.0.2.20"]);
  });

  it("goes on answering while the database is away, and copies the log when it is back", async () => {
    const fourth = await load();
    const store = await import("./store-placements");
    await fourth.start();
    await fourth.kick();
    database.isAway = true;
    await clusters.setCluster({ id: "life-east", ingress: ["192.0.2.10"] }, token);
    await fourth.kick();
    expect(await ask(fourth, HOST)).toEqual(["192.0.2.10"]);
    database.isAway = false;
    const copied = async () => {
      const { clusters: known, close } = await store.openPlacements();
      await close();
      return JSON.stringify(known);
    };
    await expect.poll(copied, { timeout: 10_000 }).toContain("192.0.2.10");
  });
});
