import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterAll, beforeAll, expect, it } from "vitest";

import { filesOf } from "./file-tree";
import { copyFolder } from "./files";

const FILES = 2_000;

let root: string;
const folder = (name: string): string => join(root, name);

beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), "stele-files-thread-"));
  for (const name of ["many", "few", "to many", "to few"]) {
    mkdirSync(filesOf(folder(name)), { recursive: true });
  }
  writeFileSync(join(filesOf(folder("few")), "one"), "x");
  for (let index = 0; index < FILES; index++) {
    writeFileSync(join(filesOf(folder("many")), String(index)), "x");
  }
});
afterAll(() => rmSync(root, { recursive: true }));

const copied = (name: string, final: boolean) =>
  copyFolder({ fromDir: folder(name), generationDir: folder(`to ${name}`), uid: null, final });

it("thousands of files delay neither this thread nor a round for which requests are held", async () => {
  const ends: string[] = [];
  let turns = 0;
  let isOver = false;
  const turn = (): void => {
    turns++;
    if (!isOver) setTimeout(turn, 1);
  };
  const many = copied("many", false).then(({ files }) => {
    ends.push("many");
    return files;
  });
  turn();
  await copied("few", true);
  ends.push("few");
  expect(await many).toBe(FILES);
  isOver = true;
  expect(ends).toEqual(["few", "many"]);
  // One, if the files were copied here.
  expect(turns).toBeGreaterThan(10);
});
