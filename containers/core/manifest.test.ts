import fc from "fast-check";
import { describe, expect, it } from "vitest";

import {
  byPath,
  changedSince,
  difference,
  type Difference,
  type Entry,
  isSame,
  type Manifest,
  totalBytes,
  isSettled,
  mayBeDirty,
  stampOf,
} from "./manifest";

const file = (path: string, size = 1, mtimeMs = 1, mode = 0o644): Entry => ({
  path,
  type: "file",
  size,
  mtimeMs,
  ctimeUs: 0,
  inode: 1,
  mode,
  target: "",
});
const folder = (path: string): Entry => ({ ...file(path, 0, 0, 0o755), type: "directory" });
const link = (path: string, target: string): Entry => ({
  ...file(path, 0, 0, 0),
  type: "link",
  target,
});

const anyEntry = fc.record({
  path: fc
    .array(fc.constantFrom("a", "b", "c"), { minLength: 1, maxLength: 3 })
    .map((parts) => parts.join("/")),
  type: fc.constantFrom<Entry["type"]>("file", "directory", "directory", "link"),
  size: fc.nat(2),
  mode: fc.constantFrom(0o644, 0o755),
});

/** A folder as a file system could have it: everything is in a folder. */
const anyTree = fc.array(anyEntry, { maxLength: 14 }).map((specs): Manifest => {
  const entries = new Map<string, Entry>();
  for (const { path, type, size, mode } of specs) {
    const parent = parentOf(path);
    if (entries.has(path) || (parent !== "" && entries.get(parent)?.type !== "directory")) continue;
    if (type === "file") entries.set(path, file(path, size, 1, mode));
    else if (type === "link") entries.set(path, link(path, String(size)));
    else entries.set(path, { ...folder(path), mode });
  }
  return [...entries.values()].toSorted(byPath);
});

function parentOf(path: string): string {
  return path.slice(0, Math.max(0, path.lastIndexOf("/")));
}

/** What a file system would make of it; throws where one would refuse, or follow a link. */
function applied({ write, remove, chmod }: Difference, target: Manifest): Manifest {
  const tree = new Map(target.map((entry) => [entry.path, entry]));
  for (const path of remove) {
    const isEmpty = ![...tree.keys()].some((other) => parentOf(other) === path);
    if (!isEmpty || !tree.delete(path)) throw new Error(`cannot remove ${path}`);
  }
  // Folders before links before files, as `prepare` does it.
  for (const type of ["directory", "link", "file"] as const) {
    for (const entry of write.filter((one) => one.type === type)) {
      const parent = parentOf(entry.path);
      const isInFolder = parent === "" || tree.get(parent)?.type === "directory";
      const there = tree.get(entry.path);
      const isFree = !there || (type !== "directory" && there.type !== "directory");
      if (!isInFolder || !isFree) throw new Error(`cannot write ${entry.path}`);
      tree.set(entry.path, entry);
    }
  }
  for (const entry of chmod) {
    if (tree.get(entry.path)?.type !== entry.type) throw new Error(`cannot chmod ${entry.path}`);
    tree.set(entry.path, entry);
  }
  return [...tree.values()].toSorted(byPath);
}

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

  it("applied to any folder, makes it the same, and writes nothing below a file or a link", () => {
    fc.assert(
      fc.property(anyTree, anyTree, (source, target) => {
        expect(applied(difference(source, target), target)).toEqual(source);
        expect(isSame(source, source)).toBe(true);
      }),
      { numRuns: 2_000 },
    );
  });

  it("counts bytes", () => {
    expect(totalBytes([file("a", 3), folder("b"), file("b/c", 4)])).toBe(7);
  });
});

describe("a file", () => {
  const nowUs = 1_000_000_000_001;
  const at = (agoUs: number, mtimeAgoMs = agoUs / 1_000): Entry => ({
    ...file("x", 1, Math.floor(nowUs / 1_000 - mtimeAgoMs)),
    ctimeUs: nowUs - agoUs,
  });

  it("is settled when a later write would have another time, however coarse the clock is", () => {
    const look = { scannedAtUs: nowUs, isFlushed: true };
    expect(isSettled(at(25_000), look)).toBe(true);
    expect(isSettled(at(15_000), look)).toBe(false);
    expect(isSettled(at(-5_000), look)).toBe(false);
    // Whole milliseconds: a clock of seconds, perhaps.
    expect(isSettled(at(25_001), look)).toBe(false);
    expect(isSettled(at(3_000_001), look)).toBe(true);
  });

  it("that may be written through a mapping is settled once that was flushed, or long after", () => {
    const look = { scannedAtUs: nowUs, isFlushed: false };
    expect(isSettled(at(25_000), look)).toBe(false);
    expect(isSettled(at(25_000, 50_000), look)).toBe(true);
  });

  it("may be dirty when it was written lately, and not by the release", () => {
    const [late, old] = [at(1_000_000), { ...at(50_000_000), path: "old" }];
    const released = { ...late, path: "released" };
    const all = [folder("a"), link("l", "x"), old, released, late];
    expect(mayBeDirty(all, nowUs, [released, { ...late, mtimeMs: 7 }])).toEqual([late]);
  });

  it("has another stamp when its inode is another or has changed", () => {
    const stamps = [at(1), at(2), { ...at(1), inode: 7 }].map(stampOf);
    expect(new Set(stamps).size).toBe(3);
  });
});

describe("changedSince()", () => {
  it("names files of that very moment and later ones, whatever their own time says", () => {
    const at = (path: string, ms: number): Entry => ({ ...file(path), ctimeUs: ms * 1_000 });
    const manifest = [at("before", 99), at("then", 100), at("after", 101), folder("folder")];
    expect(changedSince(manifest, 100).map(({ path }) => path)).toEqual(["then", "after"]);
  });
});
