import { rmSync } from "node:fs";

import { AppProcess, copyFixture } from "../../app-process";
import { HostileClient } from "./client";

/** As many hostile connections at a time. */
const CONNECTIONS = 16;
/** What is kept for good is there after so many; what is there beyond is a leak. */
const WARM_UP_SHARE = 0.2;

export interface Memory {
  readonly heap: number;
  readonly rss: number;
}

export interface FuzzReport {
  readonly count: number;
  readonly seconds: number;
  readonly faults: readonly string[];
  readonly statuses: Readonly<Record<number, number>>;
  readonly before: Memory;
  readonly after: Memory;
  /** What the application said on stderr, besides of requests that failed. */
  readonly complaints: string;
}

/** Sends the cases of `count` seeds to an application of its own. */
export async function fuzz(firstSeed: number, count: number): Promise<FuzzReport> {
  const root = copyFixture("hostile");
  const env = { ENCORE_NOLOG: "1", NODE_OPTIONS: "--expose-gc" };
  const app = new AppProcess(root, { env });
  try {
    const address = await app.ready();
    const printed = app.output.length;
    const startedAt = performance.now();
    const warm = Math.floor(count * WARM_UP_SHARE);
    const clients = Array.from({ length: CONNECTIONS }, () => new HostileClient(address));
    await sendAll(clients, firstSeed, firstSeed + warm);
    const before = await memoryOf(address);
    await sendAll(clients, firstSeed + warm, firstSeed + count);
    for (const client of clients) client.close();
    const after = await memoryOf(address);
    return {
      count,
      seconds: (performance.now() - startedAt) / 1000,
      faults: clients.flatMap(({ faults }) => faults),
      statuses: sum(clients.map(({ statuses }) => statuses)),
      before,
      after,
      complaints: app.output.slice(printed),
    };
  } finally {
    app.child.kill("SIGKILL");
    await app.exited;
    rmSync(root, { recursive: true, force: true });
  }
}

async function sendAll(clients: readonly HostileClient[], from: number, to: number): Promise<void> {
  let seed = from;
  const work = async (client: HostileClient): Promise<void> => {
    while (seed < to) await client.send(seed++);
  };
  await Promise.all(clients.map(work));
}

/** Also says that an ordinary request is answered right. */
async function memoryOf(address: string): Promise<Memory> {
  const response = await fetch(`http://${address}/memory`);
  return (await response.json()) as Memory;
}

function sum(counts: readonly ReadonlyMap<number, number>[]): Record<number, number> {
  const total: Record<number, number> = {};
  for (const [status, count] of counts.flatMap((one) => [...one])) {
    total[status] = (total[status] ?? 0) + count;
  }
  return total;
}
