import { createHash } from "node:crypto";
import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";

import { afterEach, describe, expect, it } from "vitest";

import { percentile, Tally } from "./tally";
import { type VisitReport, Visitors, type VisitorsOptions } from "./visitors";

/** What a planted fault does to a request; true when it took it over. */
type Fault = (request: IncomingMessage, response: ServerResponse, count: number) => boolean;

const HANDSHAKE_GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
const ENOUGH = 60;

let server: Server | undefined;

afterEach(() => {
  server?.closeAllConnections();
  server?.close();
});

/** Hello and notes in one, without a platform between. */
async function app(fault: Fault, onUpgrade = echoSocket): Promise<number> {
  const notes: Array<{ id: string; text: string }> = [];
  let count = 0;
  server = createServer((request, response) => {
    count += 1;
    response.setHeader("served-by", "east");
    if (fault(request, response, count)) return;
    void answer(request, response, notes);
  });
  server.on("upgrade", onUpgrade);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return (server.address() as AddressInfo).port;
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  notes: Array<{ id: string; text: string }>,
): Promise<void> {
  const { pathname } = new URL(request.url ?? "/", "http://app");
  let body = "";
  for await (const chunk of request) body += String(chunk);
  if (pathname === "/echo") response.end(body);
  else if (pathname === "/slow") response.end("east 1/1\nend\n");
  else if (pathname === "/events") response.write("data: 1\n\n");
  else if (request.method === "POST") {
    const { text } = JSON.parse(body) as { text: string };
    const note = { id: String(notes.length), text };
    notes.push(note);
    response.writeHead(201).end(JSON.stringify(note));
  } else if (pathname === "/notes") response.end(JSON.stringify({ items: notes }));
  else if (pathname.startsWith("/notes/")) {
    response.end(JSON.stringify(notes[Number(pathname.slice("/notes/".length))]));
  } else response.end("hello");
}

function accept(request: IncomingMessage, socket: Socket): void {
  const key = String(request.headers["sec-websocket-key"]);
  const hash = createHash("sha1")
    .update(key + HANDSHAKE_GUID)
    .digest("base64");
  socket.on("error", () => undefined);
  socket.write(
    `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${hash}\r\n\r\n`,
  );
}

function echoSocket(request: IncomingMessage, socket: Socket): void {
  accept(request, socket);
  socket.on("data", (frame: Buffer) => {
    const mask = frame.subarray(2, 6);
    const payload = frame.subarray(6).map((byte, at) => byte ^ (mask[at & 3] ?? 0));
    const opcode = frame.readUInt8(0) & 0x0f;
    socket.write(Buffer.concat([Buffer.from([0x80 | opcode, payload.length]), payload]));
    if (opcode === 8) socket.end();
  });
}

/** Visitors at work until `isDone`, at a server with that fault. */
async function visit(
  port: number,
  isDone: (report: VisitReport) => boolean,
  options: Partial<VisitorsOptions> = {},
): Promise<VisitReport> {
  const visitors = new Visitors({
    host: "hello.demo.repl.test",
    port,
    resolve: () => Promise.resolve("127.0.0.1"),
    app: "hello",
    requestsPerSecond: 400,
    streams: 0,
    ...options,
  });
  await visitors.start();
  await expect.poll(() => isDone(visitors.report()), { timeout: 10_000 }).toBe(true);
  return visitors.stop();
}

const enough = ({ requests }: VisitReport): boolean => requests >= ENOUGH;
const healthy: Fault = () => false;

describe("visitors of a healthy app", () => {
  it("come in every kind and see no failure", async () => {
    const report = await visit(await app(healthy), enough);
    expect([report.failed, report.failures]).toEqual([0, []]);
    expect(Object.keys(report.byKind).sort()).toEqual([
      "fresh",
      "kept",
      "pinned",
      "post",
      "slow",
      "upload",
    ]);
    expect(report.byCluster).toEqual({ east: report.requests });
    expect(report.p50Ms).toBeGreaterThan(0);
    expect(report.longestMs).toBeGreaterThanOrEqual(report.p99Ms);
  });

  it("find every note that was acknowledged", async () => {
    const report = await visit(await app(healthy), enough, { app: "notes" });
    expect(report.failed).toBe(0);
    expect(report.notes).toEqual({
      acknowledged: (report.byKind.write ?? 0) + (report.byKind.write_pinned ?? 0),
      missing: 0,
      doubled: 0,
    });
    expect(report.notes.acknowledged).toBeGreaterThan(0);
  });

  it("hear events and echoes", async () => {
    const isDone = ({ echoes, events }: VisitReport): boolean => echoes >= 3 && events >= 1;
    const report = await visit(await app(healthy), isDone, { streams: 1 });
    expect(report.failed).toBe(0);
  });

  it("count what another cluster than the dialled one served", async () => {
    const options = { clusterAt: () => "west" };
    const report = await visit(await app(healthy), enough, options);
    expect(report.forwarded).toBe(report.requests);
  });
});

describe("visitors notice", () => {
  const faults: ReadonlyArray<readonly [name: string, fault: Fault, what: RegExp]> = [
    [
      "a 503",
      (_request, response) => {
        response.writeHead(503).end("held for too long");
        return true;
      },
      /^status 503$/,
    ],
    [
      "a 404",
      (_request, response) => {
        response.writeHead(404).end();
        return true;
      },
      /^status 404$/,
    ],
    [
      "a reset before the head",
      (request) => {
        request.socket.resetAndDestroy();
        return true;
      },
      /^no answer: /,
    ],
    [
      "a body cut off before its length",
      (_request, response) => {
        response.writeHead(200, { "content-length": 100 });
        response.write("part", () => response.destroy());
        return true;
      },
      /^the body was cut off$/,
    ],
    [
      "a chunked body without its end",
      (_request, response) => {
        response.writeHead(200);
        response.write("part", () => response.destroy());
        return true;
      },
      /^the body was cut off$/,
    ],
  ];

  it.each(faults)("%s", async (_name, fault, what) => {
    // The tenth request alone, so that it is seen among many that are well.
    const port = await app(
      (request, response, count) => count === 10 && fault(request, response, 0),
    );
    const report = await visit(port, enough);
    expect(report.failed).toBe(1);
    expect(report.failures[0]?.what).toMatch(what);
  });

  it("an echo that is another", async () => {
    const port = await app((request, response) => {
      if (!request.url?.startsWith("/echo")) return false;
      request.resume().on("end", () => response.end("something else"));
      return true;
    });
    const report = await visit(port, ({ failed }) => failed > 0);
    expect(report.failures[0]?.what).toBe("the body came back changed");
  });

  it("a slow body that lost its end although the framing is right", async () => {
    const port = await app((request, response) => {
      if (!request.url?.startsWith("/slow")) return false;
      response.end("east 1/2\n");
      return true;
    });
    const report = await visit(port, ({ failed }) => failed > 0);
    expect(report.failures[0]).toMatchObject({ kind: "slow", what: "the slow body has no end" });
  });

  it.each([
    ["lost", "missing"],
    ["doubled", "doubled"],
  ])("a note that was %s", async (fault, counter) => {
    const port = await app((request, response) => {
      if (request.url !== "/notes" || request.method !== "GET") return false;
      response.end(JSON.stringify({ items: fault === "lost" ? [] : twice }));
      return true;
    });
    const twice: Array<{ text: string }> = [];
    server?.prependListener("request", (request: IncomingMessage) => {
      if (request.method !== "POST") return;
      request.on("data", (chunk) => {
        const note = JSON.parse(String(chunk)) as { text: string };
        twice.push(note, note);
      });
    });
    const report = await visit(port, enough, { app: "notes" });
    expect(report.notes).toMatchObject({ [counter]: report.notes.acknowledged });
    expect(report.notes.acknowledged).toBeGreaterThan(0);
  });

  it("an event that was cut off", async () => {
    const port = await app((request, response) => {
      if (request.url !== "/events") return false;
      response.write("data: 1\n\nda", () => response.end());
      return true;
    });
    const report = await visit(port, ({ failed }) => failed > 0, { streams: 1 });
    expect(report.failures[0]).toMatchObject({ kind: "events", what: "an event was cut off" });
  });

  it("a WebSocket that ends without a close frame", async () => {
    const port = await app(healthy, (request, socket) => {
      accept(request, socket);
      socket.once("data", () => socket.destroy());
    });
    const report = await visit(port, ({ failed }) => failed > 0, { streams: 1 });
    expect(report.failures[0]).toMatchObject({
      kind: "websocket",
      what: "the WebSocket was closed with 1006",
    });
  });
});

describe("visitors do not mind", () => {
  it.each([1001, 1012])("a WebSocket closed with %i: they come again", async (code) => {
    const port = await app(healthy, (request, socket) => {
      accept(request, socket);
      socket.once("data", () => {
        socket.end(Buffer.from([0x88, 2, code >> 8, code & 0xff]));
      });
    });
    const report = await visit(port, ({ reconnects }) => reconnects >= 2, { streams: 1 });
    expect(report.failed).toBe(0);
  });

  it("an event stream that ends between two events", async () => {
    let streams = 0;
    const port = await app((request, response) => {
      if (request.url !== "/events") return false;
      streams += 1;
      response.end("data: 1\n\n");
      return true;
    });
    const report = await visit(port, () => streams >= 3, { streams: 1 });
    expect(report.failed).toBe(0);
  });
});

describe("a tally", () => {
  it("keeps the first failures only, and counts all", () => {
    const tally = new Tally();
    for (let n = 0; n < 50; n++) tally.fail({ kind: "fresh", what: String(n), at: "" });
    const { failed, failures } = tally.report();
    expect([failed, failures.length, failures[0]?.what]).toEqual([50, 20, "0"]);
  });

  it("knows percentiles by the nearest rank", () => {
    const hundred = Array.from({ length: 100 }, (_, n) => n + 1);
    expect([percentile(hundred, 0.5), percentile(hundred, 0.99)]).toEqual([50, 99]);
    expect([percentile([7], 0.5), percentile([], 0.99)]).toEqual([7, 0]);
  });
});
