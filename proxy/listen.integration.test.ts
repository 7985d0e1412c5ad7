import { SQLDatabase } from "encore.dev/storage/sqldb";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";

import { listen, type Listener } from "../shared/listener";
import { startWorker } from "../shared/worker";
import { HOLD_BOUNDS } from "./core/hold";
import type { Found, LookupQuery, WakeOutcome } from "./questions";
import { ClusterProxy } from "./listen";
import { Bench, get, HOST, ok, Origin, REPL } from "./scripted";
import * as store from "./store";
import type { RouteState } from "./core/route";

const db = SQLDatabase.named("containers");
const DEADLINE_MS = 5_000;

let cluster = "";
let count = 0;
let proxy: ClusterProxy;
let origin: Origin;
let bench: Bench;
let listener: Listener;
let workers: Awaited<ReturnType<typeof startWorker>>[] = [];
let wake: (replId: string) => Promise<WakeOutcome>;
let lookup: (query: LookupQuery) => Promise<Found>;

/** Polls until `read` answers what is wanted. */
async function eventually<T>(read: () => Promise<T>, wanted: (value: T) => boolean): Promise<T> {
  const until = Date.now() + DEADLINE_MS;
  for (;;) {
    const value = await read();
    if (wanted(value)) return value;
    if (Date.now() > until) throw new Error(`still ${JSON.stringify(value)}`);
    await new Promise((resolve) => {
      setTimeout(resolve, 5);
    });
  }
}

/** Takes the next version and writes the repl's row in the same transaction, as containers does. */
async function setRoute(
  state: RouteState,
  generation: number,
  port: number | null,
): Promise<number> {
  await using tx = await db.begin();
  const clock = await tx.queryRow<{ version: number }>`
    INSERT INTO route_clock (cluster_id, version) VALUES (${cluster}, 1)
    ON CONFLICT (cluster_id) DO UPDATE SET version = route_clock.version + 1 RETURNING version`;
  const version = clock?.version ?? 0;
  const frozenBy = state === "frozen" ? generation + 1 : null;
  const host = port === null ? null : "127.0.0.1";
  await tx.exec`
    INSERT INTO route (cluster_id, repl_id, name, owner, state, generation, frozen_by,
      peer_cluster, upstream_host, upstream_port, version)
    VALUES (${cluster}, ${REPL}, 'app', 'demo', ${state}, ${generation}, ${frozenBy},
      ${state === "tombstone" ? "peer" : null}, ${host}, ${port}, ${version})
    ON CONFLICT (cluster_id, repl_id) DO UPDATE SET state = excluded.state,
      generation = excluded.generation, frozen_by = excluded.frozen_by,
      upstream_host = excluded.upstream_host, upstream_port = excluded.upstream_port,
      version = excluded.version`;
  await tx.exec`SELECT pg_notify('route_changed', ${cluster})`;
  await tx.commit();
  return version;
}

/** Writes a route that the proxy knows by the time this returns. */
async function route(state: RouteState, port: number | null): Promise<number> {
  const version = await setRoute(state, 1, port);
  await eventually(instance, (row) => row?.acked === version);
  return version;
}

interface Row {
  acked: number;
  busy: string[];
  leased: boolean;
}

async function instance(): Promise<Row | null> {
  return db.queryRow<Row>`
    SELECT acked_version AS acked, busy, lease_until > now() AS leased
    FROM proxy_instance WHERE cluster_id = ${cluster}`;
}

beforeAll(() => {
  listener = listen(store.connectionString(), "route_changed", {
    onNotify: (id) => void (id === cluster ? proxy.refresh().catch(() => undefined) : undefined),
    onConnect: () => undefined,
  });
});

afterAll(() => listener.close());

beforeEach(async () => {
  cluster = `c${process.pid}-${++count}`;
  workers = [];
  wake = async () => "running";
  lookup = async () => ({ found: false, replId: "", clusterId: "", generation: 0 });
  origin = await Origin.open();
  proxy = new ClusterProxy(
    {
      clusterId: cluster,
      zone: "repl.test",
      hopSecret: "s".repeat(32),
      bodyLimit: 1e9,
      holdBounds: HOLD_BOUNDS,
      accessLog: "",
    },
    {
      startWorker: async (input) => {
        const worker = await startWorker("proxy/worker.ts", input);
        workers.push(worker);
        return worker;
      },
      wake: (_clusterId, replId) => wake(replId),
      lookup: (query) => lookup(query),
    },
  );
  await proxy.open(["127.0.0.1:0"]);
  // The wires of the bench, towards this proxy instead of its own.
  bench = new Bench();
  const status = await eventually(
    () => proxy.status(),
    ({ listening }) => listening.length === 1,
  );
  bench.port = Number(status.listening[0]?.split(":")[1]);
});

afterEach(async () => {
  bench.close();
  origin.close();
  await proxy.close(1_000);
});

describe("a cluster's proxy over Postgres", () => {
  it("serves a route as soon as it is written, and acknowledges it", async () => {
    origin.serve(() => ok("hello"));
    const version = await setRoute("active", 1, origin.port);
    const row = await eventually(instance, (found) => found?.acked === version);
    expect(row).toEqual({ acked: version, busy: [], leased: true });
    const client = await bench.client();
    client.send(get("/"));
    await client.until("hello");
    expect(await proxy.status()).toMatchObject({ clusterId: cluster, routes: 1, requests: 1 });
  });

  it("acknowledges a freeze while a request runs, and again when it is over", async () => {
    await route("active", origin.port);
    const client = await bench.client();
    client.send(get("/"));
    const app = await origin.accept();
    await app.head();
    const frozen = await setRoute("frozen", 1, null);
    const busy = await eventually(instance, (found) => found?.acked === frozen);
    expect(busy?.busy).toEqual([REPL]);
    app.send(ok("late"));
    await client.until("late");
    await eventually(instance, (found) => found?.busy.length === 0);
    client.send(get("/held"));
    await eventually(
      () => proxy.status(),
      ({ held }) => held === 1,
    );
    await setRoute("active", 1, origin.port);
    expect(await (await origin.accept()).head()).toMatch(/^GET \/held /);
  });

  it("wakes a repl, and knows its address before the outcome", async () => {
    await route("active", null);
    origin.serve(() => ok("woken"));
    wake = async () => {
      await setRoute("active", 1, origin.port);
      return "running";
    };
    const client = await bench.client();
    client.send(get("/"));
    await client.until("woken");
  });

  it("asks the authority, and says 503 while it is away", async () => {
    lookup = async () => Promise.reject(new Error("away"));
    const client = await bench.client();
    client.send(get("/"));
    expect(await client.until("}\n")).toMatch(/^HTTP\/1\.1 503 /);
    lookup = async ({ name }) => ({
      found: name !== "app",
      replId: "",
      clusterId: "",
      generation: 0,
    });
    client.send(get("/"));
    expect(await client.until("}\n")).toMatch(/^HTTP\/1\.1 404 /);
  });

  it("counts hits and what is in flight", async () => {
    await route("active", origin.port);
    const client = await bench.client();
    client.send(get("/"));
    const app = await origin.accept();
    await app.head();
    const hit = (): Promise<{ inFlight: number } | null> =>
      db.queryRow`SELECT in_flight AS "inFlight" FROM hit WHERE cluster_id = ${cluster}`;
    await eventually(hit, (row) => row?.inFlight === 1);
    app.send(ok("x"));
    await client.until("\r\n\r\nx");
    await eventually(hit, (row) => row?.inFlight === 0);
  });

  it("counts what tombstones forward, together with the other proxies", async () => {
    await db.exec`
      INSERT INTO tombstone_hit (cluster_id, repl_id, hits, last_hit)
      VALUES (${cluster}, ${REPL}, 5, now() - interval '1 day')`;
    origin.serve(() => ok("far"));
    await db.exec`
      INSERT INTO peer (cluster_id, peer_id, ingress, http_port, listen, removed, version)
      VALUES (${cluster}, 'peer', '{127.0.0.1}', ${origin.port}, '{}', false, 1)`;
    await route("tombstone", null);
    const client = await bench.client();
    for (let request = 0; request < 2; request++) {
      client.send(get("/"));
      await client.until("far");
    }
    const used = () =>
      db.queryRow<{ hits: number; isNow: boolean }>`
        SELECT hits, last_hit > now() - interval '1 minute' AS "isNow" FROM tombstone_hit
        WHERE cluster_id = ${cluster} AND repl_id = ${REPL}`;
    expect(await eventually(used, (row) => row?.hits === 7)).toEqual({ hits: 7, isNow: true });
  });

  it("replaces a worker that died, on the same address", async () => {
    await route("active", origin.port);
    origin.serve(() => ok("again"));
    const status = await proxy.status();
    const address = status.listening[0] as string;
    proxy.listenOn([address]);
    await workers[0]?.terminate();
    await eventually(
      async () => (workers.length < 2 ? [] : (await proxy.status()).listening),
      (addresses) => addresses.length === 1,
    );
    const client = await bench.client();
    client.send(`GET / HTTP/1.1\r\nHost: ${HOST}\r\n\r\n`);
    await client.until("again");
  });

  it("leaves no row behind", async () => {
    await proxy.close(100);
    expect(await instance()).toBeNull();
  });
});
