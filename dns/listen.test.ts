import { execFileSync, spawnSync } from "node:child_process";
import { createSocket } from "node:dgram";
import { mkdtempSync, rmSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

import * as packet from "dns-packet";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";

import { answererOf, type Fixture } from "./__tests__/answerer";
import { describeUdpModes } from "./__tests__/udp-modes";
import { zoneChanges } from "./core/__tests__/zone-text";
import type { Change } from "./core/catalog";
import { queriesOver } from "./core/counters";
import type { LoggedQuery } from "./core/query-log";
import type { Answerer } from "./listen";

// Deadlines of tests that share their cores with others.
vi.setConfig({ testTimeout: 30_000, hookTimeout: 30_000 });

const hasDig = spawnSync("dig", ["-v"]).error === undefined;
const buildDir = mkdtempSync(join(tmpdir(), "stele-dns-"));
const texts = Array.from({ length: 100 }, (_, i) => `many.repl.test 60 TXT "value number ${i}"`);
const zone = zoneChanges("repl.test", [
  "repl.test 60 SOA ns1.repl.test hostmaster.repl.test 1 3600 600 86400 60",
  "repl.test 60 NS ns1.repl.test",
  "ns1.repl.test 60 A 127.0.0.1",
  ...texts,
]);
const hello = (clusterId: string, generation: number): Change => {
  return { kind: "repl", id: "h1", name: "hello", owner: "demo", clusterId, generation };
};

beforeAll(() => {
  process.env.STELE_BUILD_DIR = buildDir;
});

afterAll(() => {
  delete process.env.STELE_BUILD_DIR;
  rmSync(buildDir, { recursive: true });
});

describeUdpModes((mode) => {
  let fixture: Fixture;
  let answerer: Answerer;
  const logged: LoggedQuery[] = [];
  beforeAll(async () => {
    const changes: Change[] = [
      ...zone,
      { kind: "cluster", id: "east", ingress: ["127.0.1.1", "::1"] },
      { kind: "cluster", id: "west", ingress: ["127.0.2.1"] },
      hello("east", 1),
    ];
    logged.length = 0;
    const options = { logOneIn: 1, onLogged: (one: LoggedQuery) => void logged.push(one) };
    fixture = answererOf({ changes, seq: 3 }, { udp: { mode, workers: 1 }, ...options });
    ({ answerer } = fixture);
    await answerer.open();
    expect(answerer.udp).toEqual({ path: mode, workers: 1, reason: null });
  });

  afterAll(() => answerer.close(0));
  function query(name: string, type: packet.RecordType, id = 7): Buffer {
    return packet.encode({ type: "query", id, questions: [{ type, name }] });
  }

  async function overUdp(octets: Buffer): Promise<packet.DecodedPacket> {
    const socket = createSocket("udp4");
    try {
      const reply = new Promise<Buffer>((resolve, reject) => {
        socket.once("message", (message) => resolve(message));
        socket.once("error", reject);
      });
      socket.send(octets, answerer.listening[0]!.port, "127.0.0.1");
      return packet.decode(await reply);
    } finally {
      socket.close();
    }
  }

  const addressesOf = (message: packet.DecodedPacket): unknown[] => {
    return message.answers!.map((answer) => "data" in answer && answer.data);
  };

  async function connected(): Promise<Socket> {
    const socket = connect(answerer.listening[0]!.port, "127.0.0.1");
    await new Promise((resolve, reject) => socket.once("connect", resolve).once("error", reject));
    return socket;
  }

  const framed = (message: Buffer): Buffer => {
    const length = Buffer.alloc(2);
    length.writeUInt16BE(message.length);
    return Buffer.concat([length, message]);
  };

  /** Reads until `count` messages are there, or the other side ends. */
  async function messages(socket: Socket, count: number): Promise<packet.DecodedPacket[]> {
    const found: packet.DecodedPacket[] = [];
    let pending = Buffer.alloc(0);
    for await (const chunk of socket) {
      pending = Buffer.concat([pending, chunk as Buffer]);
      while (pending.length >= 2 && pending.length >= 2 + pending.readUInt16BE(0)) {
        const end = 2 + pending.readUInt16BE(0);
        found.push(packet.decode(pending.subarray(2, end)));
        pending = pending.subarray(end);
      }
      if (found.length >= count) break;
    }
    return found;
  }

  describe("over UDP", () => {
    it("answers platform names", async () => {
      expect(addressesOf(await overUdp(query("hello.demo.repl.test", "A")))).toEqual(["127.0.1.1"]);
      expect(addressesOf(await overUdp(query("hello--demo.repl.test", "AAAA")))).toEqual(["::1"]);
    });

    it("answers by a change when the call that made it returns", async () => {
      for (let generation = 2; generation <= 20; generation++) {
        const home = generation % 2 === 0 ? "west" : "east";
        fixture.apply({ changes: [hello(home, generation)], seq: 2 + generation });
        const answered = addressesOf(await overUdp(query("h1.id.repl.test", "A")));
        expect(answered).toEqual([home === "west" ? "127.0.2.1" : "127.0.1.1"]);
      }
    });

    it("survives rubbish", async () => {
      for (const octets of ["", "00", "00".repeat(12), "ff".repeat(600)]) {
        const socket = createSocket("udp4");
        await new Promise((sent) => {
          socket.send(Buffer.from(octets, "hex"), answerer.listening[0]!.port, "127.0.0.1", sent);
        });
        socket.close();
      }
      expect((await overUdp(query("repl.test", "SOA"))).answers).toHaveLength(1);
    });
  });

  describe("over TCP", () => {
    it("answers pipelined queries in order, split at any octet", async () => {
      const queries = Array.from({ length: 20 }, (_, id) => query("hello.demo.repl.test", "A", id));
      const stream = Buffer.concat(queries.map(framed));
      for (const step of [1, 7, stream.length]) {
        const socket = await connected();
        socket.setNoDelay(true);
        for (let at = 0; at < stream.length; at += step)
          socket.write(stream.subarray(at, at + step));
        const found = await messages(socket, queries.length);
        expect(found.map(({ id }) => id)).toEqual(queries.map((_, id) => id));
        socket.destroy();
      }
    });

    it("answers a half-closed asker, then ends", async () => {
      const socket = await connected();
      socket.end(framed(query("hello.demo.repl.test", "A")));
      const found = await messages(socket, 2);
      expect(found).toHaveLength(1);
    });

    it("has what is too large for UDP", async () => {
      expect((await overUdp(query("many.repl.test", "TXT"))).flag_tc).toBe(true);
      const socket = await connected();
      socket.write(framed(query("many.repl.test", "TXT")));
      const [reply] = await messages(socket, 1);
      expect(reply!.answers).toHaveLength(texts.length);
      socket.destroy();
    });

    it("keeps an asker waiting that does not read, without holding its answers", async () => {
      const socket = await connected();
      const ask = framed(query("many.repl.test", "TXT"));
      const count = 4_000;
      socket.write(Buffer.concat(Array.from({ length: count }, () => ask)));
      // Others are served meanwhile, and all answers are there once it reads.
      expect((await overUdp(query("repl.test", "SOA"))).answers).toHaveLength(1);
      expect(await messages(socket, count)).toHaveLength(count);
      socket.destroy();
    });

    it("closes at a message of no octets", async () => {
      const socket = await connected();
      socket.on("error", () => undefined);
      const closed = new Promise((resolve) => socket.once("close", resolve));
      socket.write(Buffer.alloc(2));
      await closed;
    });
  });

  describe("the worker", () => {
    it("is replaced when it dies, and its successor knows everything", async () => {
      const dead = fixture.workers.at(-1)!.worker;
      fixture.apply({ changes: [hello("east", 100)], seq: 100 });
      await dead.terminate();
      await expect.poll(() => answerer.listening.length, { timeout: 10_000 }).toBe(1);
      expect(fixture.deaths).toHaveLength(1);
      expect(addressesOf(await overUdp(query("hello.demo.repl.test", "A")))).toEqual(["127.0.1.1"]);
      fixture.apply({ changes: [hello("west", 101)], seq: 101 });
      expect(addressesOf(await overUdp(query("hello.demo.repl.test", "A")))).toEqual(["127.0.2.1"]);
    });

    it("logs what it answered, without who asked", async () => {
      await overUdp(query("h1.id.repl.test", "TXT"));
      const line = { name: "h1.id.repl.test", type: "TXT", rcode: "NOERROR", limited: null };
      const expected = { transport: "udp", client: "127.0.0.0/24", ...line };
      await expect.poll(() => logged).toContainEqual(expect.objectContaining(expected));
      await overUdp(query("Hello.demo.repl.test", "A"));
      const plain = { name: "Hello.demo.repl.test", type: "A", octets: 54, path: "fast" };
      await expect.poll(() => logged).toContainEqual(expect.objectContaining(plain));
      await expect.poll(() => answerer.totals.logged).toBe(logged.length);
    });

    it("counts what it answered", async () => {
      const before = answerer.totals;
      for (let i = 0; i < 5; i++) await overUdp(query("repl.test", "SOA"));
      const counted = () => queriesOver(answerer.totals, "udp") - queriesOver(before, "udp");
      expect(counted()).toBe(5);
      expect(answerer.totals.rcodes[0]).toBeGreaterThanOrEqual(5);
    });
  });

  describe.skipIf(!hasDig)(hasDig ? "dig" : "dig (skipped: dig is not installed)", () => {
    const dig = (...args: string[]): string => {
      const at = ["@127.0.0.1", "-p", String(answerer.listening[0]!.port), "+tries=1", "+time=5"];
      return execFileSync("dig", [...at, ...args], { encoding: "utf8" });
    };

    it.each([
      [["+short", "many.repl.test", "TXT"], /value number 99/], // by itself over TCP after TC
      [["+tcp", "+short", "h1.id.repl.test", "AAAA"], /^$/],
      [["nobody.repl.test"], /status: NXDOMAIN[\s\S]*repl\.test\.\s+60\s+IN\s+SOA/],
      [["demo.repl.test"], /status: NOERROR[\s\S]*ANSWER: 0[\s\S]*IN\s+SOA/],
      [["example.com"], /status: REFUSED/],
      [["+edns=1", "+noednsneg", "repl.test"], /status: BADVERS/],
      [["+opcode=iquery", "repl.test"], /status: NOTIMP/],
      [["CH", "TXT", "version.bind"], /CH\s+TXT\s+"Stele"/],
      [["CH", "TXT", "authors.bind"], /status: REFUSED/],
      [["+nsid", "repl.test"], /NSID: .*\("ns1-test"\)/],
      [["+cookie", "repl.test"], /COOKIE: [0-9a-f]{16}01000000[0-9a-f]{24} \(good\)/],
      [["+tcp", "+keepalive", "repl.test"], /TCP.KEEPALIVE: 15.0 sec/],
      [["repl.test", "ANY", "+notcp"], /HINFO\s+"RFC8482" ""/],
      [
        ["repl.test", "NS"],
        /flags: qr aa rd;[\s\S]*ns1\.repl\.test\.\s+60\s+IN\s+A\s+127\.0\.0\.1/,
      ],
    ])("%j", (args, expected) => {
      expect(dig(...args)).toMatch(expected);
    });
  });
});
