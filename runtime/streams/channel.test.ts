import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { WebSocket, WebSocketServer } from "ws";

import { BROKEN, type Channel, channelPair, type Closing, NO_CODE } from "./channel";
import { relay } from "./relay";
import { WEB_SOCKET, WebSocketChannel } from "./web-socket-channel";

/** An end of a channel that notes what comes. */
class End {
  readonly got: string[] = [];
  readonly closed: Promise<Closing>;

  constructor(readonly channel: Channel) {
    this.closed = new Promise((closed) => {
      channel.attach({ text: (text) => this.got.push(text), closed });
    });
  }
}

let server: WebSocketServer;
let url: string;
const accepted: ((channel: Channel) => void)[] = [];

beforeAll(async () => {
  server = new WebSocketServer({ ...WEB_SOCKET, port: 0, host: "127.0.0.1" });
  server.on("connection", (webSocket, { socket }) => {
    accepted.shift()?.(new WebSocketChannel(webSocket, socket));
  });
  await new Promise((resolve) => server.once("listening", resolve));
  url = `ws://127.0.0.1:${(server.address() as { port: number }).port}`;
});

afterAll(() => server.close());

async function webSocketPair(): Promise<readonly [Channel, Channel]> {
  const far = new Promise<Channel>((resolve) => accepted.push(resolve));
  const webSocket = new WebSocket(url, WEB_SOCKET as WebSocket.ClientOptions);
  const near = new Promise<Channel>((resolve) => {
    webSocket.once("upgrade", ({ socket }) => {
      webSocket.once("open", () => resolve(new WebSocketChannel(webSocket, socket)));
    });
  });
  return Promise.all([near, far]);
}

async function relayedPair(): Promise<readonly [Channel, Channel]> {
  const [near, nearInside] = channelPair();
  const [farInside, far] = await webSocketPair();
  void relay(nearInside, farInside);
  return [near, far];
}

const kinds: readonly (readonly [string, () => Promise<readonly [Channel, Channel]>])[] = [
  ["a pair in one process", async () => channelPair()],
  ["a WebSocket", webSocketPair],
  ["two joined by a relay", relayedPair],
];

describe.each(kinds)("%s", (_, make) => {
  const ends = async (): Promise<readonly [End, End]> => {
    const [near, far] = await make();
    return [new End(near), new End(far)];
  };

  it("delivers everything in order, however it is held up", { timeout: 60_000 }, async () => {
    const steps = fc.array(
      fc.oneof(
        fc.string({ unit: "binary" }),
        fc.constant({ pause: true }),
        fc.constant({ pause: false }),
      ),
      { maxLength: 30 },
    );
    await fc.assert(
      fc.asyncProperty(steps, async (sequence) => {
        const [near, far] = await ends();
        const sent = sequence.filter((step) => typeof step === "string");
        for (const step of sequence) {
          if (typeof step === "string") near.channel.send(step);
          else if (step.pause) far.channel.pause();
          else far.channel.resume();
          if (typeof step !== "string") await new Promise(setImmediate);
        }
        near.channel.close();
        far.channel.resume();
        await Promise.all([near.closed, far.closed]);
        expect(far.got).toEqual(sent);
      }),
      { numRuns: 30 },
    );
  });

  it("says why it ends", async () => {
    const [near, far] = await ends();
    near.channel.close(1011, "no more");
    expect(await far.closed).toEqual({ code: 1011, reason: "no more" });
    expect((await near.closed).code).toBe(1011);
  });

  it("ends without a reason", async () => {
    const [near, far] = await ends();
    far.channel.close();
    expect(await near.closed).toEqual({ code: NO_CODE, reason: "" });
    await far.closed;
  });

  it("takes nothing more once it is closing", async () => {
    const [near, far] = await ends();
    expect(near.channel.send("a")).toBe(true);
    near.channel.close();
    expect(near.channel.send("b")).toBe(false);
    await far.closed;
    expect(far.got).toEqual(["a"]);
    expect(far.channel.send("c")).toBe(false);
    await near.closed;
    expect(near.got).toEqual([]);
  });

  it("breaks off for both sides", async () => {
    const [near, far] = await ends();
    near.channel.destroy();
    expect((await near.closed).code).toBe(BROKEN);
    expect((await far.closed).code).toBe(BROKEN);
  });

  it("shows what has not been taken, until it is", async () => {
    const [near, far] = await ends();
    far.channel.pause();
    const text = "x".repeat(256 * 1024);
    let count = 0;
    // More than the buffers on the way hold.
    for (; near.channel.unsentBytes < 4 * 1024 * 1024 && count < 1_000; count++) {
      near.channel.send(text);
      if (count % 16 === 0) await new Promise(setImmediate);
    }
    let isDrained = false;
    const drained = near.channel.drained().then(() => (isDrained = true));
    await new Promise(setImmediate);
    expect(isDrained).toBe(false);
    far.channel.resume();
    await drained;
    expect(near.channel.unsentBytes).toBe(0);
    near.channel.close();
    await far.closed;
    expect(far.got).toHaveLength(count);
  });
});
