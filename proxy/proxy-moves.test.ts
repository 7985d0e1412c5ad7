/** What is in flight when a route changes: it ends where it began, whole, or at a boundary. */
import { afterEach, beforeEach, describe, expect, it } from "vitest";

import { Bench, get, HOST, ok, Origin, REPL, type Wire } from "./scripted";

const PART = "x".repeat(100_000);

let bench: Bench;
let origin: Origin;
let peer: Origin;

beforeEach(async () => {
  bench = await Bench.open();
  origin = await Origin.open();
  peer = await Origin.open();
  peer.serve((head) => ok(`peer ${head.split(" ")[1]}`));
  bench.peer("west", peer.port);
  bench.serve(origin);
});

afterEach(() => {
  bench.close();
  origin.close();
  peer.close();
});

const moveAway = (cut = false): void =>
  bench.route({ state: "tombstone", peer: "west", generation: 2, cut });

const busy = (): readonly string[] | undefined => bench.acks.at(-1)?.busy;

async function newcomerIsForwarded(): Promise<void> {
  const client = await bench.client();
  client.send(get("/new"));
  await client.until("peer /new");
}

async function begin(request: string): Promise<{ client: Wire; app: Wire }> {
  const client = await bench.client();
  client.send(request);
  const app = await origin.accept();
  await app.head();
  return { client, app };
}

describe("an upload in flight at the switch", () => {
  it.each([
    ["of a known length", `Content-Length: ${2 * PART.length}\r\n`, (text: string) => text, ""],
    [
      "in chunks",
      "Transfer-Encoding: chunked\r\n",
      (text: string) => `${text.length.toString(16)}\r\n${text}\r\n`,
      "0\r\n\r\n",
    ],
  ])("%s goes on to where it began, and is answered from there", async (_how, field, part, end) => {
    const { client, app } = await begin(`POST /up HTTP/1.1\r\nHost: ${HOST}\r\n${field}\r\n`);
    client.send(part(PART));
    await app.bytes(part(PART).length);
    moveAway();
    await newcomerIsForwarded();
    expect(busy()).toEqual([REPL]);
    client.send(part(PART) + end);
    expect(await app.bytes(part(PART).length + end.length)).toBe(part(PART) + end);
    app.send(ok("thanks"));
    expect(await client.until("thanks")).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
    await bench.when("nothing in flight", () => busy()?.length === 0);
    expect(peer.wires).toHaveLength(1);
  });

  it("is answered while it goes on", async () => {
    const { client, app } = await begin(
      `POST /up HTTP/1.1\r\nHost: ${HOST}\r\nContent-Length: ${2 * PART.length}\r\n\r\n`,
    );
    client.send(PART);
    app.send(`HTTP/1.1 200 OK\r\nContent-Length: ${2 * PART.length}\r\n\r\n`);
    app.send(await app.bytes(PART.length));
    moveAway();
    client.send(PART);
    app.send(await app.bytes(PART.length));
    await client.head();
    await client.bytes(2 * PART.length);
  });
});

describe("a download in flight at the switch", () => {
  const chunk = (text: string): string => `${text.length.toString(16)}\r\n${text}\r\n`;

  it.each([
    ["of a known length", `Content-Length: ${2 * PART.length}`, PART, ""],
    ["in chunks", "Transfer-Encoding: chunked", chunk(PART), "0\r\n\r\n"],
  ])(
    "%s is whole, and its connection's next request is forwarded",
    async (_how, field, part, end) => {
      const { client, app } = await begin(get("/down"));
      app.send(`HTTP/1.1 200 OK\r\n${field}\r\n\r\n${part}`);
      await client.head();
      await client.bytes(part.length);
      moveAway();
      expect(busy()).toEqual([REPL]);
      app.send(part + end);
      expect(await client.bytes(part.length + end.length)).toBe(part + end);
      await bench.when("nothing in flight", () => busy()?.length === 0);
      client.send(get("/next"));
      await client.until("peer /next");
    },
  );

  it("of no known length ends with the app's connection, whole", async () => {
    const { client, app } = await begin(get("/down"));
    app.send("HTTP/1.1 200 OK\r\n\r\nfirst");
    await client.until("first\r\n");
    moveAway();
    app.socket.end("last");
    expect(await client.until("0\r\n\r\n")).toBe(`${chunk("last")}0\r\n\r\n`);
  });

  it("goes on past the cut, which is for what would never end", async () => {
    const { client, app } = await begin(get("/down"));
    app.send(`HTTP/1.1 200 OK\r\nContent-Length: ${2 * PART.length}\r\n\r\n${PART}`);
    await client.head();
    await client.bytes(PART.length);
    moveAway();
    moveAway(true);
    app.send(PART);
    await client.bytes(PART.length);
    await bench.when("nothing in flight", () => busy()?.length === 0);
  });

  it("through a tombstone goes on when the app moves again", async () => {
    moveAway();
    const north = await Origin.open();
    const slow = await Origin.open();
    bench.peer("west", slow.port);
    bench.peer("north", north.port);
    const client = await bench.client();
    client.send(get("/down"));
    const forwarded = await slow.accept();
    await forwarded.head();
    forwarded.send(`HTTP/1.1 200 OK\r\nContent-Length: ${2 * PART.length}\r\n\r\n${PART}`);
    await client.head();
    await client.bytes(PART.length);
    bench.route({ state: "tombstone", peer: "north", generation: 3 });
    forwarded.send(PART);
    await client.bytes(PART.length);
    north.close();
    slow.close();
  });
});

describe("an event stream in flight at the switch", () => {
  const HEAD =
    "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
  const chunk = (text: string): string => `${text.length.toString(16)}\r\n${text}\r\n`;

  it("goes on until the drain's deadline, then ends after an event, and comes again elsewhere", async () => {
    const { client, app } = await begin(get("/events"));
    app.send(HEAD + chunk("data: 1\n\n"));
    await client.until(chunk("data: 1\n\n"));
    moveAway();
    app.send(chunk("data: 2\n\n"));
    await client.until(chunk("data: 2\n\n"));
    app.send(chunk("data: thr"));
    await client.until("data: thr\r\n");
    moveAway(true);
    expect(busy()).toEqual([REPL]);
    app.send(chunk("ee\n\ndata: four\n\n"));
    expect(await client.until("0\r\n\r\n")).toBe(`${chunk("ee\n\n")}0\r\n\r\n`);
    await bench.when("nothing in flight", () => busy()?.length === 0);
    client.send(get("/events"));
    await client.until("peer /events");
  });

  it("that stops in the middle of an event does not hold the move up", async () => {
    const { client, app } = await begin(get("/events"));
    app.send(HEAD + chunk("data: 1\n\n") + chunk("data: tw"));
    await client.until("data: tw\r\n");
    bench.route({ state: "frozen", version: 10 });
    await client.until("0\r\n\r\n");
    await bench.when("nothing in flight", () => busy()?.length === 0);
  });
});

describe("kept connections", () => {
  it("of the cluster's own ingress are closed after the first forwarded answer, others are kept", async () => {
    moveAway();
    bench.peer("east", 1, ["127.0.0.1"]);
    const nudged = await bench.client();
    nudged.send(get("/1"));
    const head = await nudged.head();
    expect(head).toMatch(/\r\nConnection: close\r\n/);
    await nudged.until("peer /1");
    await nudged.end();
    // As if it had come over another address: DNS would not send it anywhere else.
    bench.peer("east", 1, ["192.0.2.1"]);
    const kept = await bench.client();
    for (const path of ["/2", "/3"]) {
      kept.send(get(path));
      expect(await kept.until(`peer ${path}`)).not.toMatch(/\r\nConnection: close\r\n/);
    }
  });
});
