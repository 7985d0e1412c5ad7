import { expect, it } from "vitest";

import { Labels } from "./table-labels";

it("has name, owner and id side by side, each behind its length", () => {
  const labels = new Labels();
  labels.read({ id: "id1", name: "app", owner: "me", cluster: 0, generation: 1 });
  const { octets, ownerAt, idAt, end } = labels;
  expect(String.fromCharCode(...octets.subarray(0, end))).toBe("\x03app\x02me\x03id1");
  expect([ownerAt, idAt, end]).toEqual([4, 7, 11]);
});

it.each(["", "*", "x".repeat(64), "\u{100}"])("refuses %j", (label) => {
  expect(new Labels().write(label, 0)).toBe(-1);
});
