import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from "vitest";

import type { ClusterAddress } from "../shared/channel/cluster";
import { deploymentKey } from "../shared/channel/settings";
import { type Fate, newKey, serveCluster, type Served } from "../shared/channel/test-deployment";
import { type ClusterClient, clusterClient, type Command } from "./cluster-client";
import { createCoordinator } from "./coordinator";
import { isTerminal, type Mode } from "./core/migration";
import { createGate } from "./gate";
import { createTestJournal, createTestWorld, newRow, type TestWorldOptions } from "./test-world";

const registry = vi.hoisted(() => ({ addresses: new Map<string, ClusterAddress>() }));

vi.mock("~encore/clients", () => ({
  clusters: {
    clusterAddress: async ({ clusterId }: { clusterId: string }) =>
      registry.addresses.get(clusterId),
  },
  containers: {
    inspect: async () => ({ running: true, filesChanged: false }),
    cleanup: async () => ({ outcome: "refused", reason: "" }),
  },
}));

let folder: string;
let served: Served[] = [];
let count = 0;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "stele-control-"));
  process.env.STELE_DEPLOYMENT_KEY_FILE = join(folder, "deployment-key");
});
afterEach(() => {
  for (const { close } of served) close();
  served = [];
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** A deployment that carries commands to a cluster out by `client`. */
async function deploy(
  clusterId: string,
  client: ClusterClient,
  fateOf?: () => Fate,
): Promise<void> {
  const key = newKey();
  const controlKey = deploymentKey().publicKey;
  const carryOut = async (name: string, fields: never): Promise<unknown> => {
    const done = await client[name as keyof ClusterClient](fields);
    return name === "drainOld" ? { done } : done;
  };
  const server = await serveCluster(clusterId, { key, controlKey }, carryOut, fateOf);
  served.push(server);
  const { publicKey } = key;
  registry.addresses.set(clusterId, { clusterId, apiUrl: server.url, publicKey });
}

interface Moved {
  readonly mode: Mode;
  readonly options: TestWorldOptions;
  readonly fateOf?: () => Fate;
}

/** Moves a repl between two clusters of other deployments; every command goes over HTTP. */
async function move({ mode, options, fateOf }: Moved) {
  const world = createTestWorld(options);
  // The addresses of the former test are still in the book.
  const row = { ...newRow(mode), from: `east${++count}`, to: `west${count}` };
  for (const clusterId of [row.from, row.to]) {
    await deploy(clusterId, world.outside.client(clusterId, 0), fateOf);
  }
  const journal = createTestJournal(row);
  const { authority } = world.outside;
  const coordinator = createCoordinator({
    freezeGate: createGate(2),
    journal,
    outside: {
      ...world.outside,
      client: clusterClient,
      authority: {
        ...authority,
        open: async (request) => ({ ...(await authority.open(request)), fromCluster: row.from }),
      },
    },
    leaseOwner: "first",
    log: { info: () => undefined, warn: () => undefined },
    random: () => 0,
    announce: () => undefined,
  });
  coordinator.kick();
  await vi.waitFor(() => expect(journal.row.phase).toSatisfy(isTerminal), { timeout: 20_000 });
  return { world, journal };
}

const MOVES: readonly Moved[] = [
  { mode: "asleep", options: { running: false } },
  { mode: "overlap", options: { running: true } },
  { mode: "handoff", options: { running: true, filesChanged: true } },
];

describe("a move between clusters of other deployments", () => {
  it.each(MOVES)("ends where it should: $mode", async (wanted) => {
    const { world, journal } = await move(wanted);
    expect(journal.row).toMatchObject({ phase: "completed", mode: wanted.mode });
    expect(world.faults).toEqual([]);
    expect(world.source).toMatchObject({ route: "tombstone", hasFiles: false });
    expect(world.destination).toMatchObject({ route: "active", hasFiles: true });
  });

  it.each<Fate>(["lost", "refused"])("survives answers that are %s", async (fate) => {
    let answers = 0;
    const { world, journal } = await move({
      mode: "handoff",
      options: { running: true, filesChanged: true },
      fateOf: () => (answers++ % 3 === 0 ? fate : "sent"),
    });
    expect(answers).toBeGreaterThan(10);
    expect(journal.row.phase).toBe("completed");
    expect(world.faults).toEqual([]);
  });

  it("is rolled back with the reason when a cluster takes no command of ours at all", async () => {
    const { world, journal } = await move({
      mode: "overlap",
      options: { running: true },
      fateOf: () => "refused",
    });
    expect(journal.row.phase).toBe("rolled_back");
    expect(journal.row.reason).toMatch(/^choose_mode: Cannot command cluster "east\d+": .*401/);
    expect(world.commands).not.toContain("freeze");
  }, 60_000);
});

const order: Command = {
  clusterId: "here",
  replId: "abcdefgh2345",
  migrationId: "m",
  generation: 2,
  deadline: "",
  traceparent: "",
};

describe("a command to a cluster", () => {
  it("without an API of its own is a typed call", async () => {
    registry.addresses.set("here", { clusterId: "here", apiUrl: null, publicKey: null });
    const client = clusterClient("here", 1_000);
    await expect(client.inspect(order)).resolves.toMatchObject({ running: true });
    await expect(client.cleanup(order)).resolves.toEqual({ outcome: "refused", reason: "refused" });
  });

  it("whose key is not pinned is a fault of the registry, and not sent", async () => {
    const apiUrl = "http://127.0.0.1:9";
    registry.addresses.set("bare", { clusterId: "bare", apiUrl, publicKey: null });
    const sent = clusterClient("bare", 1_000).inspect({ ...order, clusterId: "bare" });
    await expect(sent).rejects.toMatchObject({ code: "failed_precondition" });
  });

  it("that hangs ends at its deadline", async () => {
    const hanging = { inspect: () => new Promise(() => undefined) } as unknown as ClusterClient;
    await deploy("slow", hanging);
    const sent = clusterClient("slow", 200).inspect({ ...order, clusterId: "slow" });
    await expect(sent).rejects.toMatchObject({ code: "deadline_exceeded" });
  });
});
