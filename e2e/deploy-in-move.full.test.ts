import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterAll, beforeAll, expect, it } from "vitest";

import { Platform, type Repl } from "./platform";
import { get } from "./visitor";

const CLUSTERS = ["east", "west"] as const;
const ROUNDS = 12;
/** A deploy begins anywhere in a move of so long. */
const LONGEST_MOVE_MS = 800;

const folder = mkdtempSync(join(tmpdir(), "stele-releases-"));
let platform: Platform;

beforeAll(async () => {
  chmodSync(folder, 0o755);
  platform = await Platform.start();
});
afterAll(async () => {
  await platform.stop();
  rmSync(folder, { recursive: true, force: true });
});

let count = 0;

/** A directory whose app answers with the number of its release, and may have written a file by then. */
function release(writes: boolean): { number: number; directory: string } {
  const number = ++count;
  const directory = join(folder, String(number));
  mkdirSync(directory);
  const source = `
    import { writeFileSync } from "node:fs";
    import { createServer } from "node:http";
    ${writes ? 'writeFileSync("written.txt", "1");' : ""}
    createServer((_, response) => response.end("${number}"))
      .listen(process.env.PORT, process.env.HOST);`;
  writeFileSync(join(directory, "index.mjs"), source);
  return { number, directory };
}

it.each(["overlap", "handoff", "asleep"])(
  "a deploy at any moment of a move by %s: what was acknowledged is served",
  async (mode) => {
    const repl = await platform.api<Repl>("POST", "/v1/repls", {
      name: mode,
      owner: "demo",
      cluster: "east",
    });
    let latest = 0;
    const deploy = async (): Promise<boolean> => {
      const { number, directory } = release(mode === "handoff");
      try {
        await platform.api("PUT", `/v1/repls/${repl.id}/release`, { directory });
      } catch (error) {
        expect(String(error)).toMatch(/is being moved|began to move|is not ready/);
        return false;
      }
      latest = number;
      return true;
    };
    expect(await deploy()).toBe(true);
    const fates = { completed: 0, "rolled back": 0, deployed: 0, refused: 0 };
    let home = 0;
    for (let round = 1; round <= ROUNDS; round++) {
      if (mode === "asleep") await platform.api("POST", `/v1/repls/${repl.id}/stop`);
      const moved = platform.move(repl.id, CLUSTERS[1 - home] ?? "", mode);
      // Spread over the move by the golden ratio: as irregular as chance, and the same every time.
      const waitMs = ((round * 0.618_034) % 1) * LONGEST_MOVE_MS;
      await new Promise((resolve) => setTimeout(resolve, waitMs));
      fates[(await deploy()) ? "deployed" : "refused"]++;
      const isMoved = (await moved).outcome === "completed";
      if (isMoved) home = 1 - home;
      fates[isMoved ? "completed" : "rolled back"]++;
      const { status, body } = await get(
        platform.ingressOf("east"),
        platform.httpPort,
        repl.host,
        "/",
      );
      expect([round, status, body]).toEqual([round, 200, String(latest)]);
    }
    console.info(
      `figure: ${ROUNDS} moves by ${mode}, each with a deploy: ${JSON.stringify(fates)}`,
    );
    expect(fates.deployed).toBeGreaterThan(0);
  },
);
