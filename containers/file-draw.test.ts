import {
  appendFileSync,
  chmodSync,
  existsSync,
  lchownSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";

import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";

import { isSame } from "./core/manifest";
import { BLOCK_BYTES } from "./core/pieces";
import { type Ask, draw, type Drawn } from "./file-draw";
import { type Frame, pack, seal, StreamCut } from "./file-frames";
import { markAsKept } from "./file-kept";
import { copy } from "./file-round";
import { filesOf, scan } from "./file-tree";
import { isSigned, RELEASE, sign, startSource, type TestSource } from "./test-stream";

// Real files and sockets, many times over, beside whatever else the machine does.
vi.setConfig({ testTimeout: 60_000 });

let root: string;
let east: string;
let west: string;
let source: TestSource;

beforeEach(async () => {
  root = realpathSync(mkdtempSync(join(tmpdir(), "stele-draw-")));
  [east, west] = [join(root, "east"), join(root, "west")];
  for (const folder of [east, west]) mkdirSync(filesOf(folder), { recursive: true });
  source = await startSource(east);
});

afterEach(async () => {
  await source.close();
  rmSync(root, { recursive: true });
});

const noPause = async (): Promise<void> => undefined;
const inEast = (path: string): string => join(filesOf(east), path);
const inWest = (path: string): string => join(filesOf(west), path);
const drawn = (final: boolean, ask: Ask = source.ask, uid: number | null = null): Promise<Drawn> =>
  draw({ kind: "draw", generationDir: west, uid, final }, ask, noPause);
/** Rounds until one has nothing left to read again: the clock of the file system has gone on. */
const settled = async (): Promise<void> => {
  for (let left = 1_000; left > 0; left--) {
    await drawn(false);
    if ((await drawn(false)).changedFiles === 0) return;
  }
  throw new Error("the files do not settle");
};
const isCopied = (): boolean => isSame(scan(filesOf(east)).manifest, scan(filesOf(west)).manifest);
/** Bytes that are the same in each run, and in no two blocks. */
const bytesOf = (length: number, seed: number): Buffer => {
  const bytes = Buffer.alloc(length);
  for (let at = 0; at + 4 <= length; at += 64) bytes.writeUInt32LE((at * 31 + seed) >>> 0, at);
  return bytes;
};
/** So long ago that nothing about it is unsure. */
const age = (path: string): void => utimesSync(path, 1_000_000, 1_000_000);

describe("a draw", () => {
  it("makes both alike in rounds, and says how the app is started", async () => {
    mkdirSync(inEast("a b/locked"), { recursive: true });
    writeFileSync(inEast("a b/ü\n.txt"), "odd");
    writeFileSync(inEast("empty"), "");
    writeFileSync(inEast("run"), "#!/bin/sh");
    chmodSync(inEast("run"), 0o750);
    symlinkSync("/etc/passwd", inEast("link"));
    writeFileSync(inEast("big"), bytesOf(3 * BLOCK_BYTES + 7, 1));
    chmodSync(inEast("a b/locked"), 0o500);
    writeFileSync(join(east, "manifest.json"), "[]");
    const { release, ...copied } = await drawn(false);
    expect(release).toEqual(RELEASE);
    expect(copied).toMatchObject({ files: 7, changedFiles: 7, special: [] });
    expect(isCopied()).toBe(true);
    expect(readFileSync(inWest("big")).equals(readFileSync(inEast("big")))).toBe(true);
    expect(readFileSync(join(west, "manifest.json"), "utf8")).toBe("[]");
    rmSync(inEast("run"));
    mkdirSync(inEast("run"));
    rmSync(inEast("link"));
    writeFileSync(inEast("link"), "a file now");
    expect(await drawn(true)).toMatchObject({ files: 7 });
    expect(isCopied()).toBe(true);
    expect(existsSync(join(west, "partial"))).toBe(false);
    await settled();
    for (const folder of [inEast, inWest]) chmodSync(folder("a b/locked"), 0o700);
  });

  it("copies nothing where nothing was deployed", async () => {
    writeFileSync(inEast("x"), "x");
    const frames: Frame[] = [
      {
        kind: "head",
        head: { release: null, scannedAtUs: 1, isFlushed: true, released: null, special: [] },
      },
      { kind: "end" },
    ];
    writeFileSync(inWest("y"), "y");
    expect(await drawn(true, answering(frames))).toMatchObject({ release: null, files: 0 });
    expect(existsSync(inWest("y"))).toBe(true);
  });

  it("asks for nothing but the manifest when nothing changed", async () => {
    for (let index = 0; index < 50; index++) writeFileSync(inEast(String(index)), "x");
    for (let index = 0; index < 50; index++) age(inEast(String(index)));
    await settled();
    source.asked.length = 0;
    await drawn(false);
    expect(source.asked).toEqual([null]);
  });

  it("sends only the blocks of a large file that changed", async () => {
    writeFileSync(inEast("big"), bytesOf(20 * BLOCK_BYTES, 1));
    await drawn(false);
    const file = readFileSync(inEast("big"));
    file.write("changed", 7 * BLOCK_BYTES + 100);
    writeFileSync(inEast("big"), file);
    appendFileSync(inEast("big"), "more");
    source.taken = 0;
    await drawn(true);
    expect(readFileSync(inWest("big")).equals(readFileSync(inEast("big")))).toBe(true);
    expect(source.taken).toBeLessThan(1.1 * BLOCK_BYTES);
  });

  it("sees writes that left size and time as they were", async () => {
    writeFileSync(inEast("mapped"), "1");
    writeFileSync(inEast("set back"), "1");
    age(inEast("set back"));
    await settled();
    const seconds = (Math.floor(lstatSync(inEast("mapped")).mtimeMs) + 0.5) / 1000;
    writeFileSync(inEast("mapped"), "2");
    utimesSync(inEast("mapped"), seconds, seconds);
    writeFileSync(inEast("set back"), "2");
    age(inEast("set back"));
    expect(await drawn(true)).toMatchObject({ changedFiles: 2 });
    expect(readFileSync(inWest("mapped"), "utf8")).toBe("2");
    expect(readFileSync(inWest("set back"), "utf8")).toBe("2");
  });

  it("begins with kept files, compares every byte of them, and sends what differs", async () => {
    for (const name of ["big", "second"]) writeFileSync(inEast(name), bytesOf(8 * BLOCK_BYTES, 1));
    await drawn(false);
    const kept = readFileSync(inWest("big"));
    kept.write("what it was", 5 * BLOCK_BYTES);
    writeFileSync(inWest("big"), kept);
    writeFileSync(inWest("third"), kept);
    for (const name of ["big", "second"]) {
      const { mtimeMs } = lstatSync(inEast(name));
      utimesSync(inWest(name), (mtimeMs + 0.5) / 1000, (mtimeMs + 0.5) / 1000);
    }
    markAsKept(west, 2);
    source.taken = 0;
    expect(await drawn(false)).toMatchObject({ files: 2, changedFiles: 2 });
    for (const name of ["big", "second"]) {
      expect(readFileSync(inWest(name)).equals(readFileSync(inEast(name)))).toBe(true);
    }
    expect(existsSync(inWest("third"))).toBe(false);
    expect(source.taken).toBeLessThan(1.1 * BLOCK_BYTES);
    source.taken = 0;
    await drawn(false);
    expect(source.taken).toBeLessThan(BLOCK_BYTES);
  });

  it("passes by what goes away while it is read, unless the source writes no more", async () => {
    const fill = (): void => {
      for (const name of ["gone", "link", "short", "stays"]) {
        rmSync(inEast(name), { force: true });
        writeFileSync(inEast(name), "12345");
      }
    };
    const meddling: Ask = async (pieces) => {
      if (pieces) {
        rmSync(inEast("gone"));
        rmSync(inEast("link"));
        symlinkSync("/etc/passwd", inEast("link"));
        truncateSync(inEast("short"), 2);
      }
      return await source.ask(pieces);
    };
    fill();
    await drawn(false, meddling);
    expect(scan(filesOf(west)).manifest.map(({ path }) => path)).toEqual(["short", "stays"]);
    expect(readFileSync(inWest("stays"), "utf8")).toBe("12345");
    fill();
    await expect(drawn(true, meddling)).rejects.toThrow('"gone" changed while it was read');
    await drawn(true);
    expect(isCopied()).toBe(true);
    expect(readFileSync(inWest("short"), "utf8")).toBe("12");
  });

  it("says what the source could not do", async () => {
    rmSync(filesOf(east), { recursive: true });
    await expect(drawn(false)).rejects.toThrow("the source says: ENOENT");
  });

  it.runIf(process.getuid?.() === 0)("gives all files to the app's user", async () => {
    mkdirSync(inEast("folder"));
    writeFileSync(inEast("folder/file"), "x");
    chmodSync(inEast("folder/file"), 0o4750);
    symlinkSync("folder", inEast("link"));
    for (const path of ["folder", "folder/file", "link"]) lchownSync(inEast(path), 30_001, 30_001);
    chmodSync(inEast("folder/file"), 0o4750);
    await drawn(true, source.ask, 30_002);
    for (const path of ["folder", "folder/file", "link"]) {
      expect(lstatSync(inWest(path))).toMatchObject({ uid: 30_002, gid: 30_002 });
    }
    expect(lstatSync(inWest("folder/file")).mode & 0o7777).toBe(0o4750);
  });
});

describe("a stream that breaks", () => {
  const fill = (): number => {
    let bytes = 0;
    mkdirSync(inEast("small"));
    for (let index = 0; index < 300; index++) {
      writeFileSync(inEast(`small/${index}`), bytesOf(index * 10, index));
      bytes += index * 10;
    }
    for (const [index, blocks] of [2.5, 5, 1].entries()) {
      writeFileSync(inEast(`big${index}`), bytesOf(blocks * BLOCK_BYTES, index));
      bytes += blocks * BLOCK_BYTES;
    }
    return bytes;
  };

  it("goes on where it was cut, wherever that is, and sends little twice", async () => {
    const bytes = fill();
    const cuts = fc.array(fc.integer({ min: 0, max: 3 * BLOCK_BYTES }), { maxLength: 4 });
    await fc.assert(
      fc.asyncProperty(cuts, async (all) => {
        rmSync(west, { recursive: true, force: true });
        mkdirSync(filesOf(west), { recursive: true });
        source.taken = 0;
        let count = 0;
        for (const cutAfter of all) {
          source.cutAfter = cutAfter;
          await drawn(true).catch((error: unknown) => {
            expect(error).toBeInstanceOf(StreamCut);
            count++;
          });
        }
        source.cutAfter = Infinity;
        await drawn(true);
        expect(isCopied()).toBe(true);
        for (const name of ["big0", "big1", "big2", "small/299"]) {
          expect(readFileSync(inWest(name)).equals(readFileSync(inEast(name)))).toBe(true);
        }
        // A chunk of each of two answers that were under way, and a manifest or two.
        const overhead = 400_000 + (count + all.length) * (2 * 1.4 * BLOCK_BYTES + 200_000);
        expect(source.taken).toBeLessThan(bytes + overhead);
      }),
      { numRuns: 8 },
    );
  });

  it("is taken up again by itself while that helps, but not in the final round", async () => {
    fill();
    const pauses: number[] = [];
    const cutting: Ask = async (pieces) => {
      source.cutAfter = 2.5 * BLOCK_BYTES;
      return await source.ask(pieces);
    };
    const job = { kind: "draw", generationDir: west, uid: null, final: false } as const;
    await draw(job, cutting, async (failures) => void pauses.push(failures));
    expect(isCopied()).toBe(true);
    expect(pauses.length).toBeGreaterThan(2);
    expect(new Set(pauses)).toEqual(new Set([1]));
    rmSync(west, { recursive: true });
    mkdirSync(filesOf(west), { recursive: true });
    await expect(drawn(true, cutting)).rejects.toBeInstanceOf(StreamCut);
  });

  it("is given up when nothing comes any more", async () => {
    fill();
    const pauses: number[] = [];
    const cutting: Ask = async (pieces) => {
      source.cutAfter = pieces ? 0 : Infinity;
      return await source.ask(pieces);
    };
    const job = { kind: "draw", generationDir: west, uid: null, final: false } as const;
    const failing = draw(job, cutting, async (failures) => void pauses.push(failures));
    await expect(failing).rejects.toThrow("cut by the test");
    expect(pauses).toEqual(Array.from({ length: 23 }, (_, index) => index + 1));
  });

  it("makes no source read ahead of a slow destination", async () => {
    const blocks = 60;
    writeFileSync(inEast("big"), bytesOf(blocks * BLOCK_BYTES, 1));
    let resume = (): void => undefined;
    const stalled = new Promise<void>((resolve) => {
      resume = resolve;
    });
    const slow: Ask = async (pieces) => {
      const answer = await source.ask(pieces);
      if (!pieces) return answer;
      async function* chunks(): AsyncGenerator<Uint8Array> {
        for await (const chunk of answer.chunks) {
          yield chunk;
          await stalled;
        }
      }
      return { ...answer, chunks: chunks() };
    };
    const drawing = drawn(true, slow);
    // It stands still when the buffers of both sockets are full, and the source has made what fits.
    for (let made = -1, still = 0; still < 20; await delay(10)) {
      still = made > 0 && made === source.made ? still + 1 : 0;
      ({ made } = source);
    }
    expect(source.made).toBeGreaterThan(BLOCK_BYTES);
    expect(source.made).toBeLessThan((blocks / 2) * BLOCK_BYTES);
    resume();
    await drawing;
    expect(isCopied()).toBe(true);
  });
});

/** A source that says what a test wants it to, properly signed. */
function answering(...answers: readonly Frame[][]): Ask {
  let count = 0;
  return async () => {
    const frames = answers[count++] ?? [];
    async function* chunks(): AsyncGenerator<Uint8Array> {
      for (const chunk of pack(frames)) yield seal(chunk, sign(chunk.digest));
    }
    return { chunks: chunks(), isSigned, close: () => undefined };
  };
}

describe("a hostile source", () => {
  const head: Frame = {
    kind: "head",
    head: { release: RELEASE, scannedAtUs: 1, isFlushed: true, released: null, special: [] },
  };
  const end: Frame = { kind: "end" };
  const file = { type: "file", size: 3, mtimeMs: 1, ctimeUs: 1, inode: 1, mode: 0o644, target: "" };
  const listing = (...entries: unknown[]): Frame[] => [head, { kind: "entries", entries }, end];
  const one = listing({ ...file, path: "a" });
  const data = (text: string): Frame => ({ kind: "data", bytes: Buffer.from(text) });
  const size = (bytes: number): Frame => ({ kind: "file", size: bytes });

  it.each<[string, Frame[][], string]>([
    ["a way out", [listing({ ...file, path: "../../out" })], '"../../out" of the source'],
    [
      "a file through a link",
      [
        listing(
          { ...file, path: "a", type: "link", size: 0, mode: 0, target: "/tmp" },
          { ...file, path: "a/out" },
        ),
      ],
      "no folder",
    ],
    ["no list", [[head, { kind: "entries", entries: "x" }, end]], "no list of files"],
    ["no manifest", [[end]], "did not say what it holds"],
    ["a broken manifest", [[{ kind: "head", head: null }, end]], "broken manifest"],
    ["no end", [[head]], "before its end"],
    ["too long a block", [one, [size(3), data("1234"), end]], 'sent "data", not a block of 3'],
    ["too short a block", [one, [size(3), data("12"), end]], 'sent "data", not a block of 3'],
    ["a block that is not there", [one, [size(3), { kind: "same" }, end]], 'sent "same"'],
    ["no file", [one, [data("123"), end]], 'sent "data", not a file'],
    ["one file too many", [one, [size(3), data("123"), size(3), end]], 'sent "file", not the end'],
    ["too few files", [one, [end]], 'sent "end", not a file'],
    ["other content than listed", [one, [size(2), data("12"), end]], "copy differs"],
  ])("is refused that sends %s", async (_what, answers, why) => {
    const again = answers.length > 1 ? [one] : [];
    await expect(drawn(true, answering(...answers, ...again))).rejects.toThrow(why);
    expect(existsSync(join(root, "out"))).toBe(false);
  });

  it("is refused when it is another, or sends chunks in another order", async () => {
    const chunks = [...pack([head, size(1)]), ...pack([end])];
    const sending = (all: readonly Uint8Array[]): Ask => {
      async function* each(): AsyncGenerator<Uint8Array> {
        yield* all;
      }
      return async () => ({ chunks: each(), isSigned, close: () => undefined });
    };
    const [first, second] = chunks.map((chunk) => seal(chunk, sign(chunk.digest)));
    if (!first || !second) throw new Error("two chunks expected");
    await expect(drawn(true, sending([first, second]))).rejects.toThrow("signature");
    const [other] = [...pack([head, end])].map((chunk) => seal(chunk, sign("other")));
    await expect(drawn(true, sending(other ? [other] : []))).rejects.toThrow("signature");
    const changed = Buffer.from(second);
    changed[changed.length - 5] = 0x7f;
    await expect(drawn(true, sending([changed]))).rejects.toThrow("signature");
  });

  it("fills no memory with a chunk that has no end", async () => {
    let sent = 0;
    async function* endless(): AsyncGenerator<Uint8Array> {
      for (; ; sent++) yield Buffer.alloc(65_536, 0xff);
    }
    const ask: Ask = async () => ({ chunks: endless(), isSigned, close: () => undefined });
    await expect(drawn(true, ask)).rejects.toThrow("too large a chunk");
    expect(sent).toBeLessThan(3);
  });
});

describe("any two folders", () => {
  const name = fc.constantFrom("a", "b", "c");
  const path = fc.array(name, { minLength: 1, maxLength: 3 }).map((parts) => parts.join("/"));
  const thing = fc.record({
    path,
    type: fc.constantFrom("file", "folder", "folder", "link"),
    content: fc.constantFrom("", "x", "yy"),
    mode: fc.constantFrom(0o700, 0o755, 0o500),
  });
  const folder = fc.array(thing, { maxLength: 12 });
  type Thing = typeof thing extends fc.Arbitrary<infer T> ? T : never;

  const exists = (full: string): boolean => lstatOf(full) !== undefined;
  const isFolder = (full: string): boolean => lstatOf(full)?.isDirectory() ?? false;
  const lstatOf = (full: string) => {
    try {
      return lstatSync(full, { throwIfNoEntry: false });
    } catch {
      return undefined; // Below a file.
    }
  };
  const make = (to: string, things: readonly Thing[]): void => {
    const modes: [string, number][] = [];
    for (const { path: inside, type, content, mode } of things) {
      const full = join(to, inside);
      if (exists(full) || !isFolder(dirname(full))) continue;
      if (type === "link") symlinkSync(`/nowhere/${content}`, full);
      else if (type === "folder") mkdirSync(full);
      else writeFileSync(full, content);
      if (type !== "link") modes.unshift([full, mode]);
    }
    for (const [full, mode] of modes) chmodSync(full, mode);
  };
  const open = (to: string): void => {
    for (const entry of scan(to).manifest) {
      if (entry.type === "directory") chmodSync(join(to, entry.path), 0o700);
    }
  };
  const fresh = (generationDir: string, things: readonly Thing[]): void => {
    if (existsSync(filesOf(generationDir))) open(filesOf(generationDir));
    rmSync(generationDir, { recursive: true, force: true });
    mkdirSync(filesOf(generationDir), { recursive: true });
    make(filesOf(generationDir), things);
  };

  /** Root may write everywhere: the rules of others are tried as another. */
  async function asOther(work: () => Promise<void>): Promise<void> {
    if (process.getuid?.() !== 0) return await work();
    lchownSync(root, 30_003, 30_003);
    for (const one of [east, west, filesOf(east), filesOf(west)]) lchownSync(one, 30_003, 30_003);
    process.seteuid?.(30_003);
    try {
      await work();
    } finally {
      process.seteuid?.(0);
    }
  }

  it("are alike after a copy, from near or far", async () => {
    await asOther(async () => {
      await fc.assert(
        fc.asyncProperty(folder, folder, fc.boolean(), async (from, to, isFar) => {
          fresh(east, from);
          fresh(west, to);
          if (isFar) await drawn(true);
          else copy({ kind: "copy", fromDir: east, generationDir: west, uid: null, final: true });
          expect(isCopied()).toBe(true);
          const all = scan(filesOf(east)).manifest.filter(({ type }) => type === "file");
          for (const { path: inside } of all) {
            expect(readFileSync(inWest(inside), "utf8")).toBe(readFileSync(inEast(inside), "utf8"));
          }
        }),
        { numRuns: 100 },
      );
      for (const one of [east, west]) open(filesOf(one));
    });
  });
});
