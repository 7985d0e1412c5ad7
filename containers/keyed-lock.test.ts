import { expect, it } from "vitest";

import { KeyedLock } from "./keyed-lock";

it("runs one at a time for each key, in order, also after a failure", async () => {
  const lock = new KeyedLock();
  const order: string[] = [];
  let open = (): void => undefined;
  const gate = new Promise<void>((resolve) => {
    open = resolve;
  });
  const first = lock.run("a", async () => {
    await gate;
    order.push("first");
    throw new Error("broken");
  });
  const second = lock.run("a", async () => void order.push("second"));
  const third = lock.run("a", async () => void order.push("third"));
  await lock.run("b", async () => void order.push("other"));
  expect(lock.isHeld("a")).toBe(true);
  expect(lock.waitingFor("a")).toBe(2);
  open();
  await expect(first).rejects.toThrow("broken");
  await Promise.all([second, third]);
  expect(order).toEqual(["other", "first", "second", "third"]);
  expect(lock.isHeld("a")).toBe(false);
  expect(lock.waitingFor("a")).toBe(0);
});
