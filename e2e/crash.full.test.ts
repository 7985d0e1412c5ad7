import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { type Migration, Platform, until } from "./platform";
import { get } from "./visitor";

const PHASES =
  "requested reserving preparing copying freezing delta booting verifying switching draining cleaning".split(
    " ",
  );

/** Resolves once the migration has been seen in `phase` or beyond it. */
async function reached(platform: Platform, id: string, phase: string): Promise<void> {
  for (let seen = 0; ;) {
    const path = `/v1/migrations/${id}/watch?after=${seen}&waitMs=5000`;
    const { steps, outcome } = await platform.api<Migration>("GET", path);
    if (steps.some((step) => step.phase === phase) || outcome !== "open") return;
    seen = steps.length;
  }
}

describe.each(["overlap", "handoff"])("kill -9 in each phase of a move by %s", (mode) => {
  let platform: Platform;
  let repl: { id: string; host: string };

  beforeAll(async () => {
    platform = await Platform.start();
    repl = await platform.deploy("examples/notes", "notes", "east");
  });
  afterAll(() => platform.stop());

  it.each(PHASES)("%s: ends committed or rolled back, served, in one container", async (phase) => {
    const before = await platform.api<{ clusterId: string }>("GET", `/v1/repls/${repl.id}`);
    const to = before.clusterId === "east" ? "west" : "east";
    const started = await platform.api<Migration>("POST", "/v1/migrations", {
      replId: repl.id,
      to,
      mode,
    });
    await reached(platform, started.id, phase);
    await platform.terminate("SIGKILL");
    await platform.boot();

    const ended = await platform.finished(started.id);
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
  });
});
