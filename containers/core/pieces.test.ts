import fc from "fast-check";
import { describe, expect, it } from "vitest";

import type { Entry } from "./manifest";
import { BATCH_BLOCKS, BATCH_TEXT_BYTES, batches, BLOCK_BYTES, utf8Bytes } from "./pieces";

const file = (path: string, size: number): Entry => ({
  path,
  type: "file",
  size,
  mtimeMs: 1,
  ctimeUs: 1,
  inode: 1,
  mode: 0o644,
  target: "",
});

describe("batches", () => {
  it("asks for every byte of every file once, in order, within its limits", () => {
    const sizes = fc.array(
      fc.oneof(
        fc.nat(BLOCK_BYTES + 1),
        fc.nat(300 * BLOCK_BYTES),
        fc.constantFrom(0, BLOCK_BYTES, BATCH_BLOCKS * BLOCK_BYTES),
      ),
      { maxLength: 200 },
    );
    fc.assert(
      fc.property(sizes, (all) => {
        const files = all.map((size, index) => file(String(index), size));
        const seen = new Map<string, number>();
        const whole: string[] = [];
        for (const batch of batches(files)) {
          let bytes = 0;
          expect(batch.length).toBeGreaterThan(0);
          for (const { entry, offset, blocks, isLast } of batch) {
            expect(offset).toBe(seen.get(entry.path) ?? 0);
            expect(blocks).toBeGreaterThan(0);
            const end = Math.min(entry.size, offset + blocks * BLOCK_BYTES);
            seen.set(entry.path, end);
            bytes += end - offset;
            if (isLast) whole.push(entry.path);
          }
          expect(bytes).toBeLessThanOrEqual(BATCH_BLOCKS * BLOCK_BYTES);
        }
        expect(whole).toEqual(files.map(({ path }) => path));
        for (const { path, size } of files) expect(seen.get(path)).toBe(size);
      }),
      { numRuns: 200 },
    );
  });

  it("keeps a request below its limit, whatever the names are", () => {
    const odd = "\u0001".repeat(250);
    const long = Array.from({ length: 14 }, () => odd).join("/");
    const files = Array.from({ length: 1_500 }, (_, index) =>
      file(index % 3 === 0 ? `${long}/${index}` : String(index), index % 5 === 0 ? BLOCK_BYTES : 1),
    );
    const hash = "h".repeat(43);
    let count = 0;
    for (const batch of batches(files)) {
      const pieces = batch.map(({ entry, offset, blocks }) => ({
        path: entry.path,
        offset,
        blocks,
        have: Array.from({ length: blocks }, () => hash),
      }));
      expect(utf8Bytes(JSON.stringify(pieces))).toBeLessThanOrEqual(BATCH_TEXT_BYTES + 2);
      count += batch.length;
    }
    expect(count).toBe(files.length);
  });
});
