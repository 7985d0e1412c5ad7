import {
  appendFileSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { mkdir, open } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";

import type { Batch, Change } from "./core/catalog";
import { hashKey } from "./core/__tests__/zone-text";
import { Memory } from "./core/memory";
import { findSnapshot } from "./snapshot-file";
import { SnapshotWriter } from "./snapshot-writer";

const log = vi.hoisted(() => ({ info: vi.fn(), warn: vi.fn(), error: vi.fn() }));
vi.mock("encore.dev/log", () => ({ default: log }));

const options = { platformZone: "repl.test", validationZone: "", hashKey };
// Tens of thousands of repls, on cores that are shared with others.
vi.setConfig({ testTimeout: 30_000 });

let folder: string;
let file: string;
let memory: Memory;
let openFile: typeof open;
let writer: SnapshotWriter;
let seq: number;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "stele-dns-"));
  file = join(folder, "sub", "snapshot.json");
  await mkdir(join(folder, "sub"));
  memory = new Memory(options);
  openFile = open;
  seq = 0;
  writer = new SnapshotWriter({
    file,
    source: () => ({
      systemId: "s",
      get seq() {
        return memory.snapshot.seq;
      },
      changes: () => memory.snapshot.changes(),
      repls: () => memory.catalog.platform.repls(),
      size: memory.catalog.platform.size,
    }),
    openFile: (...args) => openFile(...args),
  });
});
afterEach(async () => {
  openFile = open;
  await writer.close();
  rmSync(folder, { recursive: true });
  vi.clearAllMocks();
});

const replOf = (number: number, generation = 1): Change => {
  const id = `r${number}`;
  return { kind: "repl", id, name: `n${number}`, owner: "o", clusterId: "c", generation };
};
const repls = (count: number): Change[] => Array.from({ length: count }, (_, i) => replOf(i));

function take(changes: readonly Change[], more: Partial<Batch> = {}): void {
  const batch = { changes, seq: ++seq, ...more };
  memory.apply(batch);
  writer.add(batch);
}

/** What a process that starts from the file would know; undefined when it would not start. */
async function found(): Promise<Batch | undefined> {
  const stored = await findSnapshot(file);
  if (!stored) return undefined;
  expect(stored.systemId).toBe("s");
  const read = new Memory(options);
  try {
    for await (const batch of stored.batches()) read.apply(batch);
  } catch {
    return undefined;
  }
  return read.whole();
}

/** A file whose writes fail as on a full disk once it would be longer than `octets`. */
function diskOf(octets: () => number): typeof open {
  return async (...args) => {
    const handle = await open(...args);
    const write = handle.write.bind(handle) as (...of: unknown[]) => Promise<unknown>;
    const limited = async (data: Buffer, from: number, length: number, position: number) => {
      const room = Math.max(0, octets() - position);
      if (length <= room) return write(data, from, length, position);
      if (room > 0) return write(data, from, room, position);
      throw Object.assign(new Error("no space left on device"), { code: "ENOSPC" });
    };
    return Object.assign(handle, { write: limited });
  };
}

describe("a snapshot file", () => {
  it.each([0, 1, 4_001])("comes back with %i repls, and with what changed after", async (count) => {
    take(repls(count));
    await writer.flush();
    expect(await found()).toEqual(memory.whole());
    take([replOf(0, 2), replOf(9_999), { kind: "repl_gone", id: "r1" }]);
    take([{ kind: "cluster", id: "c", ingress: ["192.0.2.1"] }]);
    await writer.flush();
    expect(await found()).toEqual(memory.whole());
    expect((await findSnapshot(file))?.lastSeq).toBe(seq);
    expect(readdirSync(join(folder, "sub"))).toEqual(["snapshot.json"]);
  });

  it("is nothing when it is missing, of another version, or no snapshot", async () => {
    expect(await found()).toBeUndefined();
    expect(log.warn).not.toHaveBeenCalled();
    for (const text of ["", "{", '{"version":1,"systemId":"s","seq":1,"changes":[\n\n]}\n']) {
      writeFileSync(file, text);
      expect(await found()).toBeUndefined();
    }
    expect(log.warn).toHaveBeenCalledTimes(3);
  });

  it("is nothing when its base is torn or altered: names that exist would be denied", async () => {
    take(repls(3_000));
    await writer.flush();
    const octets = readFileSync(file);
    writeFileSync(file, octets.subarray(0, -1));
    expect(await found()).toBeUndefined();
    octets[octets.length >> 1]! ^= 1;
    writeFileSync(file, octets);
    expect(await found()).toBeUndefined();
  });

  it("counts up to a line that is torn or altered, and says so", async () => {
    take(repls(10));
    await writer.flush();
    const base = await found();
    const { length } = readFileSync(file);
    for (const generation of [2, 3]) {
      take([replOf(0, generation)]);
      await writer.flush();
    }
    const octets = readFileSync(file);
    writeFileSync(file, octets.subarray(0, -5));
    expect(await found()).toMatchObject({ seq: 2 });
    octets[length + 20]! ^= 1;
    writeFileSync(file, octets);
    expect(await found()).toEqual(base);
    expect(log.error.mock.calls.map(([, fields]: unknown[]) => fields)).toMatchObject([
      { line: 5, reason: "Error: the last line is torn" },
      { line: 4, reason: "Error: a line is not what was written" },
    ]);
  });

  it("ends where a line does not", async () => {
    take(repls(1));
    await writer.flush();
    appendFileSync(file, Buffer.alloc(5 * 2 ** 20, "x"));
    expect(await found()).toEqual(memory.whole());
    expect(log.error).toHaveBeenCalledTimes(1);
  });
});

describe("writing it", () => {
  it("happens once for many changes, by itself", async () => {
    take(repls(1));
    take(repls(2));
    await expect.poll(found, { timeout: 4_000 }).toEqual(memory.whole());
    const { written } = writer;
    take([replOf(0, 2)]);
    await expect.poll(found, { timeout: 4_000 }).toEqual(memory.whole());
    expect(writer.written - written).toBeLessThan(200);
  });

  it("goes on while changes come, and none is left out", async () => {
    take(repls(20_000));
    // Between any two writes of the base, there is a change.
    let isBusy = true;
    openFile = async (...args) => {
      const handle = await open(...args);
      const write = handle.write.bind(handle) as (...of: unknown[]) => Promise<unknown>;
      const after = async (...of: unknown[]) => {
        const result = await write(...of);
        if (isBusy)
          take([replOf(seq, seq), replOf(20_000 + seq), { kind: "repl_gone", id: `r${seq + 50}` }]);
        return result;
      };
      return Object.assign(handle, { write: after });
    };
    await writer.flush();
    isBusy = false;
    expect(seq).toBeGreaterThan(5);
    await writer.flush();
    const byId = (batch: Batch | undefined) => ({
      ...batch,
      changes: batch?.changes.toSorted((a, b) => ("id" in a && "id" in b && a.id < b.id ? -1 : 1)),
    });
    expect(byId(await found())).toEqual(byId(memory.whole()));
  });

  it("costs the same for a change of few names and of many, its part of new bases included", async () => {
    const costOf = async (count: number): Promise<number> => {
      take(repls(count), { isWhole: true });
      await writer.flush();
      const { written } = writer;
      const changes = 12_000;
      for (let change = 0; change < changes; change += 1_000) {
        const some = Array.from({ length: 1_000 }, (_, i) =>
          replOf((change + i) % count, change + 2),
        );
        take(some);
        await writer.flush();
      }
      expect(await found()).toMatchObject({ seq });
      return (writer.written - written) / changes;
    };
    const [few, many] = [await costOf(100), await costOf(15_000)];
    expect(few).toBeLessThan(250);
    expect(many).toBeLessThan(250);
  });

  it("begins anew when memory is replaced, or all zones are told", async () => {
    take(repls(5));
    await writer.flush();
    take([replOf(7)], { isWhole: true });
    await writer.flush();
    expect(await found()).toEqual(memory.whole());
    const zone: Change = { kind: "zone", zone: "repl.test", base: 1, revision: 1 };
    take([zone, { ...zone, zone: "old.test" }]);
    await writer.flush();
    take([zone], { isAllZones: true });
    await writer.flush();
    expect(await found()).toEqual(memory.whole());
  });

  it("survives a folder that cannot be written, and says so once", async () => {
    rmSync(join(folder, "sub"), { recursive: true });
    writeFileSync(join(folder, "sub"), "");
    take(repls(1));
    await writer.flush();
    await writer.flush();
    expect(await found()).toBeUndefined();
    expect(log.error).toHaveBeenCalledTimes(1);
    rmSync(join(folder, "sub"));
    await writer.flush();
    expect(await found()).toEqual(memory.whole());
    expect(log.info).toHaveBeenCalledWith("writing the snapshot works again", { file });
  });

  it("leaves what was there on a full disk, and goes on when there is room", async () => {
    let room = Infinity;
    openFile = diskOf(() => room);
    take(repls(1_000));
    await writer.flush();
    const { length } = readFileSync(file);
    const before = await found();
    // Half of a line finds room.
    room = length + 30;
    take([replOf(0, 2)]);
    await writer.flush();
    expect(readFileSync(file).length).toBe(length);
    expect(await found()).toEqual(before);
    // And so does half of a base.
    room = length >> 1;
    take(repls(2_000), { isWhole: true });
    await writer.flush();
    expect(await found()).toEqual(before);
    expect(readdirSync(join(folder, "sub"))).toEqual(["snapshot.json"]);
    room = Infinity;
    take([replOf(3, 3)]);
    await writer.flush();
    expect(await found()).toEqual(memory.whole());
    expect(log.error).toHaveBeenCalledTimes(1);
  });

  it("appends what waited for room", async () => {
    let room = Infinity;
    openFile = diskOf(() => room);
    take(repls(1_000));
    await writer.flush();
    const { written } = writer;
    room = readFileSync(file).length + 30;
    take([replOf(0, 2)]);
    await writer.flush();
    take([replOf(0, 3)]);
    room = Infinity;
    await writer.flush();
    expect(await found()).toEqual(memory.whole());
    expect(writer.written - written).toBeLessThan(500);
  });

  it("takes away what processes that died in it have left", async () => {
    const dead = join(folder, "sub", "snapshot.json.999999999");
    const other = join(folder, "sub", "snapshot.json.bak");
    for (const path of [dead, other]) writeFileSync(path, "");
    take(repls(1));
    await writer.flush();
    expect(readdirSync(join(folder, "sub"))).toEqual(["snapshot.json", "snapshot.json.bak"]);
  });

  it("ends with an append, however long that part has become", async () => {
    take(repls(10));
    await writer.flush();
    for (let more = 0; more < 20; more++) {
      take(repls(1_000));
      await writer.flush();
    }
    take([replOf(0, 2)]);
    await writer.close();
    expect(await found()).toEqual(memory.whole());
  });
});
