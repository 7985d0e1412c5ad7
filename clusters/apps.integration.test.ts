import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";

import { deploymentKey } from "../shared/channel/settings";
import { newKey, serveCluster, type Served } from "../shared/channel/test-deployment";
import { addCluster, removeCluster, setCluster } from "./api";
import { countCommands, deploy, listContainers, listProxies, logs, restart, stop } from "./apps";
import { clusterAddress } from "./commands";
import { db } from "./db";
import { listDeadEvents, replayDeadEvent } from "./events";
import * as migrations from "./store-migrations";
import * as repls from "./store-repls";
import { listTombstones } from "./tombstones";

const names = vi.hoisted(() => ({
  list: async (): Promise<unknown> => ({ items: [], dropped: 0 }),
  replay: async (): Promise<unknown> => ({ outcome: "unknown", error: "" }),
}));

vi.mock("~encore/clients", () => ({
  containers: {
    listContainers: async ({ clusterId }: { clusterId: string }) => ({
      items: [{ clusterId, replId: "near" }],
    }),
    listTombstones: async () => ({ items: [] }),
    listDeadEvents: async () => ({ items: [], dropped: 0 }),
    replayDeadEvent: async () => ({ outcome: "unknown", error: "" }),
  },
  dns: {
    listDeadEvents: async () => await names.list(),
    replayDeadEvent: async () => await names.replay(),
  },
}));

const NORTH = "apps-north";
const SOUTH = "apps-south";
const NEAR = "apps-near";
const MINE = [NORTH, SOUTH, NEAR];

interface Got {
  readonly clusterId: string;
  readonly name: string;
  readonly fields: Record<string, unknown>;
}

let folder: string;
let got: Got[] = [];
let answers: Record<string, (got: Got) => unknown>;
const served = new Map<string, Served>();
const keys = new Map([NORTH, SOUTH].map((id) => [id, newKey()]));
let replId: string;

async function serve(clusterId: string): Promise<void> {
  const key = keys.get(clusterId) ?? newKey();
  const trust = { key, controlKey: deploymentKey().publicKey };
  const server = await serveCluster(clusterId, trust, async (name, fields) => {
    const one = { clusterId, name, fields };
    got.push(one);
    return (await answers[name]?.(one)) ?? {};
  });
  served.set(clusterId, server);
}

const registration = (id: string, apiUrl?: string, publicKey?: string) => ({
  id,
  ingress: ["192.0.2.1"],
  httpPort: 80,
  listen: [],
  ...(apiUrl && { apiUrl }),
  ...(publicKey && { publicKey }),
});

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "stele-apps-"));
  process.env.STELE_DEPLOYMENT_KEY_FILE = join(folder, "deployment-key");
  for (const id of [NORTH, SOUTH]) {
    await serve(id);
    await addCluster(registration(id, served.get(id)?.url, keys.get(id)?.publicKey));
  }
  await addCluster(registration(NEAR));
  const name = `far${Date.now() % 100_000}`;
  const created = await repls.createRepl({ name, owner: "demo", cluster: NORTH, policy: "auto" });
  if (created.outcome !== "created") throw new Error(created.outcome);
  replId = created.repl.id;
});
beforeEach(() => {
  got = [];
  answers = {};
});
afterAll(async () => {
  for (const { close } of served.values()) close();
  await db.exec`DELETE FROM repl WHERE id = ${replId}`;
  for (const id of MINE) await removeCluster({ id });
  rmSync(folder, { recursive: true, force: true });
});

async function move(toCluster: string): Promise<void> {
  const migrationId = crypto.randomUUID();
  const opened = await migrations.openMigration({ migrationId, replId, toCluster });
  if ("refused" in opened) throw new Error(opened.reason);
  await migrations.decide({
    migrationId,
    decision: "committed",
    notAfter: undefined,
    traceparent: "",
  });
}

describe("an app in a cluster of another deployment", () => {
  it("is deployed there, and the answer is that cluster's", async () => {
    const deployed = { release: 1, command: "node .", framework: "node", clusterId: NORTH };
    answers = { deploy: () => deployed };
    await expect(deploy({ replId, directory: "/app" })).resolves.toEqual(deployed);
    expect(got).toMatchObject([
      { clusterId: NORTH, fields: { clusterId: NORTH, replId, generation: 1, directory: "/app" } },
    ]);
  });

  it("is read, restarted and stopped there", async () => {
    answers = { logs: () => ({ items: [{ at: null, line: "hello" }], next: 6 }) };
    await expect(logs({ replId })).resolves.toMatchObject({ next: 6 });
    await restart({ replId });
    await stop({ replId });
    expect(got.map(({ name }) => name)).toEqual(["logs", "restart", "stop"]);
    expect(got[0]?.fields).toEqual({ clusterId: NORTH, replId, lines: 100, after: 0 });
  });

  it("fails with the words of its cluster", async () => {
    const message = 'Cannot start repl "x": it ended; its last lines:\nboom';
    answers = {
      deploy: () => Promise.reject({ code: "failed_precondition", message, details: null }),
    };
    await expect(deploy({ replId, directory: "/app" })).rejects.toMatchObject({
      code: "failed_precondition",
      message,
    });
    await expect(deploy({ replId: "nobody", directory: "/app" })).rejects.toMatchObject({
      code: "not_found",
    });
  });

  it("is found at its next home when it moves meanwhile", async () => {
    answers = {
      stop: async ({ clusterId }) => {
        if (clusterId === SOUTH) return {};
        await move(SOUTH);
        return await Promise.reject({ code: "unavailable", message: "not here", details: null });
      },
    };
    await stop({ replId });
    expect(got.map(({ clusterId, fields }) => [clusterId, fields["generation"]])).toEqual([
      [NORTH, 1],
      [SOUTH, 2],
    ]);
    await move(NORTH);
  });
});

describe("events that could not be handled", () => {
  const dead = (id: string, lastAt: string) => ({
    id,
    subscription: "repl-moved",
    payload: "{}",
    error: "no",
    times: 1,
    firstAt: lastAt,
    lastAt,
  });
  const [older, newer] = ["2026-01-01T00:00:00.000Z", "2026-01-02T00:00:00.000Z"] as const;
  const away = async (): Promise<unknown> => Promise.reject(new Error("away"));

  beforeEach(() => {
    names.list = async () => ({ items: [dead("n", newer)], dropped: 1 });
    names.replay = async () => ({ outcome: "unknown", error: "" });
  });

  it("are listed from all clusters and the name servers, each once, the newest first", async () => {
    answers = { listDeadEvents: () => ({ items: [dead("c", older)], dropped: 2 }) };
    const { items, dropped, unreachable } = await listDeadEvents();
    expect(items.map(({ id, clusterIds }) => [id, clusterIds])).toEqual([
      ["n", []],
      ["c", [NORTH, SOUTH]],
    ]);
    expect([dropped, unreachable]).toEqual([3, []]);
    names.list = away;
    await expect(listDeadEvents()).resolves.toMatchObject({
      items: [{ id: "c" }],
      unreachable: [{ clusterId: "dns", reason: expect.stringContaining("away") }],
    });
  });

  it("are handled again wherever they are", async () => {
    answers = {
      replayDeadEvent: ({ clusterId }) => ({
        outcome: clusterId === NORTH ? "handled" : "unknown",
        error: "",
      }),
    };
    await expect(replayDeadEvent({ id: "c" })).resolves.toMatchObject({ outcome: "handled" });
    expect(got.map(({ fields }) => fields["id"])).toEqual(["c", "c"]);
    names.replay = async () => ({ outcome: "dead", error: "no" });
    await expect(replayDeadEvent({ id: "c" })).resolves.toMatchObject({
      outcome: "dead",
      error: "no",
    });
  });

  it("that nobody has are not found, unless somebody does not answer", async () => {
    answers = { replayDeadEvent: () => ({ outcome: "unknown", error: "" }) };
    await expect(replayDeadEvent({ id: "x" })).rejects.toMatchObject({ code: "not_found" });
    names.replay = away;
    await expect(replayDeadEvent({ id: "x" })).rejects.toMatchObject({
      code: "unavailable",
      message: 'Cannot replay event "x": no answer from dns',
    });
  });
});

describe("tombstones", () => {
  it("are listed from all clusters, of all repls or of one", async () => {
    answers = {
      listTombstones: ({ clusterId }) => ({
        items: ["a", "b"].map((id) => ({ clusterId, replId: id, hits: 1 })),
      }),
    };
    expect((await listTombstones({})).items).toHaveLength(4);
    const { items } = await listTombstones({ replId: "a" });
    expect(items.map(({ clusterId, replId: id }) => [clusterId, id])).toEqual([
      [NORTH, "a"],
      [SOUTH, "a"],
    ]);
  });
});

describe("what runs in all clusters", () => {
  const ours = <T extends { clusterId: string }>(items: readonly T[]): T[] =>
    items.filter(({ clusterId }) => MINE.includes(clusterId));

  it("is listed from near and far; a cluster that is away hides no other", async () => {
    answers = {
      listContainers: ({ clusterId }) => ({ items: [{ clusterId, replId: "far" }] }),
      listProxies: ({ clusterId }) => ({ items: [{ clusterId, instanceId: "one" }] }),
      countCommands: () => ({ accepted: 3, refused: [{ reason: "replayed", count: 1 }] }),
    };
    served.get(SOUTH)?.close();
    const { items, unreachable } = await listContainers();
    expect(ours(items)).toEqual([
      { clusterId: NEAR, replId: "near" },
      { clusterId: NORTH, replId: "far" },
    ]);
    expect(ours(unreachable)).toMatchObject([
      { clusterId: SOUTH, reason: expect.stringContaining("ECONNREFUSED") },
    ]);
    await expect(listProxies()).resolves.toMatchObject({
      items: expect.arrayContaining([{ clusterId: NORTH, instanceId: "one" }]),
    });
    await expect(countCommands({ id: NORTH })).resolves.toMatchObject({ accepted: 3 });
    await expect(countCommands({ id: "nowhere" })).rejects.toMatchObject({ code: "not_found" });
  });
});

describe("the public key of a cluster", () => {
  const apiUrl = "http://192.0.2.1:4000";
  const { publicKey } = newKey();

  it.each([
    ["is needed with an API URL", registration("apps-x", apiUrl), /without its public key/],
    ["is refused without one", registration("apps-x", undefined, publicKey), /no API URL/],
    ["is checked", registration("apps-x", apiUrl, "short"), /expected 43 characters/],
  ])("%s", async (_, request, message) => {
    await expect(addCluster(request)).rejects.toMatchObject({
      code: "invalid_argument",
      message: expect.stringMatching(message),
    });
  });

  it("is pinned: another one is another cluster, unless it is changed", async () => {
    const id = "apps-pinned";
    await addCluster(registration(id, apiUrl, publicKey));
    await expect(addCluster(registration(id, apiUrl, publicKey))).resolves.toMatchObject({
      publicKey,
    });
    const other = newKey().publicKey;
    await expect(addCluster(registration(id, apiUrl, other))).rejects.toMatchObject({
      code: "already_exists",
    });
    await expect(setCluster({ id, publicKey: other })).resolves.toMatchObject({ publicKey: other });
    await expect(clusterAddress({ clusterId: id })).resolves.toEqual({
      clusterId: id,
      apiUrl,
      publicKey: other,
    });
    await removeCluster({ id });
  });
});
