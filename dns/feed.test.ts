import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";

import { startWorker } from "../shared/worker";
import type { Told } from "./core/catalog";
import { Feed, Follower } from "./feed";

// Deadlines of tests that share their cores with others.
vi.setConfig({ testTimeout: 60_000 });

const buildDir = mkdtempSync(join(tmpdir(), "stele-feed-"));
beforeAll(() => {
  process.env.STELE_BUILD_DIR = buildDir;
});
afterAll(() => {
  delete process.env.STELE_BUILD_DIR;
  rmSync(buildDir, { recursive: true });
});

const told = (seq: number): Told => ({ changes: [], clusters: [], table: undefined, seq });

describe("changes on their way to the threads", () => {
  it("are taken up to the version, each once, after all that was known", () => {
    const feed = new Feed();
    feed.publish(told(1));
    const { input, end } = feed.subscribe(told(1));
    const taken: number[] = [];
    const follower = new Follower(input, ({ seq }) => taken.push(seq));
    feed.publish(told(2));
    feed.publish(told(3));
    expect(taken).toEqual([1]);
    follower.catchUp();
    follower.catchUp();
    expect(taken).toEqual([1, 2, 3]);
    // What is posted and not published yet may be seen by nobody: others do not have it.
    const [version] = new Int32Array(input.header);
    feed.publish(told(4));
    new Int32Array(input.header)[0] = version!;
    follower.catchUp();
    expect(taken).toEqual([1, 2, 3]);
    end();
    input.port.close();
  });

  it("show no asker older data than any asker has seen, in any thread", async () => {
    const feed = new Feed();
    const seen = new SharedArrayBuffer(4);
    const last = 20_000;
    const workers = await Promise.all(
      [1, 2, 3].map(async () => {
        const { input } = feed.subscribe(told(0));
        const data = { feed: input, seen, last };
        const worker = await startWorker("dns/__tests__/feed-worker.ts", data, [input.port]);
        const said = once(worker, "message") as Promise<[{ asked: number; older: number }]>;
        await once(worker, "online");
        return { said };
      }),
    );
    for (let seq = 1; seq <= last; seq++) {
      feed.publish(told(seq));
      if (seq % 100 === 0) await new Promise(setImmediate);
    }
    for (const { said } of workers) {
      const [{ asked, older }] = await said;
      expect(asked).toBeGreaterThan(0);
      expect(older).toBe(0);
    }
  });
});
