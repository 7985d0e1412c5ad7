import { afterAll, beforeAll, expect, it } from "vitest";

import { Visitors } from "../cli/demo/visitors";
import { cached, type NameServer, openNameServer } from "../cli/resolve";
import { type Migration, Platform, until } from "./platform";

const REQUESTS_PER_SECOND = 100;
const RESOLVER_MAX_AGE_MS = 200;
const CLUSTERS = ["east", "west"] as const;
/** The sweep looks for tombstones each 30 s. */
const GONE_DEADLINE_MS = 90_000;

interface Tombstones {
  readonly items: readonly {
    readonly clusterId: string;
    readonly to: string;
    readonly hits: number;
    readonly lastHitAt: string | null;
  }[];
}

let platform: Platform;
let nameServer: NameServer;

beforeAll(async () => {
  // A tombstone that is used goes all the same: each moment of its end is under load.
  platform = await Platform.start({
    env: { STELE_TOMBSTONE_MIN_AGE: "3s", STELE_TOMBSTONE_QUIET: "0" },
  });
  nameServer = openNameServer(`127.0.0.1:${platform.dnsPort}`);
});
afterAll(async () => {
  nameServer.close();
  await platform.stop();
});

it("an app is moved, its tombstone goes while it is used, and it is brought back: no request fails", async () => {
  const repl = await platform.deploy("examples/notes", "notes", "east");
  const visitors = new Visitors({
    app: "notes",
    host: repl.host,
    port: platform.httpPort,
    requestsPerSecond: REQUESTS_PER_SECOND,
    resolve: cached(nameServer, () => performance.now(), RESOLVER_MAX_AGE_MS),
    clusterAt: (address) => CLUSTERS.find((id) => platform.ingressOf(id) === address) ?? "",
  });
  await visitors.start();
  const tombstones = async () =>
    (await platform.api<Tombstones>("GET", `/v1/tombstones?replId=${repl.id}`)).items;

  expect(await platform.move(repl.id, "west", "handoff")).toMatchObject({ outcome: "completed" });
  const used = await until("a tombstone that is used", async () =>
    (await tombstones()).find(({ hits, lastHitAt }) => hits > 0 && lastHitAt !== null),
  );
  expect(used).toMatchObject({ clusterId: "east", to: "west" });
  await until("no tombstone", async () => (await tombstones()).length === 0, GONE_DEADLINE_MS);

  const started = await platform.api<Migration>("POST", "/v1/migrations", {
    replId: repl.id,
    undo: true,
  });
  const ended = await until("the undo", async () => {
    const migration = await platform.api<Migration>("GET", `/v1/migrations/${started.id}`);
    return migration.outcome === "open" ? null : migration;
  });
  expect(ended).toMatchObject({ from: "west", to: "east", outcome: "completed" });

  const report = await visitors.stop();
  console.info(
    `figure: ${report.requests} requests, ${report.failed} failed, longest ${report.longestMs.toFixed(0)} ms`,
  );
  expect(report.failures).toEqual([]);
  expect(report.notes).toMatchObject({ missing: 0, doubled: 0 });
});
