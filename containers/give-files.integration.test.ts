import { existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { text } from "node:stream/consumers";

import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";

import { openStream, type Sender } from "../shared/channel/send";
import { deploymentKey } from "../shared/channel/settings";
import { beginToAccept, counts } from "./authenticate";
import { boot } from "./boot";
import { db } from "./db";
import { filesOf } from "./file-tree";
import { giveFiles } from "./give-files";
import { generationDir } from "./host";
import * as moves from "./moves";
import { deploy } from "./releases";
import { containerDriver } from "./runner";
import { clusterStore } from "./store";
import { setKnownCluster } from "./store-registry";
import { applyToCluster } from "./tail";
import { makeApp, makeAppsDir, serve } from "./test-cluster";
import { newKey, serveHttp } from "../shared/channel/test-deployment";
import { forgetKeys } from "./trust";

const authority = vi.hoisted(() => ({
  homes: new Map<string, { clusterId: string; generation: number }>(),
  migrations: new Map<string, object>(),
}));

vi.mock("./authority", () => ({
  TAIL_LIMIT: 500,
  readLog: async () => [],
  homeOf: async (replId: string) => {
    const home = authority.homes.get(replId);
    return home ? { replId, name: "app", owner: "demo", ...home } : null;
  },
  isHome: async (ref: { clusterId: string; replId: string; generation: number }) => {
    const home = authority.homes.get(ref.replId);
    return home?.clusterId === ref.clusterId && home.generation === ref.generation;
  },
  migrationOf: async (migrationId: string) =>
    authority.migrations.get(migrationId) ?? { status: "unknown", replId: "", generation: 0 },
}));

const NOTES = `
import { appendFileSync, readFileSync } from "node:fs";
import { createServer } from "node:http";
createServer((request, response) => {
  if (request.method === "POST") appendFileSync("notes.txt", "x");
  let notes = "";
  try { notes = readFileSync("notes.txt", "utf8"); } catch {}
  response.end(notes + "@" + process.env.STELE_CLUSTER);
}).listen(process.env.PORT, process.env.HOST);
`;

const north: Sender = { id: "cluster/north", key: newKey() };
let url: string;
let close: () => void;
let root: string;
let removeApps: () => void;
let replId: string;
let migrationId: string;
let count = 0;

/** Two deployments in one process: whoever asks serves west alone, whoever is asked serves east too. */
async function fromAfar<T>(work: () => Promise<T>): Promise<T> {
  serve("west");
  try {
    return await work();
  } finally {
    serve("east", "west");
  }
}

beforeAll(async () => {
  const apps = makeAppsDir();
  ({ root } = apps);
  removeApps = apps.remove;
  process.env.STELE_DEPLOYMENT_KEY_FILE = `${root}/deployment-key`;
  beginToAccept();
  serve("east", "west");
  const server = await serveHttp((request, response) => {
    serve("east", "west");
    return giveFiles(request, response);
  });
  ({ url, close } = server);
  const pinned = { apiUrl: url, removed: false };
  const { publicKey } = deploymentKey();
  await setKnownCluster({ id: "east", ...pinned, publicKey });
  await setKnownCluster({ id: "west", ...pinned, publicKey });
  await setKnownCluster({ id: "north", ...pinned, publicKey: north.key.publicKey });
  forgetKeys();
});

beforeEach(async () => {
  replId = `given${++count}`;
  migrationId = `3c8f2b54-0000-4000-8000-${String(count).padStart(12, "0")}`;
  authority.homes.set(replId, { clusterId: "east", generation: 1 });
  authority.migrations.set(migrationId, {
    status: "open",
    replId,
    generation: 2,
    fromCluster: "east",
    toCluster: "west",
  });
  const created = {
    seq: 1,
    kind: "created" as const,
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
  };
  for (const id of ["east", "west"]) await applyToCluster(clusterStore(id), [created]);
  await deploy(
    { clusterId: "east", replId, generation: 1 },
    makeApp(root, { "index.mjs": NOTES }),
    undefined,
  );
});

afterEach(async () => {
  for (const ref of await containerDriver().list()) await containerDriver().stop(ref, 0);
  await db.exec`DELETE FROM container`;
});

afterAll(async () => {
  close();
  containerDriver().close();
  await db.exec`DELETE FROM known_cluster`;
  removeApps();
});

const order = (clusterId: string) => ({
  clusterId,
  replId,
  migrationId,
  generation: 2,
  leaseMs: 60_000,
});
const copied = (final: boolean) =>
  fromAfar(() => moves.copyFiles({ ...order("west"), fromCluster: "east", final }));
const stage = () => moves.stage({ ...order("west"), name: "app", owner: "demo", peer: "east" });
const inEast = (path: string): string =>
  join(filesOf(generationDir({ clusterId: "east", replId, generation: 1 })), path);
const inWest = (path: string): string =>
  join(filesOf(generationDir({ clusterId: "west", replId, generation: 2 })), path);

async function ask(clusterId: string, method = "GET"): Promise<string> {
  const { upstreamHost, upstreamPort } = (await clusterStore(clusterId).route(replId)) ?? {};
  return await (await fetch(`http://${upstreamHost}:${upstreamPort}`, { method })).text();
}

describe("a handoff between deployments", () => {
  it("moves files, the release and every write", async () => {
    await ask("east", "POST");
    await stage();
    expect(await copied(false)).toMatchObject({ outcome: "done", files: 2 });
    await ask("east", "POST");
    expect(await moves.freeze({ ...order("east"), cut: false })).toMatchObject({
      outcome: "frozen",
    });
    const delta = await copied(true);
    expect(delta.outcome).toBe("done");
    expect(delta.changedFiles).toBeGreaterThan(0);
    expect(await copied(true)).toMatchObject({ outcome: "done" });
    expect(await boot(order("west"))).toMatchObject({ outcome: "done" });
    // Repeated late: the app has the folder now.
    expect(await copied(true)).toMatchObject({ outcome: "done", files: 0 });
    await moves.activate(order("west"));
    expect(await ask("west")).toBe("xx@west");
    const east = await clusterStore("east").release(replId, 1);
    expect(await clusterStore("west").release(replId, 2)).toEqual(east);
  });

  it("ends a copy that is under way when a later one comes, or the move is called off", async () => {
    writeFileSync(inEast("big"), Buffer.alloc(48 * 1024 * 1024, 7));
    await stage();
    const first = copied(false).catch((error: Error) => error.message);
    const second = copied(false);
    expect(await first).toContain("abort");
    expect(await second).toMatchObject({ outcome: "done", files: 2 });
    writeFileSync(inEast("big"), Buffer.alloc(48 * 1024 * 1024, 8));
    const third = copied(false).catch((error: Error) => error.message);
    expect(await moves.unstage(order("west"))).toMatchObject({ outcome: "done" });
    expect(await third).toContain("abort");
    expect(existsSync(inWest(""))).toBe(false);
  });
});

/** Asks as a cluster might that is no friend. */
async function asked(sender: Sender, change: object): Promise<string> {
  const pinned = { clusterId: "east", apiUrl: url, publicKey: deploymentKey().publicKey };
  const fields = { replId, migrationId, generation: 2, final: false, pieces: null, ...change };
  const { body } = await openStream(sender, pinned, {
    method: "POST",
    path: "/v1/cluster-files/east",
    body: Buffer.from(JSON.stringify(fields)),
    signal: AbortSignal.timeout(10_000),
  });
  return await text(body);
}

const west = (): Sender => ({ id: "cluster/west", key: deploymentKey() });
const piece = (path: string) => ({ pieces: [{ path, offset: 0, blocks: 1, have: [] }] });

describe("a source", () => {
  it("gives nothing but to the cluster that the repl moves to, and counts who else asks", async () => {
    const before = counts().refused.not_permitted ?? 0;
    const denied = { code: "permission_denied" };
    await expect(asked(north, {})).rejects.toMatchObject(denied);
    await expect(asked(west(), { replId: "given0" })).rejects.toMatchObject(denied);
    await expect(asked(west(), { generation: 3 })).rejects.toMatchObject(denied);
    await expect(asked(west(), { migrationId: "other" })).rejects.toMatchObject(denied);
    authority.migrations.set(migrationId, {
      ...authority.migrations.get(migrationId),
      status: "aborted",
    });
    await expect(asked(west(), {})).rejects.toMatchObject({
      ...denied,
      message: `Cannot give files of repl "${replId}": migration "${migrationId}" is aborted`,
    });
    expect(counts().refused.not_permitted).toBe(before + 5);
    const stranger = { id: "cluster/west", key: newKey() };
    await expect(asked(stranger, {})).rejects.toMatchObject({ code: "unavailable" });
    expect(counts().refused.bad_signature).toBeGreaterThan(0);
    await expect(asked({ id: "control", key: newKey() }, {})).rejects.toThrow("no key");
  });

  it("gives the last round only when it is frozen for that move", async () => {
    const refused = (why: string) => ({
      code: "failed_precondition",
      message: `Cannot give files of repl "${replId}": ${why}`,
    });
    await expect(asked(west(), { final: true })).rejects.toMatchObject(
      refused("generation 2 has not frozen it"),
    );
    await moves.freeze({ ...order("east"), cut: false });
    expect(await asked(west(), { final: true })).toContain("index.mjs");
    await moves.thaw({ ...order("east"), restart: false });
    await expect(asked(west(), {})).rejects.toMatchObject(refused("generation 2 is closed here"));
  });

  it("gives nothing beside the app's folder", async () => {
    writeFileSync(join(root, "secret"), "secret");
    mkdirSync(inEast("folder"));
    symlinkSync(root, inEast("folder/up"));
    symlinkSync(join(root, "secret"), inEast("link"));
    for (const path of ["../manifest.json", "/etc/passwd", "a/../../x", "a\0", "folder//up"]) {
      await expect(asked(west(), piece(path))).rejects.toMatchObject({ code: "invalid_argument" });
    }
    for (const path of ["folder/up/secret", "link", "folder", "nothing"]) {
      const given = await asked(west(), piece(path));
      expect(given).not.toContain("secret");
      expect(given.length).toBeLessThan(100);
    }
    expect(await asked(west(), piece("index.mjs"))).toContain("createServer");
    expect(readFileSync(inEast("link"), "utf8")).toBe("secret");
  });

  it.each([{ replId: 7 }, { replId: null }, { generation: 0 }, { final: 1 }, { pieces: [] }])(
    "refuses a request with %j",
    async (change) => {
      await expect(asked(west(), change)).rejects.toMatchObject({ code: "invalid_argument" });
    },
  );
});
