import { expect, it } from "vitest";

import { START_MS } from "../app-process";
import { fuzz } from "./fuzz/run";
import { foreignMarks, hostileCase, markOf } from "./fuzz/requests";

const CASES = 2_000;
const FIRST_SEED = Number(process.env.SEED ?? 1);

/** Beyond what is kept for good, which the first part of the run has brought about. */
const HEAP_GROWTH = 12 * 1024 * 1024;

it("gives the same case for the same seed", () => {
  expect(hostileCase(7)).toEqual(hostileCase(7));
  expect(hostileCase(7).pieces).not.toEqual(hostileCase(8).pieces);
  expect(foreignMarks(`${markOf(1)} ${markOf(2)} mark-3-00000000`, markOf(1))).toEqual([markOf(2)]);
});

it("hostile requests get an answer, and nobody else's", { timeout: START_MS * 2 }, async () => {
  const report = await fuzz(FIRST_SEED, CASES);
  expect(report.faults).toEqual([]);
  expect(report.complaints).toBe("");
  expect(report.statuses[200]).toBeGreaterThan(CASES / 10);
  expect(report.after.heap - report.before.heap).toBeLessThan(HEAP_GROWTH);
});
