import { expect, test } from "vitest";

import { encoreId } from "./request";

test.each([
  ["19d6a91aeb65d089face06d8fd49ecc8", 26],
  ["ccfe3e5924798f69", 13],
])("%s has %i digits in Encore's base 32", (hex, length) => {
  const id = encoreId(hex);
  expect(id).toHaveLength(length);
  const bits = Array.from(id, (digit) => parseInt(digit, 32).toString(2).padStart(5, "0")).join("");
  const back = BigInt(`0b${bits.slice(0, hex.length * 4)}`).toString(16);
  expect([back.padStart(hex.length, "0"), /^0*$/.test(bits.slice(hex.length * 4))]).toEqual([
    hex,
    true,
  ]);
});
