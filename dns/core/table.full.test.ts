import { expect, it, vi } from "vitest";

import { hashKey } from "./__tests__/zone-text";
import { TableWriter } from "./table-writer";

vi.setConfig({ testTimeout: 60_000 });

it("takes at most 64 octets a repl at a million", () => {
  const letters = "abcdefghijklmnopqrstuvwxyz";
  const idOf = (index: number): string => {
    let id = "";
    for (let rest = index; id.length < 12; rest = Math.floor(rest / 26)) id += letters[rest % 26];
    return id;
  };
  const placeAll = (table: TableWriter, repls: number): void => {
    for (let index = 0; index < repls; index++) {
      const name = `app${1_000_000 + index}`;
      const owner = `user${100_000 + Math.floor(index / 10)}`;
      table.place({ id: idOf(index), name, owner, cluster: index % 8, generation: 1 }, -1);
    }
  };
  const table = new TableWriter(hashKey);
  table.expect(1_000_000);
  placeAll(table, 1_000_000);
  table.settle();
  console.log(`figure: a repl takes ${table.octets / 1_000_000} octets`);
  expect(table.size).toBe(1_000_000);
  expect(table.octets).toBeLessThanOrEqual(64_000_000);
  // Nor when nobody knows how many come.
  const other = new TableWriter(hashKey);
  other.expect(0);
  placeAll(other, 200_000);
  other.settle();
  expect(other.octets / 200_000).toBeLessThanOrEqual(64);
});
