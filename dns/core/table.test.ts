import { expect, it } from "vitest";

import { hashKey } from "./__tests__/zone-text";
import { EMPTY_TABLE, homeOf, Table } from "./table";
import { TableWriter } from "./table-writer";

const key = Uint8Array.of(3, 0x61, 0x70, 0x70, 2, 0x6f, 0x31);

it("finds nothing before it is told of a table", () => {
  const table = new Table(EMPTY_TABLE);
  expect(table.findName(key, 0, 7)).toBe(-1);
  expect(table.findId(key, 0, 4)).toBe(-1);
  expect(table.findOwner(key, 4, 7)).toBe(-1);
});

it("reads another's table, its moves at once, and counts into it", () => {
  const writer = new TableWriter(hashKey);
  writer.place({ id: "a", name: "app", owner: "o1", cluster: 4, generation: 1 }, -1);
  const reader = new Table(EMPTY_TABLE);
  reader.adopt(writer.buffers);
  const index = reader.findName(key, 0, 7);
  expect(reader.clusterOf(index)).toBe(4);
  writer.place({ id: "a", name: "app", owner: "o1", cluster: 5, generation: 2 }, index);
  expect(reader.clusterOf(index)).toBe(5);
  reader.countQuery(index);
  expect(writer.queriesOf(index)).toBe(1);
});

it("has a home for every hash in any number of slots", () => {
  for (const slots of [1, 3, 2 ** 20 + 7, 2 ** 25 - 1]) {
    for (const hash of [0, 1, 2 ** 31, 2 ** 32 - 1]) {
      expect(homeOf(hash, slots)).toBeGreaterThanOrEqual(0);
      expect(homeOf(hash, slots)).toBeLessThan(slots);
    }
  }
});
