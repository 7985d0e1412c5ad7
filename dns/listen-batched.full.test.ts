import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from "vitest";

import { freePort } from "../shared/__tests__/free-port";
import { answererOf, type Fixture } from "./__tests__/answerer";
import { describeBatched, describeUdpModes } from "./__tests__/udp-modes";
import { decode, query } from "./conformance/message";
import { ZONES } from "./conformance/zones";
import { zoneChanges } from "./core/__tests__/zone-text";
import type { Batch, Change } from "./core/catalog";
import { queriesOver } from "./core/counters";
import { nextPacket, randomOf } from "./fuzz/mutate";
import type { AnswererOptions } from "./listen";
import { MAX_DATAGRAMS } from "./udp/datagrams";

// Deadlines of tests that share their cores with others.
vi.setConfig({ testTimeout: 30_000, hookTimeout: 30_000 });

const buildDir = mkdtempSync(join(tmpdir(), "stele-udp-"));
const zones = Object.entries(ZONES).flatMap(([zone, records]) => zoneChanges(zone, records));
const home = (generation: number): Change => {
  const clusterId = `c${generation}`;
  return { kind: "repl", id: "h1", name: "hello", owner: "demo", clusterId, generation };
};
/** The address says the generation. */
const cluster = (n: number): Change => {
  return { kind: "cluster", id: `c${n}`, ingress: [`10.0.${n >> 8}.${n & 255}`] };
};
const platform = zoneChanges("repl.test", [
  "repl.test 60 SOA ns1.wire.test hostmaster.repl.test 1 3600 600 86400 60",
  "repl.test 60 NS ns1.wire.test",
]);
const first: Batch = { changes: [...zones, ...platform, cluster(0), home(0)], seq: 1 };

const running: Fixture[] = [];
const sockets: Socket[] = [];

async function opened(options: Partial<AnswererOptions> = {}): Promise<Fixture> {
  const fixture = answererOf(first, { udp: { mode: "batched", workers: 1 }, ...options });
  running.push(fixture);
  await fixture.answerer.open();
  return fixture;
}

function socketOf(isV6 = false): Socket {
  const socket = createSocket({ type: isV6 ? "udp6" : "udp4", recvBufferSize: 4 * 1024 * 1024 });
  sockets.push(socket);
  return socket;
}

const portOf = ({ answerer }: Fixture): number => answerer.listening[0]!.port;

function send(socket: Socket, octets: Uint8Array, port: number, host = "127.0.0.1"): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.send(octets, port, host, (error) => (error ? reject(error) : resolve()));
  });
}

async function ask(octets: Uint8Array, port: number, host = "127.0.0.1"): Promise<Buffer> {
  const socket = socketOf(host.includes(":"));
  const reply = once(socket, "message") as Promise<[Buffer]>;
  await send(socket, octets, port, host);
  const [message] = await reply;
  return message;
}

const hello = query("hello.demo.repl.test", "A");

/** The generation that an answer to `hello` shows. */
function generationIn(reply: Buffer): number {
  const { rdata } = decode(reply).answers[0]!;
  return rdata.readUInt16BE(2);
}

beforeAll(() => {
  process.env.STELE_BUILD_DIR = buildDir;
});

afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.close();
  for (const { answerer } of running.splice(0)) await answerer.close(0);
});

afterAll(() => {
  delete process.env.STELE_BUILD_DIR;
  rmSync(buildDir, { recursive: true });
});

describeUdpModes((mode) => {
  it("answers over IPv6", async () => {
    const addresses = [{ host: "::1", port: 0 }];
    const fixture = await opened({ udp: { mode, workers: 1 }, addresses });
    expect(generationIn(await ask(hello, portOf(fixture), "::1"))).toBe(0);
  });

  it("answers a query as long as any, and drops what is none", async () => {
    const fixture = await opened({ udp: { mode, workers: 1 } });
    const longest = Buffer.concat([hello, Buffer.alloc(60_000)]);
    expect(decode(await ask(longest, portOf(fixture))).rcode).toBe(1);
    const dropped = [Buffer.alloc(0), Buffer.alloc(11), Buffer.alloc(60, 0xff)];
    for (const octets of dropped) await send(socketOf(), octets, portOf(fixture));
    expect(generationIn(await ask(hello, portOf(fixture)))).toBe(0);
    expect(fixture.answerer.totals.drops).toMatchObject({ short: 2, response: 1 });
  });

  it("answers all that has come before it closes, signed messages too", async () => {
    let sayIt = (): void => undefined;
    const said = new Promise<void>((resolve) => (sayIt = resolve));
    const fixture = await opened({
      udp: { mode, workers: 1 },
      answerSigned: async function* ({ query: octets }) {
        await said;
        yield [octets];
      },
    });
    const socket = socketOf();
    const ids = new Set<number>();
    socket.on("message", (message) => ids.add(message.readUInt16BE()));
    const count = 300;
    const signed = signedLike(query("hello.demo.repl.test", "A", { id: count }));
    await send(socket, signed, portOf(fixture));
    for (let id = 0; id < count; id++) {
      await send(socket, query("hello.demo.repl.test", "A", { id }), portOf(fixture));
    }
    const closed = fixture.answerer.close(10_000);
    sayIt();
    await closed;
    await expect.poll(() => ids.size, { timeout: 10_000 }).toBe(count + 1);
  });
});

/** A message with a TSIG record that nobody has checked. */
function signedLike(octets: Buffer): Buffer {
  const signed = Buffer.concat([
    octets,
    Buffer.from("000000fa00ff000000000000", "hex").subarray(1),
  ]);
  signed.writeUInt16BE(1, 10);
  return signed;
}

describeBatched("workers of UDP in batches", () => {
  it("give the answers that Node's own sockets give, to packets of all kinds", async () => {
    const portable = await opened({ udp: { mode: "portable", workers: 1 } });
    const batched = await opened();
    const random = randomOf(20_777);
    const [one, other] = [asker(portOf(portable)), asker(portOf(batched))];
    for (let index = 0; index < 1_000; index++) {
      const packet = nextPacket(random);
      // Twice where they differ: a cookie has the second in it.
      const both = async (): Promise<string[][]> => Promise.all([one(packet), other(packet)]);
      let [expected, found] = await both();
      if (String(expected) !== String(found)) [expected, found] = await both();
      expect(found, packet.toString("hex")).toEqual(expected);
    }
    expect([...portable.deaths, ...batched.deaths]).toEqual([]);
  });

  it("leave what waits in the socket to their successors when they die", async () => {
    const fixture = await opened();
    const port = portOf(fixture);
    const socket = socketOf();
    const answered = new Set<number>();
    socket.on("message", (message) => answered.add(message.readUInt16BE()));
    let next = 0;
    const askSome = async (count: number): Promise<readonly number[]> => {
      const ids = Array.from({ length: count }, () => next++);
      for (const id of ids) await send(socket, query("hello.demo.repl.test", "A", { id }), port);
      return ids;
    };
    const missing = (ids: readonly number[]): number => {
      return ids.filter((id) => !answered.has(id)).length;
    };
    for (let death = 1; death <= 2; death++) {
      const { worker } = fixture.workers.findLast(({ entry }) => entry.includes("udp"))!;
      const ended = worker.terminate();
      const during = await askSome(200);
      await ended;
      const after = await askSome(200);
      await expect.poll(() => missing(after), { timeout: 10_000 }).toBe(0);
      // What it had taken from the socket already is lost with it.
      expect(missing(during)).toBeLessThanOrEqual(MAX_DATAGRAMS);
      expect(fixture.answerer.deaths).toBe(death);
      await expect.poll(() => fixture.answerer.listening, { timeout: 10_000 }).toHaveLength(1);
    }
    expect(queriesOver(fixture.answerer.totals, "udp")).toBeGreaterThanOrEqual(answered.size);
  });

  it("go on when the stream worker dies, whose successor has the same port", async () => {
    const fixture = await opened();
    const port = portOf(fixture);
    await fixture.workers.find(({ entry }) => entry === "dns/worker.ts")!.worker.terminate();
    expect(generationIn(await ask(hello, port))).toBe(0);
    await expect.poll(() => fixture.answerer.listening[0]?.port, { timeout: 10_000 }).toBe(port);
    fixture.apply({ changes: [cluster(1), home(1)], seq: 2 });
    expect(generationIn(await ask(hello, port))).toBe(1);
  });

  it("share an address, and none shows older data than any has shown", async () => {
    const fixture = await opened({ udp: { mode: "batched", workers: 3 } });
    expect(fixture.answerer.udp.workers).toBe(3);
    const port = portOf(fixture);
    // Many askers, so that each worker has some.
    const askers = Array.from({ length: 24 }, () => asker(port));
    let newest = 0;
    for (let generation = 1; generation <= 100; generation++) {
      fixture.apply({ changes: [cluster(generation), home(generation)], seq: generation + 1 });
      newest = generation;
      const replies = await Promise.all(
        askers.slice(0, 8).map(async (one) => {
          const before = newest;
          const [reply] = await one(hello);
          return generationIn(Buffer.from(reply!, "hex")) - before;
        }),
      );
      expect(Math.min(...replies)).toBe(0);
      askers.push(...askers.splice(0, 8));
    }
  });

  it("refuse a port that is another's, and leave nothing open", async () => {
    const port = await freePort();
    const addresses = [{ host: "127.0.0.1", port }];
    for (const workers of [1, 2]) {
      const taken = socketOf();
      await new Promise<void>((resolve) => taken.bind(port, "127.0.0.1", resolve));
      const udp = { mode: "batched" as const, workers };
      await expect(opened({ addresses, udp })).rejects.toThrow(/EADDRINUSE/);
      await new Promise<void>((resolve) => taken.close(resolve));
      sockets.splice(sockets.indexOf(taken), 1);
      const tcp = createServer().listen(port, "127.0.0.1");
      await once(tcp, "listening");
      await new Promise((resolve) => tcp.close(resolve));
      const { answerer } = await opened({ addresses, udp });
      await expect(opened({ addresses, udp })).rejects.toThrow(/EADDRINUSE/);
      expect(answerer.listening).toEqual(addresses);
      await answerer.close(0);
    }
  });

  it("open again after they were closed", async () => {
    const fixture = await opened();
    await fixture.answerer.close(0);
    expect(fixture.answerer.listening).toEqual([]);
    await fixture.answerer.open();
    expect(generationIn(await ask(hello, portOf(fixture)))).toBe(0);
  });
});

const SENTINEL_ID = 0xfffe;
const SENTINEL = query("a.wire.test", "A", { id: SENTINEL_ID });

/** Asks from one socket; the replies are those before that to a second query. In hexadecimal. */
function asker(port: number): (octets: Buffer) => Promise<string[]> {
  const socket = socketOf();
  let heard: string[] = [];
  let done = (): void => undefined;
  socket.on("message", (message) => {
    if (message.readUInt16BE() === SENTINEL_ID) done();
    else heard.push(message.toString("hex"));
  });
  return async (octets) => {
    heard = [];
    const replied = new Promise<void>((resolve) => (done = resolve));
    await send(socket, octets, port);
    await send(socket, SENTINEL, port);
    await replied;
    return heard;
  };
}

describe("where there is no way to answer in batches", () => {
  const { platform: here } = process;
  const pretend = (platformName: string): unknown =>
    Object.defineProperty(process, "platform", { value: platformName });
  afterEach(() => pretend(here));

  it("answers by Node's own sockets, and says why", async () => {
    pretend("darwin");
    const { answerer } = await opened({ udp: { mode: "auto", workers: 4 } });
    const reason = expect.stringContaining("this is darwin");
    expect(answerer.udp).toEqual({ path: "portable", workers: 1, reason });
  });

  it("does not answer when it is told to in batches", async () => {
    pretend("darwin");
    await expect(opened()).rejects.toThrow(/Cannot answer UDP in batches: this is darwin/);
  });
});
