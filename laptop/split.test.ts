import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterEach, beforeEach, describe, expect, it } from "vitest";

import { analyze } from "../runtime/analyze/analyze";
import type { AppModel } from "../runtime/app-model";
import { type InfraConfig, parseInfraConfig, PUBSUB_DATABASE } from "../runtime/infra-config";
import { clusterOf, placeConfig } from "./infra-place";
import { readOptions } from "./options";
import { serversOf } from "./servers";
import { endLeftover, Supervised } from "./supervise";

const ENV = {
  STELE_SECRET_SERVICE_KEY: "key",
  STELE_SECRET_API_TOKEN: "token",
  STELE_DATABASE_PASSWORD: "password",
};

const read = (name: string) => JSON.parse(readFileSync(`deploy/${name}.infra.json`, "utf8"));

/** What `encore build docker --config` asks for, and answers "infra configuration is incomplete" to. */
function missing(model: AppModel, infra: InfraConfig): string[] {
  const services = infra.hostedServices ?? [];
  const isHere = (service: string) => services.includes(service);
  const hasGateway = (infra.hostedGateways ?? []).length > 0;
  const called = hasGateway ? model.services.map(({ name }) => name) : [model.authHandler?.service];
  const wanted: [kind: string, name: string | undefined, found: boolean][] = [
    ...called.map((name): [string, string | undefined, boolean] => [
      "service",
      name,
      name === undefined || isHere(name) || name in infra.serviceDiscovery,
    ]),
    ...model.services
      .filter(({ name }) => isHere(name))
      .flatMap(({ databases }) => databases)
      .map((name): [string, string, boolean] => ["database", name, name in infra.databases]),
    ...model.subscriptions
      .filter(({ service }) => isHere(service))
      .map(({ topic, name }): [string, string, boolean] => [
        "subscription",
        name,
        infra.topics[topic]?.subscriptions[name] !== undefined,
      ]),
    ...model.topics.map(({ name }): [string, string, boolean] => [
      "topic",
      name,
      name in infra.topics,
    ]),
    ...model.secrets
      .filter((secret) => secret.services.some(isHere))
      .map(({ name }): [string, string, boolean] => ["secret", name, name in infra.secrets]),
  ];
  return wanted.flatMap(([kind, name, found]) => (found ? [] : [`${kind} ${name}`]));
}

describe("the infra configs in deploy/", async () => {
  const model = await analyze(process.cwd());
  const configs = ["control", "east", "west", "east-proxy"].map((name) => ({
    name,
    json: read(name),
    infra: parseInfraConfig(read(name), ENV, name),
  }));

  it.each(configs)("$name has all that its services use", ({ infra }) => {
    expect(missing(model, infra)).toEqual([]);
  });

  it("host every service, and none's consumers compete with another's", () => {
    const hosted = new Set(configs.flatMap(({ infra }) => infra.hostedServices ?? []));
    expect([...hosted].sort()).toEqual(model.services.map(({ name }) => name).sort());
    const physical = configs.flatMap(({ infra }) =>
      Object.values(infra.topics).flatMap(({ subscriptions }) =>
        Object.values(subscriptions).map(({ name }) => name),
      ),
    );
    expect(new Set(physical).size).toBe(physical.length);
  });

  it("share the broker's database and that of the names, and no other", () => {
    const all = configs.map(({ name, infra }) => ({ name, databases: infra.databases }));
    const byName = (logical: string) =>
      all.flatMap(({ databases }) => databases[logical]?.database ?? []);
    const clusters = all.filter(({ name }) => name !== "east-proxy");
    const own = clusters.flatMap(({ databases }) =>
      Object.entries(databases).flatMap(([logical, { database }]) =>
        logical === PUBSUB_DATABASE || logical === "dns" ? [] : [database],
      ),
    );
    expect(new Set(own).size).toBe(own.length);
    expect(new Set(byName(PUBSUB_DATABASE)).size).toBe(1);
    expect(byName("dns")).toEqual(["dns", "dns"]);
  });

  it("need nothing of the control plane's to serve, but the broker", () => {
    const controlServer = read("control").sql_servers[0].host;
    for (const name of ["east", "west", "east-proxy"]) {
      const servers: { host: string; databases: object }[] = read(name).sql_servers;
      const atControl = servers.filter(({ host }) => host === controlServer);
      const databases = atControl.flatMap((one) => Object.keys(one.databases));
      expect(databases.filter((logical) => logical !== PUBSUB_DATABASE)).toEqual([]);
    }
  });

  it("has a further proxy on the database of its cluster, which has its containers", () => {
    const [east, proxy] = [read("east"), read("east-proxy")];
    expect(proxy.hosted_services).toEqual(["proxy"]);
    expect(proxy.sql_servers).toEqual(east.sql_servers.slice(0, 1));
    expect(proxy.service_discovery.containers.base_url).toBe(east.metadata.base_url);
    expect([clusterOf(east, "east"), clusterOf(proxy, "east-proxy")]).toEqual(["east", "east"]);
    expect(clusterOf(read("control"), "control")).toBe("");
  });

  it.each(configs)("$name signs its calls, and gives a drain its time", ({ infra, json }) => {
    expect(infra.auth).toEqual([{ id: 1, key: "key" }]);
    expect(infra.gracefulShutdown.totalSeconds).toBeGreaterThan(60);
    // Encore's runtime takes no $env for a user name, though its build does.
    for (const { databases } of json.sql_servers) {
      for (const { username } of Object.values<{ username: unknown }>(databases)) {
        expect(typeof username).toBe("string");
      }
    }
  });

  it("are the same but for their names, for clusters", () => {
    const east = JSON.stringify(read("east")).replaceAll("east", "west");
    expect(JSON.parse(east)).toEqual(read("west"));
  });
});

describe("a config's place", () => {
  const server = {
    host: "localhost",
    port: 5432,
    socketDir: "/run/pg",
    tls: null,
    username: "postgres",
    password: "x",
  };
  const apis = new Map([
    ["control", "http://127.0.0.1:4000"],
    ["east", "http://127.0.0.1:4001"],
  ]);
  const machine = { serverOf: () => server, databasePrefix: "p_", apis, shutdownSeconds: 4 };

  it("has a server for each that is named", () => {
    const before = read("east");
    const hosts = serversOf([before, read("west")]);
    expect(hosts).toEqual([
      "postgres-east:5432",
      "postgres-dns:5432",
      "postgres-control:5432",
      "postgres-west:5432",
    ]);
    const serverOf = (host: string) => ({ ...server, socketDir: `/run/${host}` });
    const infra = parseInfraConfig(placeConfig(before, "east", { ...machine, serverOf }), ENV);
    expect(infra.databases.containers?.socketDir).toBe("/run/postgres-east:5432");
    expect(infra.databases.dns?.socketDir).toBe("/run/postgres-dns:5432");
  });

  it("is this machine: its server, its addresses, and nothing else is changed", () => {
    const before = read("east");
    const after = placeConfig(before, "east", machine);
    const infra = parseInfraConfig(after, ENV, "east");
    expect(infra.databases.containers).toMatchObject({
      socketDir: "/run/pg",
      database: "p_containers_east",
      username: "postgres",
      password: "password",
    });
    expect(infra.serviceDiscovery.clusters?.baseUrl).toBe("http://127.0.0.1:4000");
    expect(infra.metadata.baseUrl).toBe("http://127.0.0.1:4001");
    expect(infra.gracefulShutdown.totalSeconds).toBe(4);
    for (const key of ["auth", "pubsub", "hosted_services", "hosted_gateways", "cors"]) {
      expect(after[key]).toEqual(before[key]);
    }
  });

  it("leaves an address that is nobody's here", () => {
    const { containers } = parseInfraConfig(
      placeConfig(read("control"), "control", machine),
      ENV,
    ).serviceDiscovery;
    expect(containers?.baseUrl).toContain(".invalid");
  });
});

describe("options of npm run split", () => {
  it("take more clusters, which npm start does not", () => {
    const argv = ["--also", "a.infra.json", "--also", "b.infra.json"];
    expect(readOptions(argv, "run split").also).toEqual(["a.infra.json", "b.infra.json"]);
    expect(() => readOptions(argv)).toThrow("Unknown option '--also'");
    expect(readOptions(["--own-servers"], "run split").ownServers).toBe(true);
    expect(() => readOptions(["--own-servers"])).toThrow("Unknown option '--own-servers'");
  });
});

describe("a supervised process", () => {
  let dir: string;
  const lines: string[] = [];
  const running: Supervised[] = [];
  beforeEach(() => (dir = mkdtempSync(join(tmpdir(), "stele-supervise-"))));
  afterEach(async () => {
    for (const one of running.splice(0)) one.kill();
    lines.length = 0;
    rmSync(dir, { recursive: true, force: true });
  });

  function isAlive(one: number): boolean {
    try {
      return process.kill(one, 0);
    } catch {
      return false;
    }
  }
  const starts = () => readFileSync(join(dir, "starts"), "utf8").length;
  const pid = () => Number(readFileSync(join(dir, "pid"), "utf8").split(" ", 1)[0]);

  /** Does as `code` says, and counts its starts in a file. */
  function supervise(code: string): Supervised {
    const script = join(dir, "program.mjs");
    const count = `import { appendFileSync } from "node:fs"; appendFileSync("starts", ".");`;
    writeFileSync(script, `${code}\n${count}`);
    const one = new Supervised(
      {
        name: "east",
        command: [process.execPath, script],
        cwd: dir,
        env: process.env,
        pidFile: join(dir, "pid"),
        downFile: join(dir, "down"),
        isReady: async () => starts() > 0,
        stopMs: 300,
      },
      (line) => lines.push(line),
    );
    running.push(one);
    return one;
  }
  const LIVES = "setInterval(() => {}, 1000);";

  it("is started again when it dies, which is said", async () => {
    await supervise(LIVES).start();
    process.kill(pid(), "SIGKILL");
    await expect.poll(starts, { timeout: 5_000 }).toBe(2);
    expect(lines).toEqual([expect.stringMatching(/^east: it was ended by SIGKILL; starting it/)]);
  });

  it("stays down while its file says so, and comes back when that is gone", async () => {
    writeFileSync(join(dir, "down"), "");
    await supervise(LIVES).start();
    expect(starts()).toBe(1);
    writeFileSync(join(dir, "down"), "");
    process.kill(pid(), "SIGTERM");
    await expect.poll(() => lines, { timeout: 5_000 }).toHaveLength(1);
    expect(lines[0]).toContain("it stays down while there is");
    expect(starts()).toBe(1);
    rmSync(join(dir, "down"));
    await expect.poll(starts, { timeout: 5_000 }).toBe(2);
  });

  it("is no start when it ends at once", async () => {
    await expect(supervise("process.exit(3);").start()).rejects.toThrow(
      "Cannot start east: it ended with 3",
    );
  });

  it("ends in order when asked, and is not started again", async () => {
    const one = supervise(`process.on("SIGTERM", () => process.exit(0)); ${LIVES}`);
    await one.start();
    expect(await one.stop()).toBe(true);
    expect([starts(), lines]).toEqual([1, []]);
  });

  it("is ended by force when it does not end", async () => {
    const one = supervise(`process.on("SIGTERM", () => {}); ${LIVES}`);
    await one.start();
    expect(await one.stop()).toBe(false);
  });

  it("is waited for when its launcher was killed", async () => {
    await supervise(`process.on("SIGTERM", () => {}); ${LIVES}`).start();
    const left = pid();
    await endLeftover(join(dir, "pid"), 50);
    // Until its parent has heard of its end it has a pid.
    await expect.poll(() => isAlive(left), { timeout: 5_000 }).toBe(false);
  });
});
