import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";

import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { Visitors } from "../cli/demo/visitors";
import { cached, type NameServer, openNameServer } from "../cli/resolve";
import { Platform, type Repl, until } from "./platform";
import { get } from "./visitor";

/** EVACUATE_REPLS=500 npm run test:full -- e2e/evacuate */
const REPLS = Number(process.env.EVACUATE_REPLS ?? 80);
/** Of these, some are awake, and some are woken while they move. */
const AWAKE = ["hello", "hello", "notes", "notes"] as const;
const WOKEN = 12;
const ORDER = ["asleep", "overlap", "handoff", "unknown"];
const REQUESTS_PER_SECOND = 40;
const WAKE_EVERY_MS = 150;
/** A deploy is mostly the start of a process. */
const DEPLOYS_AT_ONCE = 4;
const RESOLVER_MAX_AGE_MS = 200;
const EVACUATION_DEADLINE_MS = 480_000;

interface Evacuation {
  readonly id: string;
  readonly state: string;
  readonly reason: string | null;
  readonly moved: number;
  readonly underWay: number;
  readonly remaining: number | null;
  readonly failed: readonly { readonly name: string; readonly reason: string }[];
}

let platform: Platform;
let nameServer: NameServer;
const repls: Repl[] = [];
const visited: Visitors[] = [];

async function each<T>(items: readonly T[], work: (item: T, n: number) => Promise<void>) {
  const queue = [...items.entries()];
  const lane = async (): Promise<void> => {
    for (let next = queue.shift(); next; next = queue.shift()) await work(next[1], next[0]);
  };
  await Promise.all(Array.from({ length: DEPLOYS_AT_ONCE }, lane));
}

beforeAll(async () => {
  platform = await Platform.start({ env: { STELE_IDLE_STOP: "1h", STELE_UNDO_KEEP: "0" } });
  nameServer = openNameServer(`127.0.0.1:${platform.dnsPort}`);
  await each(Array.from({ length: REPLS }), async (_, n) => {
    const example = AWAKE[n] ?? "hello";
    const repl = await platform.deploy(`examples/${example}`, `${example}-${n}`, "east");
    if (n >= AWAKE.length) await platform.api("POST", `/v1/repls/${repl.id}/stop`);
    repls[n] = repl;
  });
}, 600_000);
afterAll(async () => {
  nameServer.close();
  await platform.stop();
});

async function startVisitors(): Promise<void> {
  for (const [n, app] of AWAKE.entries()) {
    const visitors = new Visitors({
      app,
      host: repls[n]?.host ?? "",
      port: platform.httpPort,
      requestsPerSecond: REQUESTS_PER_SECOND,
      resolve: cached(nameServer, () => performance.now(), RESOLVER_MAX_AGE_MS),
      clusterAt: (address) =>
        ["east", "west"].find((id) => platform.ingressOf(id) === address) ?? "",
    });
    visited.push(visitors);
    await visitors.start();
  }
}

/** Asks sleeping ones at their old address, one after the other, until `stop`. */
function wakeSome(): { stop: () => Promise<number[]> } {
  const sleepers = repls.slice(-WOKEN);
  const answers: number[] = [];
  let isOver = false;
  const asking = (async () => {
    for (let n = 0; !isOver; n = (n + 1) % sleepers.length) {
      const host = sleepers[n]?.host ?? "";
      const { status } = await get(platform.ingressOf("east"), platform.httpPort, host, "/");
      answers.push(status);
      await new Promise((resolve) => setTimeout(resolve, WAKE_EVERY_MS));
    }
  })();
  return {
    stop: async () => {
      isOver = true;
      await asking;
      return answers;
    },
  };
}

async function evacuate(clusterId: string, options: object = {}): Promise<Evacuation> {
  return platform.api<Evacuation>("POST", "/v1/evacuations", { clusterId, ...options });
}

const look = ({ id }: Evacuation): Promise<Evacuation> =>
  platform.api<Evacuation>("GET", `/v1/evacuations/${id}`);

async function ended(started: Evacuation): Promise<Evacuation> {
  return until(
    `the evacuation ends`,
    async () => {
      const now = await look(started);
      return now.state !== "running" && now;
    },
    EVACUATION_DEADLINE_MS,
    200,
  );
}

/** Nothing of any repl is left in a cluster: no home, no process, no files. */
async function expectEmpty(clusterId: string): Promise<void> {
  const { items } = await platform.api<{ items: Repl[] }>("GET", "/v1/repls");
  expect(items.filter((repl) => repl.clusterId === clusterId)).toEqual([]);
  const containers = await platform.api<{ items: { clusterId: string; state: string }[] }>(
    "GET",
    "/v1/containers",
  );
  const running = containers.items.filter(({ state }) =>
    /^(starting|running|stopping)$/.test(state),
  );
  expect(running.filter((one) => one.clusterId === clusterId)).toEqual([]);
  const folder = join(platform.appsDirectory, clusterId);
  const left = existsSync(folder)
    ? readdirSync(folder).flatMap((replId) =>
        readdirSync(join(folder, replId))
          .filter((name) => /^\d+$/.test(name))
          .map((name) => `${replId}/${name}`),
      )
    : [];
  expect(left).toEqual([]);
}

describe(`the evacuation of ${REPLS} repls, mostly asleep`, () => {
  it("plans what it would do, and does nothing", async () => {
    const plan = await platform.api<{ items: { mode: string | null; to: string }[] }>(
      "POST",
      "/v1/evacuations/plan",
      { clusterId: "east" },
    );
    expect(plan.items).toHaveLength(REPLS);
    const ranks = plan.items.map(({ mode }) => ORDER.indexOf(mode ?? "unknown"));
    expect(ranks.toSorted((a, b) => a - b)).toEqual(ranks);
    expect(plan.items.every(({ to }) => to === "west")).toBe(true);
    const { items } = await platform.api<{ items: { id: string; state: string }[] }>(
      "GET",
      "/v1/clusters",
    );
    expect(items.find(({ id }) => id === "east")).toMatchObject({ state: "active" });
  });

  it("fails no request, and leaves nothing behind", async () => {
    await startVisitors();
    const sleepers = wakeSome();
    const startedAt = performance.now();
    const end = await ended(await evacuate("east", { to: "west" }));
    const tookMs = performance.now() - startedAt;
    const woken = await sleepers.stop();
    const reports = await Promise.all(visited.map((visitors) => visitors.stop()));
    const requests = reports.reduce((sum, report) => sum + report.requests, 0) + woken.length;
    const p99 = Math.max(...reports.map(({ p99Ms }) => p99Ms));
    const longest = Math.max(...reports.map(({ longestMs }) => longestMs));
    console.info(
      `figure: ${REPLS} repls left east in ${(tookMs / 1_000).toFixed(1)} s`,
      `(${(REPLS / (tookMs / 1_000)).toFixed(1)} a second), ${requests} requests meanwhile,`,
      `${reports.reduce((sum, { failed }) => sum + failed, 0)} failed,`,
      `p99 ${p99.toFixed(0)} ms, longest ${longest.toFixed(0)} ms; ${end.failed.length} moves failed`,
    );
    expect(end).toMatchObject({ state: "done", moved: REPLS, remaining: 0, failed: [] });
    for (const report of reports) {
      expect(report.failures).toEqual([]);
      expect(report.failed).toBe(0);
      expect(report.notes).toMatchObject({ missing: 0, doubled: 0 });
    }
    expect(woken.length).toBeGreaterThan(0);
    expect(woken.filter((status) => status !== 200)).toEqual([]);
    await expectEmpty("east");
  });

  it("takes nothing in while it is cordoned", async () => {
    await expect(platform.move(repls[0]?.id ?? "", "east")).rejects.toThrow("is cordoned");
  });

  it("waits while it is paused, and survives kill -9 in the middle", async () => {
    await platform.api("PATCH", "/v1/clusters/east", { state: "active" });
    const started = await evacuate("west", { maxConcurrent: 3 });
    await until("some have moved", async () => (await look(started)).moved >= 5);
    await platform.api("POST", `/v1/evacuations/${started.id}/pause`);
    await until("nothing is under way", async () => (await look(started)).underWay === 0);
    const paused = await look(started);
    expect(paused).toMatchObject({ state: "paused" });
    expect(paused.moved).toBeLessThan(REPLS);
    await platform.api("POST", `/v1/evacuations/${started.id}/resume`);
    await until("it has gone on", async () => (await look(started)).moved >= paused.moved + 3);

    await platform.terminate("SIGKILL");
    await platform.boot();
    const atBoot = await look(started);
    const bootedAt = performance.now();
    expect(atBoot.moved).toBeLessThan(REPLS);
    const end = await ended(started);
    console.info(
      `figure: killed after ${atBoot.moved} of ${REPLS}, done`,
      `${((performance.now() - bootedAt) / 1_000).toFixed(1)} s after the restart`,
    );
    expect(end).toMatchObject({ state: "done", moved: REPLS, remaining: 0, failed: [] });
    await expectEmpty("west");
    for (const { host } of repls.slice(0, AWAKE.length + 2)) {
      const answer = await get(platform.ingressOf("west"), platform.httpPort, host, "/");
      expect([host, answer.status, answer.headers["served-by"]]).toEqual([host, 200, "east"]);
    }
  });
});
