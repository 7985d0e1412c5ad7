import { describe, expect, it } from "vitest";

import type { ObjectSchema } from "../app-model";
import { channelPair, type Channel } from "./channel";
import { reasonText } from "./farewell";
import { MessageCodec } from "./message-codec";
import { MAX_UNSENT_BYTES, MAX_WAITING_BYTES, MessageStream } from "./message-stream";

const schema: ObjectSchema = {
  kind: "object",
  fields: [
    { name: "n", optional: false, schema: { kind: "number" }, location: "auto", wireName: "n" },
    { name: "s", optional: true, schema: { kind: "string" }, location: "auto", wireName: "s" },
  ],
};
const codec = new MessageCodec(schema, { types: {}, decimal: String });

function streamOf(channel: Channel, undecodable: (error: Error) => Error | null = () => null) {
  return new MessageStream(channel, {
    incoming: codec,
    outgoing: codec,
    endedMessage: "it is over",
    undecodable,
    readsOn: false,
  });
}

function streams(): readonly [MessageStream, MessageStream, Channel] {
  const [near, far] = channelPair();
  return [streamOf(near), streamOf(far), near];
}

describe("MessageStream", () => {
  it("gives messages to receivers in the order of their calls", async () => {
    const [near, far] = streams();
    const first = far.recv();
    const second = far.recv();
    for (const n of [1, 2, 3]) void near.send({ n, unknown: true });
    expect(await second).toEqual({ n: 2 });
    expect(await first).toEqual({ n: 1 });
    expect(await far.recv()).toEqual({ n: 3 });
  });

  it("gives what has arrived before it says that it is over", async () => {
    const [near, far] = streams();
    void near.send({ n: 1 });
    near.close();
    await far.closed;
    expect(await far.recv()).toEqual({ n: 1 });
    await expect(far.recv()).rejects.toMatchObject({ message: "it is over", code: "Unknown" });
    expect(() => far.send({ n: 2 })).toThrow("channel closed");
  });

  it("rejects who waits when it ends", async () => {
    const [near, far] = streams();
    const waiting = [far.recv(), far.recv()];
    near.close();
    for (const one of waiting) await expect(one).rejects.toThrow("it is over");
  });

  it("tells the sender what has no JSON", () => {
    const [near] = streams();
    expect(() => near.send({ n: Number.NaN })).toThrow(/js number/);
    expect(() => near.send({ n: () => 1 })).toThrow(/function/);
  });

  it("gives an unreadable message's fault in its turn, where it is asked to", async () => {
    const [near, far] = channelPair();
    const stream = streamOf(far, (error) => new Error(`unreadable: ${error.message}`));
    near.attach({ text: () => {}, closed: () => {} });
    for (const text of ['{"n":1}', "{}", '{"n":2}']) near.send(text);
    expect(await stream.recv()).toEqual({ n: 1 });
    await expect(stream.recv()).rejects.toThrow(/^unreadable: .*missing field n/);
    expect(await stream.recv()).toEqual({ n: 2 });
  });

  it("holds up the sender while nobody receives, and lets it go on", async () => {
    const [near, far, channel] = streams();
    const s = "x".repeat(64 * 1024);
    const count = (3 * MAX_WAITING_BYTES) / s.length;
    for (let n = 0; n < count; n++) void near.send({ n, s });
    const drained = channel.drained();
    for (let turn = 0; turn < 10; turn++) await new Promise(setImmediate);
    expect(channel.unsentBytes).toBeGreaterThan(MAX_WAITING_BYTES);
    for (let n = 0; n < count; n++) expect(await far.recv()).toMatchObject({ n });
    await drained;
  });

  it("gives up on a side that takes nothing", async () => {
    const [near, far] = streams();
    const s = "x".repeat(1024 * 1024);
    const send = (): void => {
      for (let n = 0; n < 2 * (MAX_UNSENT_BYTES / s.length); n++) void near.send({ n, s });
    };
    expect(send).toThrow(/Cannot send: the other side has left \d+ bytes unread/);
    await Promise.all([near.closed, far.closed]);
  });

  it("leaves the process its turn while it sends without end", async () => {
    const [near, far] = streams();
    let turns = 0;
    const count = 20_000;
    const turn = (): void => {
      turns += 1;
      if (turns < count) setImmediate(turn);
    };
    setImmediate(turn);
    const receiving = (async () => {
      for (let n = 0; n < count; n++) await far.recv();
    })();
    for (let n = 0; n < count; n++) await near.send({ n });
    expect(turns).toBeGreaterThan(10);
    await receiving;
  });

  it("makes a promise of `send` only where the other side is slow", () => {
    const [near] = streams();
    expect(near.send({ n: 1 })).toBeUndefined();
    expect(near.send({ n: 1, s: "x".repeat(100_000) })).toBeInstanceOf(Promise);
  });
});

describe("reasonText()", () => {
  it.each([
    ["short", "short"],
    ["x".repeat(200), "x".repeat(123)],
    [`${"x".repeat(122)}é`, "x".repeat(122)],
    [`${"x".repeat(119)}🙂 and more`, `${"x".repeat(119)}🙂`],
  ])("%s", (text, cut) => expect(reasonText(text)).toBe(cut));
});
