import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { type Migration, Platform, until } from "./platform";
import { get } from "./visitor";

const PHASES = {
  overlap: "reserving preparing copying booting verifying switching draining cleaning".split(" "),
  handoff: "reserving preparing copying freezing delta booting verifying switching cleaning".split(
    " ",
  ),
};

/** Asks without a pause until the move is in `phase`, or has left it behind; answers what it is in. */
async function reached(platform: Platform, replId: string, phases: string[], phase: string) {
  return until(
    `a move reaches ${phase}`,
    async () => {
      const path = `/v1/migrations?replId=${replId}&open=true`;
      const { items } = await platform.api<{ items: Migration[] }>("GET", path);
      const [migration] = items;
      return migration && phases.indexOf(migration.phase) >= phases.indexOf(phase) && migration;
    },
    30_000,
    0,
  );
}

describe.each(["overlap", "handoff"] as const)("kill -9 in a move by %s", (mode) => {
  let platform: Platform;
  let repl: { id: string; host: string };

  beforeAll(async () => {
    platform = await Platform.start();
    repl = await platform.deploy("examples/notes", "notes", "east");
  });
  afterAll(() => platform.stop());

  it.each(PHASES[mode])(
    "in %s: ends committed or rolled back, served, in one container",
    async (phase) => {
      const before = await platform.api<{ clusterId: string }>("GET", `/v1/repls/${repl.id}`);
      const to = before.clusterId === "east" ? "west" : "east";
      const starting = platform.api("POST", "/v1/migrations", { replId: repl.id, to, mode });
      starting.catch(() => undefined); // Its answer may be lost in the crash.
      const started = await reached(platform, repl.id, PHASES[mode], phase);
      await platform.terminate("SIGKILL");
      await platform.boot();

      const ended = await platform.finished(started.id);
      console.info(
        `figure: wanted ${phase}, seen in ${started.phase} when killed: ${ended.outcome}`,
      );
      const home = await platform.api<{ clusterId: string }>("GET", `/v1/repls/${repl.id}`);
      expect(home.clusterId).toBe(ended.outcome === "completed" ? to : before.clusterId);
      for (const cluster of ["east", "west"]) {
        const answer = await until(`notes answers through ${cluster}`, async () => {
          const response = await get(
            platform.ingressOf(cluster),
            platform.httpPort,
            repl.host,
            "/notes",
          );
          return response.status === 200 && response;
        });
        expect(answer.status).toBe(200);
      }
      await until("exactly one container runs", async () => {
        const { items } = await platform.api<{ items: { state: string; clusterId: string }[] }>(
          "GET",
          "/v1/containers",
        );
        const running = items.filter(({ state }) => state === "running");
        return running.length === 1 && running[0]?.clusterId === home.clusterId;
      });
    },
  );
});
