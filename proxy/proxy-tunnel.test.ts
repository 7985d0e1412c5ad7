import { afterEach, beforeEach, describe, expect, it } from "vitest";

import { Bench, get, ok, Origin, type Wire } from "./scripted";

const UPGRADE =
  "Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n" +
  "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
const SWITCH =
  "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
const CLOSE_1012 = "\x88\x02\x03\xf4";

let bench: Bench;
let origin: Origin;

beforeEach(async () => {
  bench = await Bench.open();
  origin = await Origin.open();
  bench.serve(origin);
});

afterEach(() => {
  bench.close();
  origin.close();
});

async function open(): Promise<{ client: Wire; app: Wire }> {
  const client = await bench.client();
  client.send(get("/ws", UPGRADE));
  const app = await origin.accept();
  await app.head();
  app.send(SWITCH);
  await client.head();
  return { client, app };
}

describe("upgrades", () => {
  it("opens a tunnel when the app agrees, with what came on its heels", async () => {
    const client = await bench.client();
    client.send(`${get("/ws", UPGRADE)}early`);
    const app = await origin.accept();
    const head = await app.head();
    expect(head).toContain("Connection: Upgrade\r\nUpgrade: websocket\r\n");
    expect(head).toContain("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n");
    app.send(`${SWITCH}\x81\x02hi`);
    expect(await client.until("\x81\x02hi")).toMatch(/^HTTP\/1\.1 101 .*Upgrade: websocket\r\n/s);
    await app.until("early");
    client.send("up");
    await app.until("up");
  });

  it("treats any other answer as an answer, and what follows as requests", async () => {
    const client = await bench.client();
    client.send(get("/ws", UPGRADE) + get("/next"));
    const app = await origin.accept();
    await app.head();
    app.send("HTTP/1.1 426 No\r\nContent-Length: 0\r\n\r\n");
    await client.head();
    expect(await app.head()).toMatch(/^GET \/next /);
  });

  it.each([
    ["h2c", "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AA\r\n"],
    ["no Connection", "Upgrade: websocket\r\n"],
    ["another protocol", "Connection: Upgrade\r\nUpgrade: foo/2\r\n"],
  ])("drops an upgrade to %s, and the request goes on", async (_what, fields) => {
    const client = await bench.client();
    client.send(get("/", fields));
    const app = await origin.accept();
    expect(await app.head()).not.toMatch(/upgrade|http2|h2c/i);
    app.send(ok("plain"));
    await client.until("plain");
  });

  it("takes a 101 that nobody asked for as garbage", async () => {
    const client = await bench.client();
    client.send(get("/"));
    const app = await origin.accept();
    await app.head();
    app.send(SWITCH);
    expect(await client.until("}\n")).toMatch(/^HTTP\/1\.1 502 /);
  });

  it("passes half-closes on", async () => {
    const { client, app } = await open();
    client.socket.end("bye");
    await app.until("bye");
    await app.end();
    app.send("last words");
    app.socket.end();
    await client.until("last words");
    await client.end();
  });

  it("moves much in both directions with a slow reader", async () => {
    const { client, app } = await open();
    const size = 8_000_000;
    client.socket.pause();
    app.socket.write(Buffer.alloc(size, "d"));
    client.socket.write(Buffer.alloc(size, "u"));
    await app.bytes(size);
    client.socket.resume();
    await client.bytes(size);
  });

  it("ends the app's side when the visitor is gone, and the other way round", async () => {
    const first = await open();
    first.client.socket.resetAndDestroy();
    await first.app.end();
    const second = await open();
    second.app.socket.resetAndDestroy();
    await second.client.end();
  });

  it("is closed with 1012 between two frames at a freeze", async () => {
    const { client, app } = await open();
    const { app: other, client: idle } = await open();
    app.send("\x82\x7e\x01\x00half");
    await client.until("half");
    bench.route({ state: "frozen", version: 10 });
    expect(bench.acks.at(-1)?.busy).toEqual(["abcdefghijkl"]);
    expect(await idle.until(CLOSE_1012)).toBe(CLOSE_1012);
    await other.end();
    app.send(`${"x".repeat(252)}\x81\x01y`);
    expect(await client.until(CLOSE_1012)).toBe(`${"x".repeat(252)}${CLOSE_1012}`);
    await bench.when("an empty busy", () => bench.acks.at(-1)?.busy.length === 0);
    await client.end();
    await idle.end();
  });

  it("stays on the source through a move, until the route says cut", async () => {
    const { client, app } = await open();
    bench.route({ state: "tombstone", peer: "west", generation: 2 });
    app.send("\x81\x01a");
    await client.until("\x81\x01a");
    bench.route({ state: "tombstone", peer: "west", generation: 2, cut: true });
    await client.until(CLOSE_1012);
    await app.end();
  });
});

describe("event streams", () => {
  const HEAD =
    "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
  const chunk = (text: string): string => `${text.length.toString(16)}\r\n${text}\r\n`;

  async function stream(): Promise<{ client: Wire; app: Wire }> {
    const client = await bench.client();
    client.send(get("/events"));
    const app = await origin.accept();
    await app.head();
    app.send(HEAD + chunk("data: 1\n\n"));
    await client.until(chunk("data: 1\n\n"));
    return { client, app };
  }

  it("ends cleanly after an event at a freeze, and the connection lives on", async () => {
    const { client, app } = await stream();
    bench.route({ state: "frozen" });
    await client.until("0\r\n\r\n");
    await app.end();
    expect(bench.acks.at(-1)?.busy).toEqual([]);
    client.send(get("/next"));
    bench.serve(origin);
    expect(await (await origin.accept()).head()).toMatch(/^GET \/next /);
  });

  it("waits for the end of an event that has begun", async () => {
    const { client, app } = await stream();
    app.send(chunk("data: tw"));
    await client.until("data: tw\r\n");
    bench.route({ state: "frozen" });
    expect(bench.acks.at(-1)?.busy).toEqual(["abcdefghijkl"]);
    app.send(chunk("o\n\ndata: three\n\n"));
    expect(await client.until("0\r\n\r\n")).toBe(`${chunk("o\n\n")}0\r\n\r\n`);
  });

  it("ends a stream whose head comes after the freeze", async () => {
    const client = await bench.client();
    client.send(get("/events"));
    const app = await origin.accept();
    await app.head();
    bench.route({ state: "frozen" });
    app.send(HEAD + chunk("data: 1\n\n"));
    expect(await client.until("0\r\n\r\n")).toMatch(/^HTTP\/1\.1 200 OK/);
    await bench.when("an empty busy", () => bench.acks.at(-1)?.busy.length === 0);
  });
});
