import { expect, it } from "vitest";

import { fuzz } from "./fuzz/run";

const CASES = 100_000;
const FIRST_SEED = Number(process.env.SEED ?? 1_000_000);

const HEAP_GROWTH = 16 * 1024 * 1024;
const RSS_GROWTH = 200 * 1024 * 1024;

it("survives a hundred thousand hostile requests", async () => {
  const { faults, complaints, statuses, seconds, before, after } = await fuzz(FIRST_SEED, CASES);
  const grown = ((after.heap - before.heap) / 1024 / 1024).toFixed(1);
  process.stdout.write(
    `figure: ${CASES} hostile requests in ${seconds.toFixed(0)} s, heap ${grown} MiB more, ` +
      `answers ${JSON.stringify(statuses)}\n`,
  );
  expect(faults).toEqual([]);
  expect(complaints).toBe("");
  expect(after.heap - before.heap).toBeLessThan(HEAP_GROWTH);
  expect(after.rss - before.rss).toBeLessThan(RSS_GROWTH);
});
