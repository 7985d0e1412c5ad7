import { expect, it } from "vitest";

import { hashKey } from "./__tests__/zone-text";
import { FIELDS, MAX_REPLS } from "./table";
import {
  allocate,
  copied,
  LOADING,
  MAX_LOAD,
  NOTHING,
  roomFor,
  slotsFor,
  SPARE,
} from "./table-sizes";

it.each([0, 1, 1_000, 1_000_000])("makes room for one more than %i", (repls) => {
  for (const spare of [SPARE, LOADING]) {
    const { ids, repls: records } = allocate(hashKey, { ...NOTHING, repls }, spare);
    expect(ids.byteLength / 4).toBeGreaterThan((repls + 1) / MAX_LOAD);
    expect(records.byteLength / 4 / FIELDS).toBeGreaterThan(repls);
  }
});

it("makes no more room than a table can have", () => {
  expect(roomFor({ repls: MAX_REPLS, owners: 1, arena: 2 ** 31 - 1 }, LOADING)).toMatchObject({
    repls: MAX_REPLS,
    arena: 2 ** 31 - 1,
  });
  expect(slotsFor(1_000, LOADING)).toBeGreaterThan(slotsFor(1_000, SPARE));
});

it("copies what there is into more", () => {
  const from = new SharedArrayBuffer(3);
  new Uint8Array(from).set([1, 2, 3]);
  expect([...new Uint8Array(copied(from, 5))]).toEqual([1, 2, 3, 0, 0]);
});
