import { createHash } from "node:crypto";
import { Agent, type ClientRequest, type IncomingMessage, request } from "node:http";

import { afterAll, beforeAll, expect, it } from "vitest";

import { connect } from "../cli/demo/websocket";
import { Platform, type Repl, until } from "./platform";
import { get } from "./visitor";

/** Goes on for longer than the move takes, and less than its drain. */
const SLOW_MS = 3_000;
const PART = Buffer.alloc(1_000_000, "upload");

let platform: Platform;

beforeAll(async () => {
  platform = await Platform.start({ env: { STELE_MOVE_DRAIN_MS: "5s" } });
});
afterAll(() => platform.stop());

interface Streaming {
  readonly head: Promise<IncomingMessage>;
  /** Everything that came, when it has ended; rejects when it was cut off. */
  readonly body: Promise<Buffer>;
  readonly outgoing: ClientRequest;
}

function open(repl: Repl, method: string, path: string, length?: number): Streaming {
  const outgoing = request({
    host: platform.ingressOf("east"),
    port: platform.httpPort,
    method,
    path,
    agent: false,
    headers: { host: repl.host, ...(length !== undefined && { "content-length": length }) },
  });
  const head = new Promise<IncomingMessage>((resolve, reject) => {
    outgoing.on("response", resolve);
    outgoing.on("error", reject);
  });
  const body = head.then(readAll);
  // Looked at when the move is over.
  body.catch(() => undefined);
  return { head, body, outgoing };
}

function readAll(response: IncomingMessage): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    response.on("data", (chunk: Buffer) => chunks.push(chunk));
    response.on("error", reject);
    response.on("end", () => {
      if (response.complete) resolve(Buffer.concat(chunks));
      else reject(new Error("the body was cut off"));
    });
  });
}

const digest = (bytes: Buffer): string => createHash("sha256").update(bytes).digest("hex");

const socketOf = (repl: Repl): Parameters<typeof connect>[0] => ({
  address: platform.ingressOf("east"),
  port: platform.httpPort,
  host: repl.host,
  path: "/ws",
});

it("what is in flight at the switch of an overlap ends where it began, whole", async () => {
  const repl = await platform.deploy("examples/hello", "hello", "east");
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const visit = (path: string) =>
    get(platform.ingressOf("east"), platform.httpPort, repl.host, path, { agent });
  expect((await visit("/")).headers["served-by"]).toBe("east");

  const socket = await connect(socketOf(repl));
  const events = open(repl, "GET", "/events");
  events.outgoing.end();
  const download = open(repl, "GET", `/slow?ms=${SLOW_MS}`);
  download.outgoing.end();
  const upload = open(repl, "POST", "/echo", 3 * PART.length);
  upload.outgoing.write(PART);
  for (const { head } of [events, download, upload]) {
    expect((await head).headers["served-by"]).toBe("east");
  }

  const moving = platform.move(repl.id, "west", "overlap");
  await until("the move is committed", async () => {
    const answer = await get(platform.ingressOf("east"), platform.httpPort, repl.host, "/");
    return answer.headers["served-by"] === "west";
  });
  // The kept connection is told to ask DNS again.
  const nudged = await visit("/");
  expect(nudged.headers).toMatchObject({ "served-by": "west", connection: "close" });
  expect(await socket.echo("still there")).toBe("still there");
  upload.outgoing.write(PART);
  upload.outgoing.end(PART);

  const whole = digest(Buffer.concat([PART, PART, PART]));
  expect(digest(await upload.body)).toBe(whole);
  expect((await download.body).toString()).toMatch(/\neast 60\/60\nend\n$/);
  // At the drain's deadline these are asked to come again, each at a boundary.
  expect(await socket.closed).toBe(1012);
  expect((await events.body).toString()).toMatch(/^(id: \d+\ndata: .*"east".*\n\n)+$/);
  expect(await moving).toMatchObject({ outcome: "completed", reason: null });
  agent.destroy();
});

it("what never ends by itself is ended at the freeze of a handoff, at a boundary", async () => {
  const repl = await platform.deploy("examples/hello", "frozen", "east");
  const socket = await connect(socketOf(repl));
  const events = open(repl, "GET", "/events");
  events.outgoing.end();
  await events.head;
  const moving = platform.move(repl.id, "west", "handoff");
  expect(await socket.closed).toBe(1012);
  expect((await events.body).toString()).toMatch(/^(id: \d+\ndata: .*"east".*\n\n)+$/);
  expect(await moving).toMatchObject({ outcome: "completed", reason: null });
  // They come again, at the old address too, and go on where the app is now.
  const again = await connect(socketOf(repl));
  expect(await again.echo("back")).toBe("back");
  again.close();
  const answer = await get(platform.ingressOf("east"), platform.httpPort, repl.host, "/");
  expect(answer.headers["served-by"]).toBe("west");
});

it("an ordinary request that does not end keeps its app where it is: busy, and not cut", async () => {
  const repl = await platform.deploy("examples/hello", "slow", "east");
  const download = open(repl, "GET", "/slow?ms=30000");
  download.outgoing.end();
  await download.head;
  expect(await platform.move(repl.id, "west", "handoff")).toMatchObject({
    outcome: "rolled_back",
    reason: "busy",
  });
  const answer = await get(platform.ingressOf("east"), platform.httpPort, repl.host, "/");
  expect(answer.headers["served-by"]).toBe("east");
  expect((await download.body).toString()).toMatch(/\nend\n$/);
});
