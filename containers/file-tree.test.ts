import {
  chmodSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterEach, beforeEach, describe, expect, it } from "vitest";

import { isSame } from "./core/manifest";
import { copyContent } from "./file-content";
import { inside } from "./file-names";
import { changed, deploy } from "./file-deploy";
import { keptFor, markAsKept, settledOf, unsureOfKept } from "./file-kept";
import { copy } from "./file-round";
import { filesOf, ownAll, scan } from "./file-tree";

let root: string;
let site: string;
let east: string;
let west: string;

beforeEach(() => {
  root = realpathSync(mkdtempSync(join(tmpdir(), "stele-files-")));
  site = join(root, "site");
  east = join(root, "east");
  west = join(root, "west");
  for (const folder of [site, filesOf(east), filesOf(west)]) mkdirSync(folder, { recursive: true });
  mkdirSync(join(site, ".git"));
  mkdirSync(join(site, "empty"));
  mkdirSync(join(site, "a b"));
  writeFileSync(join(site, "a b", "ü\n.txt"), "odd");
  writeFileSync(join(site, "run"), "#!/bin/sh", { mode: 0o755 });
  chmodSync(join(site, "run"), 0o755);
  symlinkSync("run", join(site, "link"));
});

afterEach(() => rmSync(root, { recursive: true }));

const limits = { maxFiles: 100, maxBytes: 10_000 };
const deployed = () =>
  deploy({ kind: "deploy", from: site, generationDir: east, uid: null, limits });
const copied = (final: boolean) =>
  copy({ kind: "copy", fromDir: east, generationDir: west, uid: null, final });
/** Rounds until one has nothing left to read again: the clock of the file system has gone on. */
const settled = (): void => {
  for (let left = 1_000; left > 0; left--) {
    copied(false);
    if (copied(false).changedFiles === 0) return;
  }
  throw new Error("the files do not settle");
};
const inEast = (path: string): string => join(filesOf(east), path);
const inWest = (path: string): string => join(filesOf(west), path);
const hasChanged = (): boolean => changed({ kind: "changed", generationDir: east }).changed;

describe("deploy", () => {
  it("copies files, folders, links and modes, but not .git", () => {
    expect(deployed()).toMatchObject({ files: 5, bytes: 12 });
    expect(readFileSync(inEast("a b/ü\n.txt"), "utf8")).toBe("odd");
    expect(lstatSync(inEast("run")).mode & 0o777).toBe(0o755);
    expect(readlinkSync(inEast("link"))).toBe("run");
    expect(existsSync(inEast("empty"))).toBe(true);
    expect(existsSync(inEast(".git"))).toBe(false);
    expect(hasChanged()).toBe(false);
  });

  it("takes away what the last release brought, and leaves what the app wrote", () => {
    deployed();
    mkdirSync(inEast("empty/data"));
    writeFileSync(inEast("notes.json"), "[]");
    expect(hasChanged()).toBe(true);
    rmSync(join(site, "run"));
    rmSync(join(site, "empty"), { recursive: true });
    writeFileSync(join(site, "new"), "new");
    deployed();
    expect(existsSync(inEast("run"))).toBe(false);
    expect(existsSync(inEast("new"))).toBe(true);
    expect(existsSync(inEast("notes.json"))).toBe(true);
    expect(existsSync(inEast("empty/data"))).toBe(true);
  });

  it("replaces a folder by a file of the same name", () => {
    deployed();
    rmSync(join(site, "empty"), { recursive: true });
    writeFileSync(join(site, "empty"), "now a file");
    deployed();
    expect(readFileSync(inEast("empty"), "utf8")).toBe("now a file");
  });

  it("refuses links out of the directory, by name", () => {
    symlinkSync("../outside", join(site, "a b", "fine"));
    deployed();
    symlinkSync("../../outside", join(site, "a b", "escape"));
    expect(deployed).toThrow('"a b/escape" is a link out of it, to "../../outside"');
    rmSync(join(site, "a b", "escape"));
    symlinkSync("/etc/passwd", join(site, "absolute"));
    expect(deployed).toThrow('"absolute" is a link out of it');
  });

  it("refuses what is too large", () => {
    expect(() =>
      deploy({
        kind: "deploy",
        from: site,
        generationDir: east,
        uid: null,
        limits: { maxFiles: 2, maxBytes: 10_000 },
      }),
    ).toThrow("more than 2 files");
    writeFileSync(join(site, "big"), "x".repeat(10_001));
    expect(deployed).toThrow("more than 10000 bytes");
  });

  it("refuses sockets", async () => {
    const server: Server = createServer();
    await new Promise<void>((resolve) => server.listen(join(site, "sock"), resolve));
    expect(deployed).toThrow('"sock" is a socket, a pipe or a device');
    await new Promise((resolve) => server.close(resolve));
  });
});

it.runIf(process.getuid?.() === 0)("gives a folder to a user, with all that is in it", () => {
  deployed();
  ownAll({ kind: "own", generationDir: east, uid: 23_456 });
  for (const path of ["", "a b", "a b/ü\n.txt", "link"]) {
    expect(lstatSync(inEast(path)).uid).toBe(23_456);
  }
  expect(lstatSync(join(site, "run")).uid).toBe(0);
  expect(hasChanged()).toBe(false);
});

describe("copy", () => {
  it("makes both alike in rounds", () => {
    deployed();
    settled();
    writeFileSync(inEast("notes.json"), "[1]");
    rmSync(inEast("run"));
    mkdirSync(inEast("run"));
    copied(true);
    expect(isSame(scan(filesOf(east)).manifest, scan(filesOf(west)).manifest)).toBe(true);
    expect(changed({ kind: "changed", generationDir: west }).changed).toBe(true);
  });

  it("takes over what is at the destination from before", () => {
    deployed();
    writeFileSync(inWest("stale"), "");
    copied(true);
    expect(existsSync(inWest("stale"))).toBe(false);
  });

  it("sees a write that left size and time as they were", () => {
    deployed();
    writeFileSync(inEast("counter"), "1");
    const { mtimeMs } = lstatSync(inEast("counter"));
    settled();
    writeFileSync(inEast("counter"), "2");
    const seconds = (Math.floor(mtimeMs) + 0.5) / 1000;
    utimesSync(inEast("counter"), seconds, seconds);
    expect(copied(true)).toMatchObject({ changedFiles: 1, changedBytes: 1 });
    expect(readFileSync(inWest("counter"), "utf8")).toBe("2");
  });

  it("brings a large file up to date, however it changed", () => {
    const block = 1024 * 1024;
    const write = (length: number, ...changes: [number, string][]): void => {
      const bytes = Buffer.alloc(length, 7);
      for (const [at, text] of changes) bytes.write(text, at);
      writeFileSync(inEast("large"), bytes);
      copied(true);
      expect(readFileSync(inWest("large")).equals(bytes)).toBe(true);
    };
    deployed();
    write(5 * block);
    write(5 * block, [0, "x"], [3 * block - 1, "yy"]);
    write(6 * block + 5, [6 * block, "more"]);
    write(4 * block + 1);
    write(block);
  });

  it("gives folders that may not be written to their files first", () => {
    mkdirSync(join(site, "locked"));
    writeFileSync(join(site, "locked", "file"), "in");
    chmodSync(join(site, "locked"), 0o555);
    deployed();
    copied(true);
    expect(readFileSync(inWest("locked/file"), "utf8")).toBe("in");
    expect(lstatSync(inWest("locked")).mode & 0o777).toBe(0o555);
    for (const folder of [site, filesOf(east), filesOf(west)])
      chmodSync(join(folder, "locked"), 0o755);
  });

  it.runIf(process.platform === "linux")(
    "reads nothing through a link that comes in its way",
    () => {
      deployed();
      mkdirSync(join(root, "secrets"));
      writeFileSync(join(root, "secrets", "ü\n.txt"), "key");
      // What the app could do between the scan and the read: a link in the place of a folder.
      rmSync(inEast("a b"), { recursive: true });
      symlinkSync(join(root, "secrets"), inEast("a b"));
      expect(copied(true)).toMatchObject({ files: 4 });
      expect(readlinkSync(inWest("a b"))).toBe(join(root, "secrets"));
      expect(() => copyContent(filesOf(east), "a b/ü\n.txt", join(root, "draft"))).toThrow(
        "changed",
      );
      expect(() => copyContent(filesOf(east), "link", join(root, "draft"))).toThrow("ELOOP");
      expect(existsSync(join(root, "draft"))).toBe(false);
    },
  );

  it("names what it cannot copy", async () => {
    deployed();
    const server: Server = createServer();
    await new Promise<void>((resolve) => server.listen(inEast("sock"), resolve));
    expect(copied(true).special).toEqual(["sock"]);
    await new Promise((resolve) => server.close(resolve));
  });
});

describe("a copy onto kept files", () => {
  it("ends equal, whatever an app had left there: second names, sockets, odd names, shut folders", async () => {
    deployed();
    for (const path of ["one", "two"]) writeFileSync(inEast(path), path.repeat(9));
    mkdirSync(inEast("shut"));
    writeFileSync(join(inEast("shut"), "in"), "x");
    copied(true);
    // What it was before: one file with two names, a socket where a folder will be, and more.
    rmSync(inWest("two"));
    linkSync(inWest("one"), inWest("two"));
    const server: Server = createServer();
    await new Promise<void>((resolve) => server.listen(inWest("sock"), resolve));
    writeFileSync(inside(filesOf(west), "\udcff"), "odd");
    chmodSync(inWest("shut"), 0o500);
    const { atime, mtime } = lstatSync(inEast("run"));
    writeFileSync(inEast("run"), "#!/bin/zs");
    utimesSync(inEast("run"), atime, mtime);
    markAsKept(west, 2);
    copied(false);
    copied(true);
    server.close();
    for (const path of ["one", "two", "run", "shut/in"]) {
      expect(readFileSync(inWest(path))).toEqual(readFileSync(inEast(path)));
    }
    expect(scan(filesOf(west)).special).toEqual([]);
    expect(isSame(scan(filesOf(east)).manifest, scan(filesOf(west)).manifest)).toBe(true);
    expect(existsSync(join(west, "kept"))).toBe(false);
  });

  it("looks only at what changed at the source since that was a copy of them", () => {
    deployed();
    for (const path of ["old", "faked"]) writeFileSync(inEast(path), "1");
    const gone = join(root, "2");
    mkdirSync(filesOf(gone), { recursive: true });
    copy({ kind: "copy", fromDir: east, generationDir: gone, uid: null, final: true });
    const settled = settledOf(gone);
    expect(settled).toMatchObject({ generation: 2 });
    const manifest = scan(filesOf(gone)).manifest;
    const later = { ...settled!, atMs: settled!.atMs + 60_000 };
    expect(unsureOfKept(manifest, 2, later)).toEqual([]);
    const files = manifest.filter(({ type }) => type === "file");
    expect(unsureOfKept(manifest, 2, { ...settled!, atMs: 0 })).toEqual(files);
    // Another folder than the one that it was copied from, or one that never was a whole copy.
    expect(unsureOfKept(manifest, 3, later)).toEqual(files);
    expect(unsureOfKept(manifest, 2, null)).toEqual(files);
    const written = manifest.map((entry) =>
      entry.path === "faked" ? { ...entry, ctimeUs: later.atMs * 1_000 } : entry,
    );
    expect(unsureOfKept(written, 2, later).map(({ path }) => path)).toEqual(["faked"]);
    expect(keptFor(gone)).toBeNull();
    markAsKept(gone, 5);
    expect([keptFor(gone), settledOf(gone)]).toEqual([5, null]);
  });
});
