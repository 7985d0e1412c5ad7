import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";

import type { Change } from "./core/catalog";
import { readSnapshot, SnapshotWriter, type StoredSnapshot, writeSnapshot } from "./snapshot-file";

vi.mock("encore.dev/log", () => ({ default: { warn: vi.fn(), error: vi.fn() } }));

let folder: string;
let file: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "stele-dns-"));
  file = join(folder, "sub", "snapshot.json");
});
afterEach(() => rmSync(folder, { recursive: true }));

function stored(repls: number): StoredSnapshot {
  const changes = Array.from({ length: repls }, (_, i): Change => {
    return { kind: "repl", id: `r${i}`, name: `n${i}`, owner: "o", clusterId: "c", generation: 1 };
  });
  return { systemId: "s", batch: { changes, seq: repls, isWhole: true } };
}

describe("a snapshot file", () => {
  it.each([0, 1, 2_000, 4_001])("comes back with %i changes", async (repls) => {
    await writeSnapshot(file, stored(repls));
    expect(await readSnapshot(file)).toEqual(stored(repls));
    expect(readdirSync(join(folder, "sub"))).toEqual(["snapshot.json"]);
  });

  it("is nothing when it is missing or unreadable", async () => {
    expect(await readSnapshot(file)).toBeUndefined();
    const broken = join(folder, "broken.json");
    for (const text of ["", "{", '{"version":99,"changes":[]}']) {
      writeFileSync(broken, text);
      expect(await readSnapshot(broken)).toBeUndefined();
    }
  });

  it("is written once for many changes, and again when asked", async () => {
    let repls = 1;
    const writer = new SnapshotWriter(file, () => stored(repls));
    writer.schedule();
    writer.schedule();
    await expect.poll(() => readSnapshot(file), { timeout: 4_000 }).toEqual(stored(1));
    repls = 3;
    await writer.flush();
    expect(await readSnapshot(file)).toEqual(stored(3));
  });

  it("survives a folder that cannot be written", async () => {
    writeFileSync(join(folder, "sub"), "");
    await new SnapshotWriter(file, () => stored(1)).flush();
    expect(await readSnapshot(file)).toBeUndefined();
  });
});
