import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { openNameServer } from "../cli/resolve";
import { Load } from "./load";
import { Platform, type Repl, until } from "./platform";
import { Servers } from "./servers";

/** AWAY_SECONDS=60 npx vitest run --project split e2e/postgres-away */
const AWAY_SECONDS = Number(process.env.AWAY_SECONDS ?? 12);
/** A log at rest is known to be level when a long poll begins, and zones when a heartbeat is answered. */
const FRESH_SECONDS = 8;
const PAUSE_MS = 5;
const EVERYTHING = ["postgres-control", "postgres-dns", "postgres-east", "postgres-west"];

interface Instance {
  readonly instanceId: string;
  readonly alive: boolean;
  readonly seq: number;
  readonly logAgeSeconds: number | null;
  readonly zonesAgeSeconds: number | null;
}

interface Instances {
  readonly items: readonly Instance[];
  readonly everywhere: boolean;
  readonly missing: readonly string[];
}

const NEVER = Number.POSITIVE_INFINITY;
const oldest = (items: readonly Instance[], of: "logAgeSeconds" | "zonesAgeSeconds"): number =>
  Math.max(...items.map((item) => item[of] ?? NEVER));

/** Names need no database to be answered, and their age is no secret. */
describe("name servers without PostgreSQL", () => {
  let platform: Platform;
  let servers: Servers;
  let repl: Repl;
  let nameServers: string[];

  const instances = (query = "") => platform.api<Instances>("GET", `/v1/dns/instances${query}`);
  const isFresh = ({ items }: Instances): boolean =>
    items.length === 2 &&
    oldest(items, "logAgeSeconds") < FRESH_SECONDS &&
    oldest(items, "zonesAgeSeconds") < FRESH_SECONDS;
  const untilFresh = () => until("both are fresh", async () => isFresh(await instances()));

  async function addresses(): Promise<string[]> {
    const found = nameServers.map(async (address) => {
      const server = openNameServer(address);
      try {
        return (await server.query(repl.host, "A")).records[0]?.data ?? "nowhere";
      } finally {
        server.close();
      }
    });
    return Promise.all(found);
  }

  function ask(): Load {
    const load = new Load(PAUSE_MS);
    for (const address of nameServers) load.dns(repl.host, Number(address.split(":")[1]), 1);
    return load;
  }

  async function without(stopped: readonly string[], work: () => Promise<void>): Promise<void> {
    for (const name of stopped) await servers.stop(name);
    try {
      await work();
    } finally {
      for (const name of stopped) await servers.start(name);
    }
  }

  beforeAll(async () => {
    platform = await Platform.start({ ownServers: true });
    servers = new Servers(platform);
    nameServers = [`127.0.0.1:${platform.dnsPort}`, ...platform.moreNameServers.slice(0, 1)];
    repl = await platform.api<Repl>("POST", "/v1/repls", {
      name: "asleep",
      owner: "demo",
      cluster: "east",
    });
    const east = platform.ingressOf("east");
    await until("both know it", async () => (await addresses()).every((found) => found === east));
    await untilFresh();
  });
  afterAll(async () => {
    await servers.end();
    await platform.stop();
  });

  it(
    `answer for ${AWAY_SECONDS} s, say how old that is, and catch up by themselves`,
    async () => {
      const load = ask();
      await without(EVERYTHING, async () => {
        const isOld = async (): Promise<boolean> => {
          const { items } = await instances();
          const ages = ["logAgeSeconds", "zonesAgeSeconds"] as const;
          return items.length === 2 && ages.every((age) => oldest(items, age) >= AWAY_SECONDS);
        };
        await until("their answers are so old", isOld, AWAY_SECONDS * 1_000 + 30_000);
        // Nobody is passed by: who cannot be heard of is not known to answer.
        const { everywhere, missing, items } = await instances("?seq=1000000&wait=all&waitMs=1");
        expect([everywhere, missing.length, items.length]).toEqual([false, 2, 2]);
      });
      const backAt = performance.now();
      await untilFresh();
      const freshMs = Math.round(performance.now() - backAt);
      expect(await platform.move(repl.id, "west")).toMatchObject({ outcome: "completed" });
      const west = platform.ingressOf("west");
      await until("both answer it", async () => (await addresses()).every((at) => at === west));
      const tallies = await load.stop();
      const served = tallies.reduce((total, tally) => total + tally.served, 0);
      console.info(`figure: ${served} answers, fresh ${freshMs} ms after PostgreSQL was back`);
      expect(tallies.flatMap(({ failures }) => failures)).toEqual([]);
      expect(served).toBeGreaterThan(100);
    },
    AWAY_SECONDS * 1_000 + 150_000,
  );

  it("answer moves without a database of their own, and changes of zones when it is back", async () => {
    const east = platform.ingressOf("east");
    const name = `_acme-challenge.${repl.host}`;
    await without(["postgres-dns"], async () => {
      expect(await platform.move(repl.id, "east")).toMatchObject({ outcome: "completed" });
      await until("both answer it", async () => (await addresses()).every((at) => at === east));
      const put = platform.api("PUT", "/v1/dns/challenges", { name, value: "v" });
      await expect(put).rejects.toThrow(/503/);
      // The log is followed: who is asked knows that it is fresh, the other cannot say so.
      const asked = async () => (await instances()).items.slice(0, 1);
      const isOld = async () => oldest(await asked(), "zonesAgeSeconds") >= FRESH_SECONDS;
      await until("the zones are old", isOld);
      expect(oldest(await asked(), "logAgeSeconds")).toBeLessThan(FRESH_SECONDS);
    });
    await untilFresh();
    const put = await platform.api("PUT", "/v1/dns/challenges", { name, value: "v" });
    expect(put).toMatchObject({ everywhere: true, missing: [] });
  });
});
