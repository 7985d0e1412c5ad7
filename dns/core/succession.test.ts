import { expect, it } from "vitest";

import { hashKey } from "./__tests__/zone-text";
import { Succession } from "./succession";
import type { Placed } from "./table";
import { TableWriter } from "./table-writer";

const replOf = (id: string, name = id, cluster = 1): Placed => {
  return { id, name, owner: "o", cluster, generation: 1 };
};

function begun(ids: readonly string[]): {
  table: TableWriter;
  succession: Succession<TableWriter>;
} {
  const table = new TableWriter(hashKey);
  for (const id of ids) table.place(replOf(id), -1);
  return { table, succession: new Succession(new TableWriter(hashKey), table.recordCount + 2) };
}

it("takes over some repls at a time, and knows where each of them is then", () => {
  const { table, succession } = begun(["a", "b", "c"]);
  table.remove(table.find("b"));
  expect(succession.advance(table, table.recordCount, 2)).toBe(false);
  expect(succession.advance(table, table.recordCount, 2)).toBe(true);
  const { heir } = succession;
  expect(heir.size).toBe(2);
  expect(succession.indexOf(table.find("c"))).toBe(heir.find("c"));
  expect(succession.hasFailed).toBe(false);
});

it("tells the heir what changes, unless it will see that for itself", () => {
  const { table, succession } = begun(["a", "b", "c"]);
  succession.advance(table, table.recordCount, 1);
  const { heir } = succession;
  for (const id of ["a", "c"]) {
    table.place(replOf(id, id, 7), table.find(id));
    succession.moved(replOf(id, id, 7));
  }
  expect(heir.clusterOf(heir.find("a"))).toBe(7);
  expect(heir.find("c")).toBe(-1);
  table.remove(table.find("a"));
  succession.removed("a");
  expect(heir.find("a")).toBe(-1);
  // Who took a name has it there too, also when nobody has it any more.
  table.place(replOf("d", "b"), -1);
  succession.placed(replOf("d", "b"));
  expect(succession.advance(table, table.recordCount, 9)).toBe(true);
  expect(heir.isNamed(heir.find("b"))).toBe(false);
  expect(heir.clusterOf(heir.find("c"))).toBe(7);
  expect(heir.size).toBe(3);
});

it("says when more came than there was room for", () => {
  const { table, succession } = begun(["a"]);
  for (const id of ["b", "c", "d"]) table.place(replOf(id), -1);
  expect(succession.advance(table, table.recordCount, 9)).toBe(true);
  expect(succession.hasFailed).toBe(true);
});
