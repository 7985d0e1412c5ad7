import { randomUUID } from "node:crypto";

import { afterAll, beforeAll, expect, it, vi } from "vitest";

import { type Receiver, sendCommand } from "../shared/channel/send";
import { deploymentKey } from "../shared/channel/settings";
import { newKey, serveHttp } from "../shared/channel/test-deployment";
import { beginToAccept } from "./authenticate";
import { db } from "./db";
import { receiveCommand } from "./receive";
import { containerDriver } from "./runner";
import { clusterStore } from "./store";
import { applyToCluster } from "./tail";
import { makeApp, makeAppsDir, serve } from "./test-cluster";
import { learnControlKey } from "./trust";

const replId = "signedmove";
const home = vi.hoisted(() => ({ clusterId: "east", generation: 1 }));

vi.mock("./authority", () => ({
  homeOf: async () => ({ replId: "signedmove", name: "app", owner: "demo", ...home }),
  isHome: async () => true,
  migrationOf: async () => ({ status: "open" }),
}));

const SERVER = `
import { createServer } from "node:http";
createServer((_, response) => response.end(process.env.STELE_CLUSTER))
  .listen(process.env.PORT, process.env.HOST);
`;

const control = { id: "control", key: newKey() };
const migrationId = randomUUID();
let url: string;
let closeServer: () => void;
let root: string;
let removeApps: () => void;

beforeAll(async () => {
  const apps = makeAppsDir();
  ({ root } = apps);
  removeApps = apps.remove;
  process.env.STELE_DEPLOYMENT_KEY_FILE = `${root}/deployment-key`;
  beginToAccept();
  serve("east", "west");
  const server = await serveHttp(receiveCommand);
  ({ url, close: closeServer } = server);
  await learnControlKey(control.key.publicKey);
});
afterAll(async () => {
  closeServer();
  for (const ref of await containerDriver().list()) await containerDriver().stop(ref, 0);
  containerDriver().close();
  await db.exec`DELETE FROM container`;
  await db.exec`DELETE FROM control_key`;
  removeApps();
});

/** One signed command, over HTTP. */
async function command<Result extends object>(
  clusterId: string,
  name: string,
  fields: object = {},
): Promise<Result> {
  const receiver: Receiver = { clusterId, apiUrl: url, publicKey: deploymentKey().publicKey };
  const order = { clusterId, replId, migrationId, generation: 2, deadline: "", traceparent: "" };
  const signal = AbortSignal.timeout(20_000);
  return await sendCommand(control, receiver, { name, fields: { ...order, ...fields }, signal });
}

const done = { outcome: "done" };

async function ask(clusterId: string): Promise<string | null> {
  const route = await clusterStore(clusterId).route(replId);
  if (!route?.upstreamHost) return null;
  return await (await fetch(`http://${route.upstreamHost}:${route.upstreamPort}`)).text();
}

it("deploys, moves, reads and stops an app by signed commands alone", async () => {
  await applyToCluster(clusterStore("east"), [
    {
      seq: 1,
      kind: "created",
      replId,
      name: "app",
      owner: "demo",
      clusterId: "east",
      fromClusterId: null,
      generation: 1,
      migrationId: null,
      cluster: null,
      hostname: null,
      present: null,
      at: new Date(0).toISOString(),
      traceparent: "",
    },
  ]);
  const directory = makeApp(root, { "index.mjs": SERVER });
  const deployed = await command("east", "deploy", { generation: 1, directory });
  expect(deployed).toMatchObject({ release: 1, clusterId: "east" });
  expect(await ask("east")).toBe("east");

  expect(await command("east", "inspect")).toMatchObject({ running: true, filesChanged: false });
  const page = await command<{ items: object[] }>("east", "survey", { after: "", limit: 500 });
  expect(page.items).toContainEqual({
    replId,
    running: true,
    filesChanged: false,
    fileBytes: SERVER.length,
  });
  const past = await command<{ items: object[] }>("east", "survey", { after: "~", limit: 500 });
  expect(past.items).toEqual([]);
  const staged = { name: "app", owner: "demo", peer: "east" };
  expect(await command("west", "stage", staged)).toMatchObject(done);
  const files = { fromCluster: "east", final: false };
  expect(await command("west", "copyFiles", files)).toMatchObject(done);
  const lease = { leaseMs: 60_000 };
  expect(await command("west", "boot", lease)).toMatchObject(done);
  expect(await command("west", "verify", lease)).toMatchObject({
    ...done,
    leaseLeftMs: expect.any(Number),
    release: 1,
  });
  expect(await command("east", "seal", { release: 1 })).toMatchObject(done);
  expect(await ask("west")).toBeNull();

  Object.assign(home, { clusterId: "west", generation: 2 });
  expect(await command("west", "activate")).toMatchObject(done);
  expect(await command("east", "tombstone", { to: "west" })).toMatchObject(done);
  expect(await ask("west")).toBe("west");
  const old = { oldGeneration: 1, waitMs: 5_000 };
  expect(await command("east", "drainOld", old)).toEqual({ done: true });
  expect(await command("east", "cleanup")).toMatchObject(done);
  expect(await command("east", "freeze", { cut: false })).toMatchObject({ outcome: "refused" });

  const { items } = await command<{ items: { replId: string; state: string }[] }>(
    "west",
    "listContainers",
  );
  expect(items.filter((item) => item.replId === replId)).toMatchObject([{ state: "running" }]);
  await command("west", "restart");
  await command("west", "stop");
  expect(await ask("west")).toBeNull();
  const log = await command<{ items: { line: string }[] }>("west", "logs", { lines: 50, after: 0 });
  expect(log.items.map(({ line }) => line).join("\n")).toContain("its owner stopped it");
});
