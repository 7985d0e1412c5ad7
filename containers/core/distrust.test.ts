import fc from "fast-check";
import { describe, expect, it } from "vitest";

import { createManifestReader, MANIFEST_LIMITS, pathFault, piecesFault } from "./distrust";
import { byPath, type Entry } from "./manifest";
import { BATCH_BLOCKS, BATCH_PIECES, BLOCK_BYTES } from "./pieces";

const file = (path: string, size = 1): Entry => ({
  path,
  type: "file",
  size,
  mtimeMs: 1,
  ctimeUs: 1,
  inode: 1,
  mode: 0o644,
  target: "",
});
const folder = (path: string): Entry => ({ ...file(path, 0), type: "directory" });
const link = (path: string, target: string): Entry => ({
  ...file(path, 0),
  type: "link",
  mode: 0,
  target,
});

const name = (path: string, target: string): Entry => ({ ...link(path, target), type: "name" });

function faultOf(entries: readonly unknown[], limits = MANIFEST_LIMITS): string | null {
  const reader = createManifestReader(limits);
  for (const entry of entries) {
    const fault = reader.take(entry);
    if (fault !== null) return fault;
  }
  return null;
}

describe("a path", () => {
  it.each([
    "a",
    "a/b",
    "ü\n",
    ".env",
    "...",
    "a/..b",
    " ",
    "-rf",
    "C:\\x",
    "\u{1f600}",
    "\udcff",
    "\udce9t\udce9",
    "\udced\udca0\udc80",
  ])("%j is fine", (path) => expect(pathFault(path)).toBeNull());

  it.each([
    ["", "no path"],
    [7, "no path"],
    [null, "no path"],
    ["/etc/passwd", "absolute"],
    ["a//b", "empty part"],
    ["a/", "empty part"],
    ["..", '".."'],
    ["../x", '".."'],
    ["a/../../x", '".."'],
    ["a/./b", '"."'],
    ["a\0b", "character"],
    ["\ud800", "character"],
    ["\udc41", "character"],
    ["\udd00", "character"],
    // A second way to write "é", "€" and an astral one.
    ["\udcc3\udca9", "character"],
    ["\udcff\udce2\udc82\udcac", "character"],
    ["\udcf0\udc9f\udc98\udc80", "character"],
    ["x".repeat(256), "255 bytes"],
    ["ü".repeat(128), "255 bytes"],
    ["x/".repeat(2_000), "3800 bytes"],
    ["\u{1f600}/".repeat(800), "3800 bytes"],
  ])("%j is refused", (path, why) => expect(pathFault(path)).toContain(why));

  it("that is fine stays inside, however it is made", () => {
    const part = fc.constantFrom("a", "..", ".", "", "\0", "b c", "/");
    fc.assert(
      fc.property(fc.array(part, { maxLength: 6 }), (parts) => {
        const path = parts.join("/");
        if (pathFault(path) !== null) return;
        const steps = path.split("/");
        expect(steps.some((step) => ["", ".", ".."].includes(step))).toBe(false);
      }),
    );
  });
});

describe("a manifest", () => {
  it("is taken when each folder comes before what is in it", () => {
    const reader = createManifestReader();
    const entries = [
      folder("a"),
      file("a/b"),
      link("a/c", "/etc"),
      folder("b"),
      file("z"),
      name("z2", "z"),
    ];
    for (const entry of entries) expect(reader.take(entry)).toBeNull();
    expect(reader.manifest).toEqual(entries);
  });

  it("takes over nothing but what it knows", () => {
    const reader = createManifestReader();
    expect(reader.take({ ...file("a"), toString: 1, extra: "x" })).toBeNull();
    expect(reader.manifest).toEqual([file("a")]);
  });

  it.each<[string, readonly unknown[], string]>([
    ["an absolute path", [file("/etc/passwd")], "absolute"],
    ["a way up", [file("../x")], '".."'],
    ["a file below a link", [link("a", "/etc"), file("a/passwd")], "no folder"],
    ["a file below a file", [file("a"), file("a/b")], "no folder"],
    ["a file in no folder", [file("a/b")], "no folder"],
    ["a name twice", [file("a"), file("a")], "twice"],
    ["a name twice, as link and as folder", [link("a", "/etc"), folder("a")], "twice"],
    ["a wrong order", [file("b"), file("a")], "order"],
    ["nothing", [null], "no entry"],
    ["a text", ["a"], "no entry"],
    ["another type", [{ ...file("a"), type: "device" }], "type"],
    ["a negative size", [file("a", -1)], "size"],
    ["a size that is none", [{ ...file("a"), size: "7" }], "size"],
    ["a size beyond numbers", [file("a", 2 ** 60)], "size"],
    ["a time that is none", [{ ...file("a"), mtimeMs: NaN }], "time"],
    ["a mode with more than permissions", [{ ...file("a"), mode: 0o10644 }], "mode"],
    ["a folder with a size", [{ ...folder("a"), size: 1 }], "has a size"],
    ["a file with a target", [{ ...file("a"), target: "b" }], "has a target"],
    ["a link with a mode", [{ ...link("a", "b"), mode: 0o777 }], "mode of its own"],
    ["a second name of nothing", [name("b", "a")], "no file"],
    ["a second name of a link", [link("a", "/etc/passwd"), name("b", "a")], "no file"],
    ["a second name of what is outside", [file("a"), name("b", "/a")], "no file"],
    ["a link to nothing", [link("a", "")], "target"],
    ["a link to a name with NUL", [link("a", "b\0")], "target"],
    ["a huge file", [file("a", MANIFEST_LIMITS.maxBytes + 1)], "bytes"],
  ])("with %s is refused", (_what, entries, why) => expect(faultOf(entries)).toContain(why));

  it("with too much in it is refused", () => {
    const limits = { maxEntries: 2, maxBytes: 10 };
    expect(faultOf([file("a"), file("b"), file("c")], limits)).toContain("more than 2");
    expect(faultOf([file("a", 6), file("b", 6)], limits)).toContain("more than 10 bytes");
  });

  it("of random paths is taken only as a tree", () => {
    const path = fc
      .array(fc.constantFrom("a", "b", "c"), { minLength: 1, maxLength: 3 })
      .map((parts) => parts.join("/"));
    const entry = fc
      .tuple(path, fc.constantFrom<Entry["type"]>("file", "directory", "link"))
      .map(([name, type]): Entry => ({ ...link(name, type === "link" ? "x" : ""), type }));
    fc.assert(
      fc.property(fc.array(entry, { maxLength: 8 }), (entries) => {
        const sorted = entries.toSorted(byPath);
        if (faultOf(sorted) !== null) return;
        const types = new Map(sorted.map(({ path: name, type }) => [name, type]));
        expect(types.size).toBe(sorted.length);
        for (const { path: name } of sorted) {
          const parent = name.slice(0, Math.max(0, name.lastIndexOf("/")));
          if (parent !== "") expect(types.get(parent)).toBe("directory");
        }
      }),
      { numRuns: 1_000 },
    );
  });
});

describe("a request for pieces", () => {
  const hash = "A".repeat(43);
  const piece = { path: "a", offset: 0, blocks: 1, have: [hash] };

  it.each([
    [[piece]],
    [[{ ...piece, path: "" }]],
    [[{ ...piece, offset: BLOCK_BYTES, blocks: BATCH_BLOCKS, have: [] }]],
  ])("%j is fine", (pieces) => expect(piecesFault(pieces)).toBeNull());

  it.each<[string, unknown]>([
    ["none", []],
    ["no list", "a"],
    ["too many", Array.from({ length: BATCH_PIECES + 1 }, () => piece)],
    ["a way up", [{ ...piece, path: "../a" }]],
    ["an absolute path", [{ ...piece, path: "/a" }]],
    ["half a block", [{ ...piece, offset: 1 }]],
    ["an offset below zero", [{ ...piece, offset: -BLOCK_BYTES }]],
    ["no block", [{ ...piece, blocks: 0 }]],
    ["too many blocks", [{ ...piece, blocks: BATCH_BLOCKS + 1 }]],
    ["more hashes than blocks", [{ ...piece, have: [hash, hash] }]],
    ["a hash that is none", [{ ...piece, have: ["x"] }]],
    ["nothing", [null]],
  ])("for %s is refused", (_what, pieces) => expect(piecesFault(pieces)).not.toBeNull());
});
