import { expect, it } from "vitest";

import type { Batch } from "./core/catalog";
import { Snapshot } from "./core/snapshot";
import { ZoneReader } from "./zones";

const HOUR_MS = 3_600_000;

it("reads changes, and everything after it was away for longer than what has ended is kept", async () => {
  const snapshot = new Snapshot();
  const applied: Batch[] = [];
  const asked: number[] = [];
  let nowMs = 0;
  const apply = (batch: Batch): void => {
    applied.push(batch);
    snapshot.apply(batch);
  };
  const read = async (after: number) => {
    asked.push(after);
    const zone = { kind: "zone" as const, zone: "example.org", base: 1, revision: 7 };
    return { changes: after < 7 ? [zone] : [], revision: 7 };
  };
  const reader = new ZoneReader({ apply, snapshot }, read, () => nowMs);
  await reader.refresh();
  nowMs += 11 * HOUR_MS;
  await reader.refresh();
  nowMs += 13 * HOUR_MS;
  await reader.refresh();
  expect(asked).toEqual([0, 7, 0]);
  expect(applied.map(({ isAllZones }) => isAllZones)).toEqual([undefined, true]);
});
