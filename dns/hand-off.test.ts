import { describe, expect, it } from "vitest";

import { type Deliver, HandOff } from "./hand-off";
import type { Asked } from "./protocol";

const message = (transport: "udp" | "tcp") => {
  return { transport, address: "192.0.2.1", query: Uint8Array.of(1, 2) };
};

describe("signed messages on their way", () => {
  it("come back to who asked, until there are no more", async () => {
    const told: Asked[] = [];
    const got: number[][] = [];
    const handOff = new HandOff((asked) => told.push(asked));
    const deliver: Deliver = async (messages) =>
      void got.push(messages.map(({ length }) => length));
    expect(handOff.give(message("tcp"), () => deliver, 0)).toBe(true);
    expect(told).toEqual([{ id: 1, ...message("tcp") }]);
    await handOff.answer(1, [Uint8Array.of(1), Uint8Array.of(1, 2)]);
    await handOff.answer(1, []);
    await handOff.answer(1, [Uint8Array.of(9)]);
    expect(got).toEqual([[1, 2], []]);
  });

  it("are bounded in number, and over UDP in a second", async () => {
    let count = 0;
    const handOff = new HandOff(() => count++);
    const nobody: Deliver = async () => undefined;
    for (let index = 0; index < 100; index++) handOff.give(message("tcp"), () => nobody, 0);
    expect(count).toBe(64);
    for (let id = 1; id <= 64; id++) await handOff.answer(id, []);
    const flood = async (nowMs: number): Promise<number> => {
      let given = 0;
      for (let index = 0; index < 700; index++) {
        if (!handOff.give(message("udp"), () => nobody, nowMs)) continue;
        given++;
        await handOff.answer(count, []);
      }
      return given;
    };
    expect(await flood(1_000)).toBe(500);
    expect(await flood(1_999)).toBe(0);
    expect(handOff.give(message("tcp"), () => nobody, 1_999)).toBe(true);
    expect(await flood(2_000)).toBe(500);
  });
});
