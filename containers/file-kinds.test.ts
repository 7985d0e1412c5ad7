import { execFileSync } from "node:child_process";
import {
  chmodSync,
  closeSync,
  existsSync,
  ftruncateSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";

import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";

import { isSame } from "./core/manifest";
import { BLOCK_BYTES } from "./core/pieces";
import { deploy } from "./file-deploy";
import { draw } from "./file-draw";
import { bytesOf, inside, textOf } from "./file-names";
import { type Copied, copy } from "./file-round";
import { filesOf, look, scan } from "./file-tree";
import { startSource, type TestSource } from "./test-stream";

/** What survives a copy, from a folder of this machine and from another cluster. */

// Real files and sockets, many times over, beside whatever else the machine does.
vi.setConfig({ testTimeout: 60_000 });

let root: string;
let east: string;
let west: string;
let source: TestSource;

beforeEach(async () => {
  root = realpathSync(mkdtempSync(join(tmpdir(), "stele-kinds-")));
  [east, west] = [join(root, "east"), join(root, "west")];
  for (const folder of [east, west]) mkdirSync(filesOf(folder), { recursive: true });
  source = await startSource(east);
});

afterEach(async () => {
  await source.close();
  rmSync(root, { recursive: true });
});

type How = "near" | "far";
const WAYS: readonly How[] = ["near", "far"];
const inEast = (path: string): string | Buffer => inside(filesOf(east), path);
const inWest = (path: string): string | Buffer => inside(filesOf(west), path);

async function round(how: How, final: boolean): Promise<Copied> {
  const place = { generationDir: west, uid: null, final };
  if (how === "near") return copy({ kind: "copy", fromDir: east, ...place });
  return await draw({ kind: "draw", ...place }, source.ask, async () => undefined);
}

const allocated = (path: string | Buffer): number => lstatSync(path).blocks * 512;

function expectAlike(): void {
  const [here, there] = [scan(filesOf(east)), scan(filesOf(west))];
  expect(isSame(here.manifest, there.manifest)).toBe(true);
  for (const { path, type } of here.manifest) {
    if (type !== "file" && type !== "name") continue;
    expect(readFileSync(inWest(path)).equals(readFileSync(inEast(path)))).toBe(true);
  }
}

/** A file that is mostly hole: some bytes at some places. */
function sparse(path: string | Buffer, size: number, ...places: readonly number[]): void {
  const file = openSync(path, "w");
  for (const at of places) writeSync(file, `bytes at ${at}`, at);
  ftruncateSync(file, size);
  closeSync(file);
}

describe("names", () => {
  it("are bytes, and each has one text", () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1, maxLength: 12 }), (bytes) => {
        const text = textOf(Buffer.from(bytes));
        expect(Buffer.from(bytesOf(text) as string).equals(Buffer.from(bytes))).toBe(true);
        expect(JSON.parse(JSON.stringify(text))).toBe(text);
      }),
      { numRuns: 2_000 },
    );
  });

  it("that are UTF-8 stay as they are", () => {
    for (const text of ["a", "ü\n €", "\u{1f600}", "\ufffd"]) {
      expect(bytesOf(text)).toBe(text);
      expect(textOf(Buffer.from(text))).toBe(text);
    }
  });
});

describe.each(WAYS)("a copy from %s", (how) => {
  it("keeps odd names, folders with nothing in them, links to nothing and out", async () => {
    mkdirSync(inEast("caf\udce9"));
    mkdirSync(inEast("caf\udce9/empty \n"));
    writeFileSync(inEast("caf\udce9/\udcff\udcfe"), "odd");
    writeFileSync(inEast("\ufffd"), "a name that looks broken");
    symlinkSync(bytesOf("to/\udc80"), inEast("dangling"));
    symlinkSync("/etc/passwd", inEast("out"));
    await round(how, false);
    writeFileSync(inEast("caf\udce9/\udcff\udcfe"), "odder");
    renameSync(inEast("\ufffd"), inEast("\udcc3"));
    await round(how, true);
    expectAlike();
    expect(look(filesOf(west), "dangling")?.target).toBe("to/\udc80");
    expect(readFileSync(inWest("caf\udce9/\udcff\udcfe"), "utf8")).toBe("odder");
    expect(existsSync(inWest("caf\udce9/empty \n"))).toBe(true);
  });

  it("keeps modes, with the bits that are more than permissions", async () => {
    for (const mode of [0o000, 0o444, 0o4755, 0o2755, 0o1644, 0o600]) {
      writeFileSync(inEast(`f${mode}`), "x");
      chmodSync(inEast(`f${mode}`), mode);
    }
    for (const mode of [0o1777, 0o2775, 0o700]) {
      mkdirSync(inEast(`d${mode}`));
      chmodSync(inEast(`d${mode}`), mode);
    }
    await round(how, false);
    chmodSync(inEast(`f${0o600}`), 0o6711);
    await round(how, true);
    for (const { path, mode } of scan(filesOf(east)).manifest) {
      expect(lstatSync(inWest(path)).mode & 0o7777).toBe(mode);
    }
  });

  it("keeps one file with several names one file, however they change", async () => {
    writeFileSync(inEast("b"), "one");
    mkdirSync(inEast("a"));
    linkSync(inEast("b"), inEast("a/x"));
    linkSync(inEast("b"), inEast("c"));
    const inode = (path: string): number => lstatSync(inWest(path)).ino;
    await round(how, false);
    expect(inode("c")).toBe(inode("b"));
    expect(inode("a/x")).toBe(inode("b"));
    writeFileSync(inEast("c"), "two, by another name");
    await round(how, false);
    expectAlike();
    expect(inode("a/x")).toBe(inode("c"));
    rmSync(inEast("b"));
    writeFileSync(inEast("b"), "two, by another name");
    rmSync(inEast("a/x"));
    linkSync(inEast("b"), inEast("d"));
    await round(how, true);
    expectAlike();
    expect(inode("d")).toBe(inode("b"));
    expect(inode("c")).not.toBe(inode("b"));
  });

  it("keeps holes", async () => {
    const size = 24 * BLOCK_BYTES;
    sparse(inEast("holes"), size, 0, 9 * BLOCK_BYTES + 5_000, size - 100);
    sparse(inEast("nothing"), 3 * BLOCK_BYTES + 1);
    await round(how, false);
    expectAlike();
    for (const path of ["holes", "nothing"]) {
      expect(allocated(inWest(path))).toBeLessThanOrEqual(allocated(inEast(path)) + 64 * 1_024);
    }
    const file = openSync(inEast("holes"), "r+");
    writeSync(file, "more", 15 * BLOCK_BYTES);
    writeSync(file, Buffer.alloc(20), 0);
    closeSync(file);
    await round(how, true);
    expectAlike();
    expect(allocated(inWest("holes"))).toBeLessThan(BLOCK_BYTES);
  });

  it("names what cannot be copied, and copies the rest", async () => {
    writeFileSync(inEast("fine"), "x");
    execFileSync("mkfifo", [join(filesOf(east), "pipe")]);
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(join(filesOf(east), "sock"), resolve));
    const { special } = await round(how, true);
    await new Promise((resolve) => server.close(resolve));
    expect([...special].toSorted()).toEqual(["pipe", "sock"]);
    expect(readFileSync(inWest("fine"), "utf8")).toBe("x");
  });
});

describe("a deploy", () => {
  it("keeps further names and holes", () => {
    const site = join(root, "site");
    mkdirSync(site);
    sparse(join(site, "data"), 8 * BLOCK_BYTES, 0);
    linkSync(join(site, "data"), join(site, "same"));
    const limits = { maxFiles: 10, maxBytes: 16 * BLOCK_BYTES };
    const job = { kind: "deploy", from: site, generationDir: east, uid: null, limits } as const;
    deploy(job);
    deploy(job);
    expect(lstatSync(inEast("same")).ino).toBe(lstatSync(inEast("data")).ino);
    expect(allocated(inEast("data"))).toBeLessThan(BLOCK_BYTES);
  });
});

/** A change of a folder, as an app could make it; what makes no sense at its time does nothing. */
const NAMES = ["a", "b c", "\udcff", "é", "a/b", "a/\udcfe\n", "b c/a", "a/b/c"];
const change = fc.record({
  kind: fc.constantFrom("write", "write", "folder", "link", "name", "remove", "rename", "chmod"),
  path: fc.constantFrom(...NAMES),
  other: fc.constantFrom(...NAMES),
  content: fc.constantFrom("", "x", "y", "longer"),
  mode: fc.constantFrom(0o700, 0o755, 0o4711),
});
type Change = typeof change extends fc.Arbitrary<infer T> ? T : never;

function make({ kind, path, other, content, mode }: Change): void {
  const full = inEast(path);
  switch (kind) {
    case "write":
      return writeFileSync(full, content);
    case "folder":
      mkdirSync(full);
      return;
    case "link":
      return symlinkSync(bytesOf(other), full);
    case "name":
      return linkSync(inEast(other), full);
    case "remove":
      return rmSync(full, { recursive: true });
    case "rename":
      return renameSync(inEast(other), full);
    case "chmod":
      return lstatSync(full).isSymbolicLink() ? undefined : chmodSync(full, mode);
  }
}

function attempt(one: Change): void {
  // Nothing is written through a link: it may lead anywhere.
  const target = look(filesOf(east), one.path);
  const isFile = target === null || target.type === "file" || target.type === "name";
  const parent = dirname(one.path);
  const isInFolder = parent === "." || look(filesOf(east), parent)?.type === "directory";
  if (!isInFolder || (one.kind === "write" && !isFile)) return;
  try {
    make(one);
  } catch {
    // As it would be refused to the app.
  }
}

describe("any folder, changed between rounds", () => {
  const steps = fc.array(fc.array(change, { maxLength: 8 }), { minLength: 1, maxLength: 4 });

  it("is the same at the end, from near or far", async () => {
    await fc.assert(
      fc.asyncProperty(steps, fc.constantFrom(...WAYS), async (rounds, how) => {
        for (const folder of [east, west]) {
          rmSync(folder, { recursive: true });
          mkdirSync(filesOf(folder), { recursive: true });
        }
        for (const [index, changes] of rounds.entries()) {
          for (const one of changes) attempt(one);
          await round(how, index === rounds.length - 1);
        }
        expectAlike();
      }),
      { numRuns: 60 },
    );
  });
});
