import { mkdtempSync, realpathSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterEach, describe, expect, it } from "vitest";

import { freePort } from "../../shared/__tests__/free-port";
import type { ContainerDriver, ContainerRef, ContainerSpec, DriverEvents, Exit } from "./driver";
import { MemoryDriver } from "./memory";
import { ProcessDriver } from "./process";

const SERVER = `node -e 'require("http").createServer((q,s)=>s.end("hi")).listen(process.env.PORT)'`;
const never = new AbortController().signal;
const ref: ContainerRef = { clusterId: "east", replId: "aaaaaaaaaaaa", generation: 1 };

interface Bench {
  readonly driver: ContainerDriver;
  readonly directory: string;
  readonly exits: Exit[];
}

const opened: Bench[] = [];

function open(make: (directory: string, events: DriverEvents) => ContainerDriver): Bench {
  const directory = realpathSync(mkdtempSync(join(tmpdir(), "stele-driver-")));
  const exits: Exit[] = [];
  const events: DriverEvents = {
    onExit: (_ref, exit) => exits.push(exit),
    onIncarnation: () => undefined,
  };
  const bench = { driver: make(directory, events), directory, exits };
  opened.push(bench);
  return bench;
}

afterEach(async () => {
  for (const { driver, directory } of opened.splice(0)) {
    for (const left of await driver.list()) await driver.stop(left, 0);
    driver.close();
    rmSync(directory, { recursive: true });
  }
});

async function spec({ directory }: Bench, command = SERVER): Promise<ContainerSpec> {
  // HOME lies below the apps' folder, which is how a driver knows its own.
  const home = mkdtempSync(join(directory, "home-"));
  return {
    ref,
    directory: home,
    logFile: join(directory, "log.0"),
    command,
    env: {},
    port: await freePort(),
    uid: null,
    startTimeoutMs: 10_000,
  };
}

const launcher = { path: process.env["PATH"] ?? "", setpriv: null, staticServer: "" };
const drivers: [string, (directory: string, events: DriverEvents) => ContainerDriver][] = [
  ["memory", (_directory, events) => new MemoryDriver(events)],
  ["process", (directory, events) => new ProcessDriver(directory, launcher, events)],
];

describe.each(drivers)("%s driver", (_name, make) => {
  it("starts a container once, however often it is asked", async () => {
    const bench = open(make);
    const one = await spec(bench);
    let spawned = 0;
    const count = async (): Promise<void> => void spawned++;
    const [first, second] = await Promise.all([
      bench.driver.start(one, count, never),
      bench.driver.start(one, count, never),
    ]);
    const third = await bench.driver.start(one, count, never);
    expect(second).toEqual(first);
    expect(third).toEqual(first);
    expect(first.upstream).toEqual({ host: "127.0.0.1", port: one.port });
    expect(spawned).toBe(1);
    expect(bench.driver.isRunning(ref)).toBe(true);
    expect(await bench.driver.probe(ref)).toBe(true);
    expect(await bench.driver.list()).toEqual([ref]);
  });

  it("runs two generations of a repl side by side", async () => {
    const bench = open(make);
    const newer = { ...ref, generation: 2 };
    await bench.driver.start(await spec(bench), async () => undefined, never);
    await bench.driver.start({ ...(await spec(bench)), ref: newer }, async () => undefined, never);
    await bench.driver.stop(ref, 1_000);
    expect(bench.driver.isRunning(ref)).toBe(false);
    expect(bench.driver.isRunning(newer)).toBe(true);
    expect(await bench.driver.list()).toEqual([newer]);
  });

  it("stops, and stopping what does not run is no error", async () => {
    const bench = open(make);
    await bench.driver.stop(ref, 0);
    await bench.driver.start(await spec(bench), async () => undefined, never);
    await bench.driver.stop(ref, 1_000);
    await bench.driver.stop(ref, 1_000);
    expect(bench.driver.isRunning(ref)).toBe(false);
    expect(await bench.driver.probe(ref)).toBe(false);
    expect(await bench.driver.list()).toEqual([]);
    expect(bench.exits).toEqual([]);
  });

  it("starts again after a stop", async () => {
    const bench = open(make);
    const one = await spec(bench);
    await bench.driver.start(one, async () => undefined, never);
    await bench.driver.stop(ref, 1_000);
    await bench.driver.start(one, async () => undefined, never);
    expect(bench.driver.isRunning(ref)).toBe(true);
  });

  it("says how it failed, and leaves nothing", async () => {
    const bench = open(make);
    const broken = await spec(bench, "false");
    await expect(bench.driver.start(broken, async () => undefined, never)).rejects.toThrow(
      "exit code 1 before it listened",
    );
    expect(bench.driver.isRunning(ref)).toBe(false);
    expect(await bench.driver.list()).toEqual([]);
  });

  it("ends a start that is aborted", async () => {
    const bench = open(make);
    const abort = new AbortController();
    const start = bench.driver.start(
      await spec(bench, "sleep 60"),
      async () => abort.abort(),
      abort.signal,
    );
    await expect(start).rejects.toThrow();
    expect(await bench.driver.list()).toEqual([]);
  });
});
