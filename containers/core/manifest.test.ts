import fc from "fast-check";
import { describe, expect, it } from "vitest";

import { byPath, difference, type Entry, isSame, type Manifest, totalBytes } from "./manifest";

const file = (path: string, size = 1, mtimeMs = 1, mode = 0o644): Entry => ({
  path,
  type: "file",
  size,
  mtimeMs,
  mode,
  target: "",
});
const folder = (path: string): Entry => ({ ...file(path, 0, 0, 0o755), type: "directory" });
const link = (path: string, target: string): Entry => ({
  ...file(path, 0, 0, 0),
  type: "link",
  target,
});

describe("difference", () => {
  it("writes what is missing or changed, removes what is too much", () => {
    const source = [folder("a"), file("a/new"), file("same"), file("touched", 1, 2)];
    const target = [folder("b"), file("b/old"), file("same"), file("touched", 1, 1)];
    expect(difference(source, target)).toEqual({
      write: [folder("a"), file("a/new"), file("touched", 1, 2)],
      remove: ["b/old", "b"],
      chmod: [],
    });
  });

  it("sees a mode and a link's target", () => {
    const source = [file("run", 1, 1, 0o755), link("l", "new")];
    const target = [file("run", 1, 1, 0o644), link("l", "old")];
    expect(difference(source, target)).toEqual({
      write: [link("l", "new")],
      remove: [],
      chmod: [file("run", 1, 1, 0o755)],
    });
  });

  it("removes a folder that became a file, with what is in it, before it writes the file", () => {
    const { write, remove } = difference([file("x")], [folder("x"), file("x/y")]);
    expect(remove).toEqual(["x/y", "x"]);
    expect(write).toEqual([file("x")]);
  });

  it("applied, makes both the same", () => {
    const entry = fc
      .record({
        path: fc.constantFrom("a", "b", "b/c", "b/d", "e"),
        size: fc.nat(2),
        mode: fc.constantFrom(0o644, 0o755),
      })
      .map(({ path, size, mode }) => file(path, size, 1, mode));
    const manifest = fc
      .uniqueArray(entry, { selector: ({ path }) => path })
      .map((entries): Manifest => entries.toSorted(byPath));
    fc.assert(
      fc.property(manifest, manifest, (source, target) => {
        const { write, remove, chmod } = difference(source, target);
        const replaced = new Map(target.map((one) => [one.path, one]));
        for (const path of remove) replaced.delete(path);
        for (const one of [...write, ...chmod]) replaced.set(one.path, one);
        expect([...replaced.values()].toSorted(byPath)).toEqual(source);
        expect(isSame(source, source)).toBe(true);
      }),
    );
  });

  it("counts bytes", () => {
    expect(totalBytes([file("a", 3), folder("b"), file("b/c", 4)])).toBe(7);
  });
});
