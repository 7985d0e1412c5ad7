import { appendFileSync, mkdirSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";

import { afterAll, beforeAll, expect, it } from "vitest";

import { logFile } from "./host";
import { appendToLog, lastLines, readLog, rotateLog } from "./logs";
import { makeAppsDir } from "./test-cluster";

const app = { clusterId: "east", replId: "a" };
let removeApps: () => void;

beforeAll(() => {
  removeApps = makeAppsDir().remove;
  mkdirSync(dirname(logFile(app)), { recursive: true });
});
afterAll(() => removeApps());

it("reads the last lines, and from where a page ended", async () => {
  writeFileSync(logFile(app), "one\ntwo\nthree\n");
  const page = await readLog(app, 2, 0);
  expect(page).toEqual({
    items: [
      { at: null, line: "two" },
      { at: null, line: "three" },
    ],
    next: 14,
  });
  appendFileSync(logFile(app), "four\n");
  appendToLog(app, "stopped:\nnobody used it");
  const more = await readLog(app, 10, page.next);
  expect(more.items.map(({ line }) => line)).toEqual(["four", "stele: stopped: nobody used it"]);
  expect(more.items[1]?.at).toMatch(/^\d{4}-.*Z$/);
  expect((await readLog(app, 10, more.next)).items).toEqual([]);
  expect(await lastLines(app, 1)).toEqual(["stele: stopped: nobody used it"]);
});

it("keeps positions over a rotation", async () => {
  writeFileSync(logFile(app), "");
  const big = `${"x".repeat(1023)}\n`.repeat(1025);
  writeFileSync(logFile(app), `${big}last\n`);
  const before = await readLog(app, 1, 0);
  expect(before.items).toEqual([{ at: null, line: "last" }]);
  await rotateLog(app);
  appendFileSync(logFile(app), "new\n");
  expect((await readLog(app, 10, before.next)).items).toEqual([{ at: null, line: "new" }]);
  expect((await readLog(app, 2, 0)).items.map(({ line }) => line)).toEqual(["last", "new"]);
});

it("has nothing to say of an app that never ran", async () => {
  const unknown = { clusterId: "east", replId: "b" };
  expect(await readLog(unknown, 10, 0)).toEqual({ items: [], next: 0 });
  appendToLog(unknown, "nothing");
  await rotateLog(unknown);
});
