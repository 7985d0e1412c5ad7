import { randomBytes } from "node:crypto";
import { request as httpRequest } from "node:http";

import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";

import { ask, type Receiver, type Sender, sendCommand } from "../shared/channel/send";
import { deploymentKey } from "../shared/channel/settings";
import { type Claims, hashBody, signRequest } from "../shared/channel/signature";
import { beginToAccept, counts } from "./authenticate";
import { db } from "./db";
import { receiveCommand } from "./receive";
import { setKnownCluster } from "./store-registry";
import { makeAppsDir, serve } from "./test-cluster";
import { newKey, serveHttp } from "../shared/channel/test-deployment";
import { forgetKeys, learnControlKey, peerOf } from "./trust";

vi.mock("./authority", () => ({ homeOf: async () => null, isHome: async () => false }));

const control: Sender = { id: "control", key: newKey() };
const west: Sender = { id: "cluster/west", key: newKey() };
let east: Receiver;
let close: () => void;
let removeApps: () => void;

beforeAll(async () => {
  const apps = makeAppsDir();
  removeApps = apps.remove;
  process.env.STELE_DEPLOYMENT_KEY_FILE = `${apps.root}/deployment-key`;
  beginToAccept();
  serve("east");
  const server = await serveHttp(receiveCommand);
  ({ close } = server);
  const { publicKey } = deploymentKey();
  east = { clusterId: "east", apiUrl: server.url, publicKey };
  const pinned = { apiUrl: "http://127.0.0.1:9", removed: false };
  await setKnownCluster({ id: "west", ...pinned, publicKey: west.key.publicKey });
  await learnControlKey(control.key.publicKey);
});
afterAll(async () => {
  close();
  await db.exec`DELETE FROM known_cluster`;
  await db.exec`DELETE FROM control_key`;
  removeApps();
});

const signal = AbortSignal.timeout(60_000);
const inspect = (sender: Sender, receiver = east, fields: object = {}) =>
  sendCommand<{ state: string }>(sender, receiver, {
    name: "inspect",
    fields: { clusterId: "east", replId: "nobody", ...fields },
    signal,
  });

interface Draft extends Partial<Claims> {
  readonly sender?: Sender;
  readonly body?: string;
  readonly sent?: string;
  readonly unsigned?: boolean;
}

const BODY = JSON.stringify({ clusterId: "east", replId: "nobody" });
const nonceOf = (): string => randomBytes(16).toString("base64url");

/** A request as an attacker or a faulty sender might make it. */
async function post({ sender = control, body = BODY, sent = body, unsigned, ...change }: Draft) {
  const claims: Claims = {
    from: sender.id,
    to: "east",
    method: "POST",
    path: "/v1/cluster-commands/east/inspect",
    bodyHash: hashBody(Buffer.from(body)),
    at: Date.now(),
    nonce: nonceOf(),
    ...change,
  };
  const headers = unsigned ? {} : signRequest(claims, sender.key.privateKey);
  return await new Promise<{ status: number; reason: string; message: string }>((resolve, fail) => {
    const url = new URL(claims.path, east.apiUrl);
    const request = httpRequest(url, { method: claims.method, headers }, (response) => {
      let text = "";
      response.on("data", (chunk) => (text += chunk));
      response.on("end", () => {
        const { message = "", details } = JSON.parse(text) as {
          message?: string;
          details?: { reason?: string };
        };
        resolve({ status: response.statusCode ?? 0, reason: details?.reason ?? "", message });
      });
    });
    request.on("error", fail);
    request.end(sent);
  });
}

describe("a command from the control plane", () => {
  it("is carried out, and its answer is signed", async () => {
    await expect(inspect(control)).resolves.toMatchObject({ state: "none", running: false });
  });

  it("ends with the error that a typed call would have", async () => {
    await expect(inspect(control, east, { replId: 7 })).rejects.toMatchObject({
      code: "invalid_argument",
      message: expect.stringContaining("replId"),
    });
    await expect(inspect(control, east, { clusterId: "west" })).rejects.toMatchObject({
      code: "invalid_argument",
      message: 'Cannot command cluster "west": "east" was asked',
    });
    const unknown = { name: "toString", fields: { clusterId: "east" }, signal };
    await expect(sendCommand(control, east, unknown)).rejects.toMatchObject({
      code: "unimplemented",
    });
    for (const body of ["", "[", "null", "[]", "7"]) {
      const { status } = await post({ body });
      expect(status).toBe(422);
    }
  });

  it("finds its key in the database after a restart, without the control plane", async () => {
    forgetKeys();
    await expect(inspect(control)).resolves.toMatchObject({ state: "none" });
  });
});

describe("a request that is refused", () => {
  let before: ReturnType<typeof counts>;
  beforeEach(() => {
    before = counts();
  });

  const expectCounted = (reason: string): void => {
    const { refused, accepted } = counts();
    const counted = (of: typeof refused): number => (of as Record<string, number>)[reason] ?? 0;
    expect(counted(refused) - counted(before.refused)).toBe(1);
    expect(accepted).toBe(before.accepted);
  };

  it.each<[string, number, Draft]>([
    ["unsigned", 401, { unsigned: true }],
    ["malformed", 401, { nonce: "short" }],
    ["other_receiver", 401, { to: "west" }],
    ["other_receiver", 401, { to: "west", path: "/v1/cluster-commands/west/inspect" }],
    ["old", 401, { at: Date.now() - 60_000 }],
    ["early", 401, { at: Date.now() + 120_000 }],
    ["unknown_sender", 401, { sender: { id: "cluster/nowhere", key: control.key } }],
    ["bad_signature", 401, { sender: { id: "control", key: west.key } }],
    ["other_body", 401, { sent: BODY.replace("nobody", "nobodY") }],
    ["other_body", 401, { sent: "" }],
    ["body_too_large", 413, { body: " ".repeat(300_000) }],
    ["not_permitted", 403, { sender: west }],
  ])("is told and counted: %s", async (reason, status, draft) => {
    const answer = await post(draft);
    expect(answer).toMatchObject({ status, reason });
    expect(answer.message).toMatch(
      /^Cannot accept this request to cluster "(east|west)": (its?|no) /,
    );
    expectCounted(reason);
  });

  it("is a replay, even at once", async () => {
    const nonce = nonceOf();
    await expect(post({ nonce })).resolves.toMatchObject({ status: 200 });
    before = counts();
    await expect(post({ nonce })).resolves.toMatchObject({ status: 401, reason: "replayed" });
    expectCounted("replayed");
  });

  it("is unavailable to its sender: nobody has refused the command itself", async () => {
    const stranger = { id: "control", key: newKey() };
    await expect(inspect(stranger)).rejects.toMatchObject({
      code: "unavailable",
      message: expect.stringMatching(/does not sign with its key, or refuses ours: status 401: /),
    });
  });

  it("is one of a key that was replaced, until the new one is pinned", async () => {
    const rotated = { id: "cluster/west", key: newKey() };
    await expect(post({ sender: rotated })).resolves.toMatchObject({ reason: "bad_signature" });
    const pinned = { id: "west", apiUrl: "http://127.0.0.1:9", removed: false };
    await setKnownCluster({ ...pinned, publicKey: rotated.key.publicKey });
    forgetKeys();
    await expect(post({ sender: rotated })).resolves.toMatchObject({ reason: "not_permitted" });
    await expect(peerOf("west")).resolves.toMatchObject({ publicKey: rotated.key.publicKey });
    await setKnownCluster({ ...pinned, publicKey: rotated.key.publicKey, removed: true });
    forgetKeys();
    await expect(post({ sender: rotated })).resolves.toMatchObject({ reason: "unknown_sender" });
    await expect(peerOf("west")).resolves.toBeNull();
  });
});

describe("the control plane's key", () => {
  it("is replaced when the placement log's answer brings another", async () => {
    const next: Sender = { id: "control", key: newKey() };
    await learnControlKey(next.key.publicKey);
    await expect(inspect(next)).resolves.toMatchObject({ state: "none" });
    await expect(inspect(control)).rejects.toMatchObject({ code: "unavailable" });
    await learnControlKey(control.key.publicKey);
    await expect(inspect(control)).resolves.toMatchObject({ state: "none" });
  });
});

describe("an answer", () => {
  const asked = { method: "GET", path: "/v1/anything", signal } as const;

  it.each([
    ["of somebody else", { ...control, id: "east" }],
    ["without a signature", null],
  ])("%s is none: it is not known what became of the command", async (_, forger) => {
    const server = await serveHttp((_request, response) => {
      response.writeHead(200, forger ? { "stele-answer-signature": "A".repeat(86) } : {});
      response.end('{"state":"active"}');
    });
    await expect(inspect(control, { ...east, apiUrl: server.url })).rejects.toMatchObject({
      code: "unavailable",
    });
    server.close();
  });

  it("that is cut off or never comes is unavailable", async () => {
    const server = await serveHttp((request, response) => {
      if (request.url === "/v1/cut") response.writeHead(200, { "content-length": "9" }).write("{");
      setImmediate(() => response.destroy());
    });
    const receiver = { ...east, apiUrl: server.url };
    for (const path of ["/v1/cut", "/v1/none"]) {
      await expect(ask(control, receiver, { ...asked, path })).rejects.toMatchObject({
        code: "unavailable",
      });
    }
    server.close();
    await expect(ask(control, receiver, asked)).rejects.toMatchObject({
      message: expect.stringContaining("ECONNREFUSED"),
    });
  });

  it("of a cluster whose key nobody pinned is not asked for", async () => {
    await expect(inspect(control, { ...east, publicKey: "" })).rejects.toMatchObject({
      code: "failed_precondition",
    });
  });
});
