import { describe, expect, it } from "vitest";

import { createGate, type Pass } from "./gate";

async function isInside({ entered }: Pass): Promise<boolean> {
  return Promise.race([entered.then(() => true), Promise.resolve().then(() => false)]);
}

describe("a gate", () => {
  it("lets as many in as its limit says, in the order that they came", async () => {
    const enter = createGate(2);
    const passes = [enter(), enter(), enter(), enter()] as const;
    expect(await Promise.all(passes.map(isInside))).toEqual([true, true, false, false]);
    passes[1].leave();
    expect(await Promise.all(passes.map(isInside))).toEqual([true, true, true, false]);
  });

  it("forgets who leaves while waiting, and counts nobody twice", async () => {
    const enter = createGate(1);
    const [first, second, third] = [enter(), enter(), enter()] as const;
    second.leave();
    second.leave();
    expect(await isInside(third)).toBe(false);
    first.leave();
    first.leave();
    expect(await isInside(third)).toBe(true);
    expect(await isInside(enter())).toBe(false);
  });
});
