import { afterEach, beforeEach, expect, it, vi } from "vitest";

import { keepAcceptingMs, Lifecycle } from "./lifecycle";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

function parts(drain: () => Promise<void>, log: string[]) {
  return {
    announce: () => void log.push("announced"),
    drain: () => {
      log.push("drains");
      return drain();
    },
    release: async () => void log.push("released"),
  };
}

it("waits for a grace beyond its own before it drains", async () => {
  const log: string[] = [];
  const lifecycle = new Lifecycle(1000, 5000);
  const ended = lifecycle.stop(parts(async () => {}, log));
  await vi.advanceTimersByTimeAsync(4999);
  expect(log).toEqual(["announced"]);
  await vi.advanceTimersByTimeAsync(1);
  expect(await ended).toBe(0);
  expect(log).toEqual(["announced", "drains", "released"]);
});

it("cuts off what does not end in time, and says so", async () => {
  const lifecycle = new Lifecycle(1000);
  const ended = lifecycle.stop(parts(() => new Promise(() => {}), []));
  await vi.advanceTimersByTimeAsync(1000);
  expect(await ended).toBe(1);
});

it.each([
  [undefined, 0],
  ["30", 25_000],
  ["5", 0],
  ["3", 0],
  ["soon", 0],
])("ENCORE_K8S_GRACE_TERMINATION_SECONDS=%s leaves %s ms", (value, ms) => {
  expect(keepAcceptingMs({ ENCORE_K8S_GRACE_TERMINATION_SECONDS: value }, 5000)).toBe(ms);
});
