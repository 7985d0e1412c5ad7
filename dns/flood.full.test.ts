/** What a flood gets back, over sockets and from the threads that answer in production. */
import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterAll, beforeAll, expect, it, vi } from "vitest";

import { answererOf, type Fixture } from "./__tests__/answerer";
import { openGuard } from "./__tests__/guard";
import { describeUdpModes } from "./__tests__/udp-modes";
import { query } from "./conformance/message";
import { zoneChanges } from "./core/__tests__/zone-text";
import type { Change } from "./core/catalog";
import { queriesOver } from "./core/counters";
import { MAX_UDP_OCTETS } from "./core/respond";

// Deadlines of tests that share their cores with others.
vi.setConfig({ testTimeout: 30_000, hookTimeout: 30_000 });

const buildDir = mkdtempSync(join(tmpdir(), "stele-flood-"));
const QUERIES = 2_000;
/** So few at a time that hardly any is lost on the way. */
const BURST = 50;
const DEADLINE = { timeout: 20_000 };

const texts = Array.from({ length: 60 }, (_, i) => `many.repl.test 60 TXT "a long value ${i}"`);
const changes: Change[] = [
  ...zoneChanges("repl.test", [
    "repl.test 60 SOA ns1.repl.test hostmaster.repl.test 1 3600 600 86400 60",
    "repl.test 60 NS ns1.repl.test",
    ...texts,
  ]),
  { kind: "cluster", id: "east", ingress: ["192.0.2.1", "2001:db8::1"] },
  { kind: "repl", id: "h1", name: "hello", owner: "demo", clusterId: "east", generation: 1 },
];

beforeAll(() => {
  process.env.STELE_BUILD_DIR = buildDir;
});
afterAll(() => {
  delete process.env.STELE_BUILD_DIR;
  rmSync(buildDir, { recursive: true });
});

describeUdpModes((mode) => {
  let fixture: Fixture;
  let socket: Socket;
  const received: number[] = [];

  beforeAll(async () => {
    const guard = { ...openGuard, rateLimits: { perSecond: 20, exempt: [], seed: 7 } };
    fixture = answererOf({ changes, seq: 1 }, { guard, udp: { mode, workers: 1 } });
    await fixture.answerer.open();
    socket = createSocket({ type: "udp4", recvBufferSize: 4 * 1024 * 1024 });
    socket.on("message", (message) => received.push(message.length));
    socket.connect(fixture.answerer.listening[0]!.port, "127.0.0.1");
    await once(socket, "connect");
  });
  afterAll(async () => {
    socket.close();
    await fixture.answerer.close(0);
  });

  const asked = (): number => queriesOver(fixture.answerer.totals, "udp");
  const answered = (): number => fixture.answerer.totals.rcodes.reduce((sum, count) => sum + count);

  /** Octets that were sent; when it returns all that comes back has come. */
  async function flood(name: (index: number) => string, type: string): Promise<number> {
    const before = { asked: asked(), answered: answered() };
    let sent = 0;
    received.length = 0;
    for (let index = 0; index < QUERIES; index++) {
      const octets = query(name(index), type, { edns: {} });
      sent += octets.length;
      socket.send(octets);
      if (index % BURST === 0) await new Promise(setImmediate);
    }
    await expect.poll(asked, DEADLINE).toBe(before.asked + QUERIES);
    await expect.poll(() => received.length, DEADLINE).toBe(answered() - before.answered);
    return sent;
  }

  it.each([
    ["one app", () => "hello.demo.repl.test", "A"],
    ["names that are made up", (index: number) => `x${index}.y${index}.repl.test`, "A"],
    ["what is large", () => "many.repl.test", "TXT"],
  ])("of %s gets back no more than it sent", async (_, name, type) => {
    const before = fixture.answerer.totals;
    const sent = await flood(name, type);
    const { limited, slipped } = fixture.answerer.totals;
    expect(received.reduce((sum, octets) => sum + octets, 0)).toBeLessThanOrEqual(sent);
    expect(Math.max(...received)).toBeLessThanOrEqual(MAX_UDP_OCTETS);
    expect(limited - before.limited).toBeGreaterThan(QUERIES / 4);
    expect(slipped - before.slipped).toBeGreaterThan(QUERIES / 4);
  });

  it("goes on being limited by the successor of a thread that died in it", async () => {
    const udp = fixture.workers.findLast(({ entry }) =>
      entry.includes(mode === "batched" ? "udp" : ""),
    )!;
    await flood(() => "hello.demo.repl.test", "AAAA");
    const deaths = fixture.deaths.length;
    await udp.worker.terminate();
    await expect.poll(() => fixture.deaths.length).toBe(deaths + 1);
    await expect.poll(() => fixture.answerer.listening.length, { timeout: 10_000 }).toBe(1);
    const before = fixture.answerer.totals;
    const sent = await flood(() => "hello.demo.repl.test", "AAAA");
    expect(received.reduce((sum, octets) => sum + octets, 0)).toBeLessThanOrEqual(sent);
    expect(fixture.answerer.totals.limited - before.limited).toBeGreaterThan(QUERIES / 4);
  });
});
