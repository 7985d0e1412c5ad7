import { lstatSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterAll, beforeAll, expect, it, vi } from "vitest";

import { draw } from "./file-draw";
import { type Copied, copy } from "./file-round";
import { filesOf } from "./file-tree";
import { startSource, type TestSource } from "./test-stream";

/** The round for which requests are held, alone: 10⁴ files of 100 MB that were written just before the move. */

vi.setConfig({ testTimeout: 300_000, hookTimeout: 300_000 });

const FOLDERS = 100;
const EACH = 100;
const BYTES = 10_000;
const CHANGED = 10;
/** Of each kind; the shortest says what the work costs, and not what else the machine did. */
const TIMES = 5;

let root: string;
let east: string;
let source: TestSource;

const fileOf = (index: number): string =>
  join(filesOf(east), String(index % FOLDERS), String(Math.floor(index / FOLDERS)));

beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), "stele-last-round-"));
  east = join(root, "east");
  for (let folder = 0; folder < FOLDERS; folder++) {
    mkdirSync(join(filesOf(east), String(folder)), { recursive: true });
  }
  for (let index = 0; index < FOLDERS * EACH; index++) {
    writeFileSync(fileOf(index), Buffer.alloc(BYTES, index));
  }
  source = await startSource(east);
});
afterAll(async () => {
  await source.close();
  rmSync(root, { recursive: true });
});

/** What no round can do without: one look at each file of the source. */
function walk(folder: string): void {
  for (const name of readdirSync(folder)) {
    if (lstatSync(`${folder}/${name}`).isDirectory()) walk(`${folder}/${name}`);
  }
}

function shortest(times: readonly number[]): string {
  return Math.min(...times).toFixed(0);
}

async function timed(work: () => unknown): Promise<number> {
  const begun = performance.now();
  await work();
  return performance.now() - begun;
}

it.each(["near", "far"])("from %s it reads only what has changed", async (how) => {
  const west = join(root, how);
  mkdirSync(filesOf(west), { recursive: true });
  const round = async (final: boolean): Promise<Copied> => {
    const job = { generationDir: west, uid: null, final };
    if (how === "near") return copy({ kind: "copy", fromDir: east, ...job });
    return await draw({ kind: "draw", ...job }, source.ask, async () => undefined);
  };
  const firstMs = await timed(() => round(false));
  while ((await round(false)).unsettledBytes > 0);
  const [walks, lasts]: [number[], number[]] = [[], []];
  for (let time = 0; time < TIMES; time++) {
    for (let index = 0; index < CHANGED; index++) {
      writeFileSync(fileOf(index * 7), Buffer.alloc(BYTES, time + 1));
    }
    walks.push(await timed(() => walk(filesOf(east))));
    let last: Copied | undefined;
    lasts.push(await timed(async () => (last = await round(true))));
    // Those of the time before are read again: a last round is not followed by another.
    expect(last?.changedFiles).toBe(CHANGED);
    await round(false);
  }
  const files = FOLDERS * EACH;
  console.info(
    `figure: last round of ${files} files from ${how}: ${shortest(lasts)} ms; one look at each file ${shortest(walks)} ms, the first round ${firstMs.toFixed(0)} ms`,
  );
});
