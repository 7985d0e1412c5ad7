import { describe, expect, it } from "vitest";

import { sipHash24 } from "./siphash";

const key = Uint8Array.from({ length: 16 }, (_, i) => i);
const hash = (length: number): string =>
  Buffer.from(
    sipHash24(
      key,
      Uint8Array.from({ length }, (_, i) => i),
    ),
  ).toString("hex");

describe("sipHash24()", () => {
  // The first and others of the reference implementation's 64 vectors.
  it.each([
    [0, "310e0edd47db6f72"],
    [1, "fd67dc93c539f874"],
    [7, "37d1018bf50002ab"],
    [8, "6224939a79f5f593"],
    [15, "e545be4961ca29a1"],
    [16, "db9bc2577fcc2a3f"],
    [63, "724506eb4c328a95"],
  ])("of %i octets", (length, expected) => {
    expect(hash(length)).toBe(expected);
  });
});
