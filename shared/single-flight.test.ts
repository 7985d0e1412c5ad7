import { expect, it } from "vitest";

import { singleFlight } from "./single-flight";

it("shares a running call, and forgets it when it has ended", async () => {
  let calls = 0;
  const answers: Array<(value: number) => void> = [];
  const ask = singleFlight((_key: string) => {
    calls++;
    return new Promise<number>((resolve) => answers.push(resolve));
  });

  const both = [ask("a"), ask("a"), ask("b")];
  expect(calls).toBe(2);
  for (const [index, answer] of answers.entries()) answer(index);
  expect(await Promise.all(both)).toEqual([0, 0, 1]);

  const again = ask("a");
  answers.at(-1)?.(7);
  expect(await again).toBe(7);
  expect(calls).toBe(3);
});

it("tells a failure to all who wait, and tries afresh afterwards", async () => {
  let fail = true;
  const ask = singleFlight(async (key: string) => {
    if (fail) throw new Error(`Cannot wake "${key}"`);
    return key;
  });
  const both = await Promise.allSettled([ask("a"), ask("a")]);
  expect(both.map(({ status }) => status)).toEqual(["rejected", "rejected"]);
  fail = false;
  expect(await ask("a")).toBe("a");
});
