import { randomUUID } from "node:crypto";
import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { clusters } from "~encore/clients";

import { listenToLog } from "../clusters/tail";
import { db } from "../containers/db";
import { clusterStore } from "../containers/store";
import { startTail, type Tail } from "../containers/tail";
import { untilOpen } from "../containers/local";
import { instance } from "../dns/instance";
import * as dns from "../dns/life";

/** The figures; a loaded machine may take five times as long. */
const BY_LOG_MS = 1_000;
const BY_SWEEP_MS = 30_000;
const PATIENCE = 5;
const MOVES = 20;

const token = { authData: { userID: "test" } };
const folder = mkdtempSync(join(tmpdir(), "stele-lost-"));
const PLACES = ["lost-east", "lost-west"] as const;
let tail: Tail;
let replId: string;
let home = 0;

beforeAll(async () => {
  process.env.STELE_DNS_LISTEN = "127.0.0.1:0";
  process.env.STELE_DNS_SNAPSHOT = join(folder, "snapshot.json");
  // As root each app has a user of its own, who must be able to enter.
  chmodSync(folder, 0o711);
  process.env.STELE_APPS_DIR = join(folder, "apps");
  // Tests of one run share the databases; others may have read a log that was not this one.
  await db.exec`DELETE FROM log_cursor`;
  await db.exec`DELETE FROM known_cluster`;
  for (const [index, id] of PLACES.entries()) {
    await clusters.addCluster(
      { id, ingress: [`192.0.2.${index + 1}`], httpPort: 80, listen: [] },
      token,
    );
  }
  const repl = await clusters.createRepl(
    { name: "lost", owner: "demo", cluster: PLACES[0] },
    token,
  );
  replId = repl.id;
  tail = startTail(async () => undefined);
  await dns.start();
  for (const id of PLACES) await untilOpen(id);
  await until(async () => (await stateIn(PLACES[0])) === "active", BY_LOG_MS);
});

afterAll(async () => {
  await tail.close();
  await dns.drain(1_000);
  rmSync(folder, { recursive: true, force: true });
});

async function stateIn(clusterId: string): Promise<string | undefined> {
  return (await clusterStore(clusterId).route(replId))?.state;
}

async function until(isTrue: () => Promise<boolean>, ms: number): Promise<void> {
  const end = performance.now() + ms * PATIENCE;
  while (!(await isTrue())) {
    if (performance.now() > end) throw new Error(`not within ${ms * PATIENCE} ms`);
    await new Promise((resolve) => {
      setTimeout(resolve, 2);
    });
  }
}

/** Commits a move of which no event is published, ever. How long each consumer takes to know. */
async function moveUnheard(withinMs: number): Promise<{ routes: number; names: number }> {
  const [from, to] = [PLACES[home], PLACES[1 - home]] as [string, string];
  home = 1 - home;
  const migrationId = randomUUID();
  await clusters.openMigration({ migrationId, replId, toCluster: to, traceparent: "" });
  const { seq } = await clusters.decide({ migrationId, decision: "committed", traceparent: "" });
  const committed = performance.now();
  const routes = until(
    async () => (await stateIn(from)) === "tombstone" && (await stateIn(to)) === "active",
    withinMs,
  ).then(() => performance.now() - committed);
  const names = until(async () => instance().answeredSeq >= (seq ?? 0), withinMs).then(
    () => performance.now() - committed,
  );
  return { routes: await routes, names: await names };
}

function print(what: string, took: readonly { routes: number; names: number }[]): void {
  const worst = (of: (one: { routes: number; names: number }) => number): number =>
    Math.round(Math.max(...took.map(of)));
  process.stdout.write(
    `${what}: routes within ${worst(({ routes }) => routes)} ms, names within ${worst(({ names }) => names)} ms\n`,
  );
}

describe("repl.moved lost for ever", () => {
  it("converges by the log", async () => {
    const listener = listenToLog();
    const took = [];
    for (let move = 0; move < MOVES; move++) took.push(await moveUnheard(BY_LOG_MS));
    await listener.close();
    print(`${MOVES} moves, event lost`, took);
    expect(took).toHaveLength(MOVES);
  });

  it(
    "converges by the sweep when the log's notification is lost too",
    async () => {
      print("event and notification lost", [await moveUnheard(BY_SWEEP_MS)]);
      expect(await stateIn(PLACES[home] ?? "")).toBe("active");
    },
    BY_SWEEP_MS * PATIENCE,
  );
});
