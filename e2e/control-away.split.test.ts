import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { openNameServer } from "../cli/resolve";
import { Load, type Tally } from "./load";
import { isAlive, Platform, type Repl, until } from "./platform";
import { Servers } from "./servers";
import { get } from "./visitor";

/** AWAY_SECONDS=600 npx vitest run --project split e2e/control-away */
const AWAY_MS = Number(process.env.AWAY_SECONDS ?? 30) * 1_000;
const LANES = 2;
/** A longer run asks as many questions. */
const PAUSE_MS = AWAY_MS / 3_000;
const CLUSTERS = ["east", "west"];

/** Where each name server says that a repl is. */
async function addressesOf(repl: Repl, nameServers: readonly string[]): Promise<string[]> {
  return Promise.all(
    nameServers.map(async (address) => {
      const server = openNameServer(address);
      try {
        const { records } = await server.query(repl.host, "A");
        return records[0]?.data ?? "nowhere";
      } finally {
        server.close();
      }
    }),
  );
}

/** Nothing that serves visitors may need the control plane or its database (design section 3). */
describe("without the control plane and its database", () => {
  let platform: Platform;
  let nameServers: string[];
  const repls = new Map<string, Repl>();
  let servers: Servers;
  const acknowledged: string[] = [];

  const repl = (name: string): Repl => {
    const found = repls.get(name);
    if (!found) throw new Error(`There is no repl "${name}"`);
    return found;
  };
  const visit = (cluster: string, host: string) =>
    get(platform.ingressOf(cluster), platform.httpPort, host, "/");

  beforeAll(async () => {
    platform = await Platform.start({ ownServers: true });
    servers = new Servers(platform);
    nameServers = [`127.0.0.1:${platform.dnsPort}`, ...platform.moreNameServers.slice(0, 1)];
    const apps = [
      ["stays", "hello", "east"],
      ["moved", "hello", "east"],
      ["notes", "notes", "west"],
      ["sleeps", "hello", "east"],
      ["sleeps-west", "hello", "west"],
    ] as const;
    for (const [name, example, cluster] of apps) {
      repls.set(name, await platform.deploy(`examples/${example}`, name, cluster));
    }
    // Each cluster has a tombstone.
    expect(await platform.move(repl("moved").id, "west")).toMatchObject({ outcome: "completed" });
    expect(await platform.move(repl("notes").id, "east")).toMatchObject({ outcome: "completed" });
    for (const name of ["sleeps", "sleeps-west"]) {
      await platform.api("POST", `/v1/repls/${repl(name).id}/stop`);
    }
  });
  afterAll(async () => {
    await servers.end();
    await platform.stop();
  });

  // What is stopped and started.

  const dirOf = (name: string): string => join(platform.stateDir, name);

  async function stopControl(): Promise<void> {
    writeFileSync(join(dirOf("control"), "down"), "");
    const pid = platform.pidOf("control");
    process.kill(pid, "SIGTERM");
    await until("control ends", () => !isAlive(pid));
    await servers.stop("postgres-control");
  }

  async function startControl(): Promise<void> {
    await servers.start("postgres-control");
    rmSync(join(dirOf("control"), "down"));
    await until("the API is ready", async () => {
      return (await fetch(`http://127.0.0.1:${platform.apiPort}/v1/ready`)).ok;
    });
  }

  /** As a deploy does; its visitors are turned away meanwhile, others wait for it. */
  async function restartWest(visitors: Load): Promise<void> {
    const pid = platform.pidOf("west");
    visitors.terminated();
    process.kill(pid, "SIGTERM");
    await until("west ends", () => !isAlive(pid), 30_000, 1);
    await until(
      "west serves",
      async () => (await visit("west", repl("moved").host)).status === 200,
    );
    await until("west's name server answers", async () => {
      const [, west] = await addressesOf(repl("moved"), nameServers);
      return west === platform.ingressOf("west");
    });
  }

  function load(cluster: string): Load {
    const at = { address: platform.ingressOf(cluster), port: platform.httpPort, lanes: LANES };
    const all = new Load(PAUSE_MS);
    // West never heard of the one that stays: no name sends anybody there.
    for (const name of cluster === "east" ? ["stays", "moved", "notes"] : ["moved", "notes"]) {
      const ask = () => ({ host: repl(name).host, path: "/" });
      all.http({ ...at, what: `${name} by ${cluster}, kept`, kept: true, ask });
      all.http({ ...at, what: `${name} by ${cluster}, new`, kept: false, ask });
    }
    let count = 0;
    all.http({
      ...at,
      what: `writes by ${cluster}`,
      kept: false,
      ask: () => {
        const body = JSON.stringify({ text: `${cluster}-${count++}` });
        const headers = {
          "content-type": "application/json",
          "content-length": String(Buffer.byteLength(body)),
        };
        return { host: repl("notes").host, path: "/notes", method: "POST", headers, body };
      },
      served: ({ body = "{}" }) => acknowledged.push(JSON.parse(body).text as string),
    });
    const port = Number(nameServers[CLUSTERS.indexOf(cluster)]?.split(":")[1]);
    for (const name of ["stays", "moved", "sleeps"]) all.dns(repl(name).host, port, 1);
    return all;
  }

  const faults = (tallies: readonly Tally[]): string[] =>
    tallies.flatMap(({ what, failures }) => failures.map((why) => `${what}: ${why}`));
  const sum = (tallies: readonly Tally[], of: "served" | "turnedAway"): number =>
    tallies.reduce((total, tally) => total + tally[of], 0);

  it(
    `every app is served, every name resolves, every tombstone forwards, for ${AWAY_MS / 1_000} s`,
    async () => {
      const east = load("east");
      const west = load("west");
      const everybody = () => [...east.tallies, ...west.tallies];
      await until("everybody is at it", () => everybody().every(({ served }) => served > 5));
      await stopControl();
      const awayAt = performance.now();

      expect((await visit("east", repl("sleeps").host)).status).toBe(200);
      expect((await visit("west", repl("sleeps-west").host)).status).toBe(200);
      // Never "there is no such app", which only the authority knows.
      for (const host of ["nobody.demo.repl.test", repl("sleeps").host]) {
        const { status, headers } = await visit("west", host);
        expect([status, headers["retry-after"]]).toEqual([503, expect.any(String)]);
      }

      const passed = (share: number) =>
        until("time passes", () => performance.now() > awayAt + AWAY_MS * share, AWAY_MS + 1_000);
      await passed(0.3);
      // Without its file, a name server begins with the database of the names.
      rmSync(join(dirOf("west"), "dns-snapshot.json"));
      await restartWest(west);
      await passed(0.6);
      // Without that database, it begins with its file.
      await servers.stop("postgres-dns");
      await restartWest(west);
      await servers.start("postgres-dns");
      await passed(1);

      const tallies = [...(await east.stop()), ...(await west.stop())];
      console.info(
        `figure: ${Math.round((performance.now() - awayAt) / 1_000)} s without the control plane:`,
        `${sum(tallies, "served")} served, ${faults(tallies).length} failed,`,
        `${sum(tallies, "turnedAway")} came to west's own address while west was restarted`,
      );
      expect(faults(tallies)).toEqual([]);
      expect(sum(east.tallies, "turnedAway")).toBe(0);
      for (const name of ["sleeps-west", "moved"]) {
        expect((await visit("west", repl(name).host)).status).toBe(200);
      }
    },
    AWAY_MS + 150_000,
  );

  it("all converge when it is back: moves, names, what was written", async () => {
    await startControl();
    expect(await platform.move(repl("notes").id, "west")).toMatchObject({ outcome: "completed" });
    const born = await platform.deploy("examples/hello", "born", "east");
    const wanted: [Repl, string][] = [
      [repl("notes"), "west"],
      [repl("moved"), "west"],
      [repl("stays"), "east"],
      [born, "east"],
    ];
    for (const [one, home] of wanted) {
      await until(`${one.name} is where it lives, by all name servers`, async () => {
        const found = await addressesOf(one, nameServers);
        return found.every((address) => address === platform.ingressOf(home));
      });
      for (const cluster of CLUSTERS) {
        const { status, headers } = await visit(cluster, one.host);
        expect([one.name, cluster, status]).toEqual([one.name, cluster, 200]);
        if (cluster !== home) expect(headers["served-by"]).toBe(home);
      }
    }
    const { body } = await get(
      platform.ingressOf("east"),
      platform.httpPort,
      repl("notes").host,
      "/notes",
    );
    const found = (JSON.parse(body) as { items: { text: string }[] }).items.map(({ text }) => text);
    expect(new Set(found).size).toBe(found.length);
    expect(found).toEqual(expect.arrayContaining(acknowledged));
  });
});
