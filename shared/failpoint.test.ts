import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterEach, beforeEach, expect, it, vi } from "vitest";

import type * as failpoints from "./failpoint";

const POINT = "containers.freeze.row";
let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "stele-failpoints-"));
  for (const name of ["armed", "held"]) mkdirSync(join(folder, name));
  vi.stubEnv("STELE_FAILPOINTS_DIR", folder);
});
afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(folder, { recursive: true });
});

/** It reads its environment when it is loaded. */
async function load(): Promise<typeof failpoints> {
  vi.resetModules();
  return await import("./failpoint");
}

it("holds who comes for that repl, once, until it is let go", async () => {
  const { failpoint } = await load();
  writeFileSync(join(folder, "armed", `${POINT}@r1`), "");
  await failpoint(POINT, "r2");
  let isOver = false;
  const held = failpoint(POINT, "r1").then(() => (isOver = true));
  expect(existsSync(join(folder, "held", `${POINT}@r1`))).toBe(true);
  await failpoint(POINT, "r1");
  expect(isOver).toBe(false);
  rmSync(join(folder, "held", `${POINT}@r1`));
  await held;
});

it.each([
  ["in production", { NODE_ENV: "production" }],
  ["without a folder", { STELE_FAILPOINTS_DIR: undefined }],
])("does nothing %s", async (_, env: Record<string, string | undefined>) => {
  for (const [name, value] of Object.entries(env)) vi.stubEnv(name, value);
  const { failpoint, failpointSync } = await load();
  writeFileSync(join(folder, "armed", `${POINT}@r1`), "");
  await failpoint(POINT, "r1");
  failpointSync(POINT, "r1");
  expect(existsSync(join(folder, "armed", `${POINT}@r1`))).toBe(true);
});
