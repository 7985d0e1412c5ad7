import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { MessageChannel } from "node:worker_threads";

import { afterAll, beforeAll, expect, it, vi } from "vitest";

import { startWorker } from "../shared/worker";
import { hashKey } from "./core/__tests__/zone-text";
import { TableWriter } from "./core/table-writer";

// Deadlines of tests that share their cores with others.
vi.setConfig({ testTimeout: 60_000 });

const buildDir = mkdtempSync(join(tmpdir(), "stele-table-"));
beforeAll(() => {
  process.env.STELE_BUILD_DIR = buildDir;
});
afterAll(() => {
  delete process.env.STELE_BUILD_DIR;
  rmSync(buildDir, { recursive: true });
});

const STEADY = 50;
const CHANGES = 100_000;

it("never leads a thread to another repl's cluster, or past one that is there, while it is written", async () => {
  const table = new TableWriter(hashKey);
  const place = (id: string, name: string, owner: string, cluster: number): void =>
    table.place({ id, name, owner, cluster, generation: 1 }, table.find(id));
  for (let number = 0; number < STEADY; number++) {
    place(`id-s${number}`, `s${number}`, "steady", number);
  }
  const end = new SharedArrayBuffer(4);
  const { port1, port2 } = new MessageChannel();
  let { buffers } = table;
  const input = { buffers, port: port2, steady: STEADY, end };
  const worker = await startWorker("dns/__tests__/table-worker.ts", input, [port2]);
  await once(worker, "message");
  for (let change = 0; change < CHANGES; change++) {
    const steady = change % STEADY;
    // Others come, go, and take each other's names; those that stay move, and lose no name.
    const other = (change * 7_919) % 5_000;
    const id = `id-o${other + 5_000 * (change % 3)}`;
    const known = table.find(id);
    if (change % 4 === 0 && known >= 0) table.remove(known);
    else place(id, `o${other}`, "others", -other);
    place(`id-s${steady}`, `s${steady}`, "steady", steady + STEADY * (change % 1_000));
    if (table.buffers !== buffers) port1.postMessage(table.buffers);
    ({ buffers } = table);
  }
  Atomics.store(new Int32Array(end), 0, 1);
  const [said] = (await once(worker, "message")) as [
    { asked: number; wrong: number; adopted: number },
  ];
  port1.close();
  expect(said.wrong).toBe(0);
  expect(said.asked).toBeGreaterThan(1_000);
  expect(said.adopted).toBeGreaterThan(0);
});
