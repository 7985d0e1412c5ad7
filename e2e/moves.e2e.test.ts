import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { watchAddress } from "../cli/demo/freshness";
import { Visitors } from "../cli/demo/visitors";
import { cached, type NameServer, openNameServer } from "../cli/resolve";
import { type Migration, Platform, type Repl } from "./platform";
import { get } from "./visitor";

const MOVES = 12;
const REQUESTS_PER_SECOND = 150;
/** Where DNS is asked for each visit, as good as always fresh. */
const RESOLVER_MAX_AGE_MS = 200;
const CLUSTERS = ["east", "west"] as const;

let platform: Platform;
let nameServer: NameServer;

beforeAll(async () => {
  platform = await Platform.start();
  nameServer = openNameServer(`127.0.0.1:${platform.dnsPort}`);
});
afterAll(async () => {
  nameServer.close();
  await platform.stop();
});

function visitorsOf(repl: Repl, app: "hello" | "notes"): Visitors {
  return new Visitors({
    app,
    host: repl.host,
    port: platform.httpPort,
    requestsPerSecond: REQUESTS_PER_SECOND,
    resolve: cached(nameServer, () => performance.now(), RESOLVER_MAX_AGE_MS),
    clusterAt: (address) => CLUSTERS.find((id) => platform.ingressOf(id) === address) ?? "",
  });
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}

/** Moves back and forth, and watches how long after each commit the name server says so. */
async function shuttle(
  repl: Repl,
  mode: string,
): Promise<{ moves: Migration[]; freshMs: number[] }> {
  const moves: Migration[] = [];
  const freshMs: number[] = [];
  for (let n = 0; n < MOVES; n++) {
    const [from, to] = n % 2 === 0 ? CLUSTERS : CLUSTERS.toReversed();
    const watch = watchAddress(nameServer, repl.host, platform.ingressOf(from ?? ""));
    const migration = await platform.move(repl.id, to ?? "", mode);
    watch.stop();
    const changedAt = await watch.changedAt;
    moves.push(migration);
    if (changedAt !== null && migration.committedAt !== null) {
      freshMs.push(changedAt - Date.parse(migration.committedAt));
    }
  }
  return { moves, freshMs };
}

describe("apps under load that are moved back and forth", () => {
  it.each([
    ["hello", "overlap"],
    ["notes", "handoff"],
  ] as const)("%s by %s: no request fails", async (app, mode) => {
    const repl = await platform.deploy(`examples/${app}`, app, "east");
    const visitors = visitorsOf(repl, app);
    await visitors.start();
    const { moves, freshMs } = await shuttle(repl, mode);
    const report = await visitors.stop();

    const held = moves.flatMap(({ holdMs }) => (holdMs === null ? [] : [holdMs]));
    console.info(
      `figure: ${MOVES} moves by ${mode} under ${REQUESTS_PER_SECOND} requests/s:`,
      `${report.requests} requests, ${report.failed} failed, p50 ${report.p50Ms.toFixed(1)} ms,`,
      `p99 ${report.p99Ms.toFixed(1)} ms, longest ${report.longestMs.toFixed(1)} ms,`,
      `forwarded ${report.forwarded}, commit to DNS median ${median(freshMs).toFixed(1)} ms,`,
      `longest ${Math.max(...freshMs).toFixed(1)} ms (goal 10 ms),`,
      held.length > 0 ? `median hold ${median(held)} ms` : "nothing held",
    );
    expect(moves.map(({ outcome, reason }) => [outcome, reason])).toEqual(
      moves.map(() => ["completed", null]),
    );
    expect(report.failures).toEqual([]);
    expect(report.failed).toBe(0);
    expect(report.requests).toBeGreaterThan(MOVES * 10);
    expect(report.byCluster).toMatchObject({
      east: expect.any(Number),
      west: expect.any(Number),
    });
    expect(report.notes).toMatchObject({ missing: 0, doubled: 0 });
    expect(freshMs).toHaveLength(MOVES);
  });

  it("a sleeping app, asked for at any moment of its move: no request fails", async () => {
    const repl = await platform.deploy("examples/hello", "sleeper", "east");
    const longestMoveMs = 400;
    for (let n = 0; n < MOVES; n++) {
      const [from, to] = n % 2 === 0 ? CLUSTERS : CLUSTERS.toReversed();
      await platform.api("POST", `/v1/repls/${repl.id}/stop`);
      const moved = platform.move(repl.id, to ?? "", "asleep");
      // Spread over the move by the golden ratio: as irregular as chance, and the same every time.
      const waitMs = ((n * 0.618_034) % 1) * longestMoveMs;
      await new Promise((resolve) => setTimeout(resolve, waitMs));
      const answer = await get(platform.ingressOf(from ?? ""), platform.httpPort, repl.host, "/");
      expect([n, answer.status]).toEqual([n, 200]);
      expect(await moved).toMatchObject({ outcome: "completed", reason: null });
      const after = await get(platform.ingressOf(from ?? ""), platform.httpPort, repl.host, "/");
      expect([n, after.status, after.headers["served-by"]]).toEqual([n, 200, to]);
    }
  });
});
