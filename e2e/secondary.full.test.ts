import { execFileSync } from "node:child_process";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { freePort } from "../shared/__tests__/free-port";
import { Daemon, missingOf } from "./acme";
import { Platform, type Repl, until, ZONE } from "./platform";

/** The names of the daemons, with what each of them needs. */
const SERVERS = { NSD: "nsd", Knot: "knotd" } as const;
const CUSTOMER = "customer.test";
const FIRST_TRANSFER_MS = 60_000;
/** A secondary answers the NOTIFY at once, comes for the zone and takes it over. */
const IN_STEP_MS = 30_000;

interface Key {
  readonly name: string;
  readonly algorithm: string;
  readonly secret: string;
}

const configs = {
  NSD: ({ folder, port, primary, key }: Settings) => `
server:
  ip-address: 127.0.0.1@${port}
  username: ""
  chroot: ""
  zonesdir: "${folder}"
  database: ""
  pidfile: "${folder}/nsd.pid"
  xfrdfile: "${folder}/xfrd.state"
  zonelistfile: "${folder}/zone.list"
  xfrdir: "${folder}"
  verbosity: 2
remote-control:
  control-enable: no
key:
  name: "${key.name}"
  algorithm: ${key.algorithm}
  secret: "${key.secret}"
${[ZONE, CUSTOMER]
  .map(
    (zone) => `
zone:
  name: "${zone}"
  zonefile: "${zone}.zone"
  allow-notify: 127.0.0.1 ${key.name}
  request-xfr: 127.0.0.1@${primary} ${key.name}
`,
  )
  .join("")}`,
  Knot: ({ folder, port, primary, key }: Settings) => `
server:
    rundir: ${folder}
    listen: 127.0.0.1@${port}
database:
    storage: ${folder}
log:
  - target: stderr
    any: info
key:
  - id: ${key.name}
    algorithm: ${key.algorithm}
    secret: ${key.secret}
remote:
  - id: primary
    address: 127.0.0.1@${primary}
    key: ${key.name}
acl:
  - id: notified
    address: 127.0.0.1
    key: ${key.name}
    action: notify
zone:
${[ZONE, CUSTOMER]
  .map((zone) => `  - domain: ${zone}\n    master: primary\n    acl: notified\n`)
  .join("")}`,
};

interface Settings {
  readonly folder: string;
  readonly port: number;
  readonly primary: number;
  readonly key: Key;
}

/** A line for each record. */
const ask = (port: number, name: string, type: string): string =>
  execFileSync("dig", ["@127.0.0.1", "-p", String(port), "+short", "+tries=1", name, type], {
    encoding: "utf8",
  }).trim();

describe.for(["NSD", "Knot"] as const)("%s as secondary", (server) => {
  const missing = missingOf([SERVERS[server], "nsupdate", "dig"]);

  describe.skipIf(missing !== undefined)(missing ? `(${missing} is not installed)` : "", () => {
    const folder = mkdtempSync(join(tmpdir(), "stele-secondary-"));
    let platform: Platform;
    let daemon: Daemon;
    let port: number;
    let key: Key;
    let app: Repl;

    const both = (name: string, type: string): [string, string] => [
      ask(platform.dnsPort, name, type),
      ask(port, name, type),
    ];
    const inStep = async (name: string, type: string, expected: string): Promise<void> => {
      const startedAt = performance.now();
      await until(
        `${server} answers ${expected} for ${name} ${type}: ${daemon.output.slice(-500)}`,
        () => ask(port, name, type) === expected,
        IN_STEP_MS,
      );
      const ms = Math.round(performance.now() - startedAt);
      console.log(`figure: secondary in step after ${ms} ms (${server})`);
    };

    beforeAll(async () => {
      chmodSync(folder, 0o755);
      mkdirSync(join(folder, "data"));
      platform = await Platform.start();
      port = await freePort();
      key = await platform.api<Key>("POST", "/v1/dns/keys", {
        name: "secondary.key",
        zones: ["*"],
        names: ["*"],
        types: ["*"],
        transfer: true,
        update: true,
      });
      await platform.api("PUT", `/v1/dns/zones/${CUSTOMER}`);
      const config = join(folder, "config");
      const at = { folder: join(folder, "data"), port, primary: platform.dnsPort, key };
      writeFileSync(config, configs[server](at));
      const isForeground = server === "NSD" ? ["-d"] : [];
      daemon = new Daemon(SERVERS[server], [...isForeground, "-c", config]);
      const address = encodeURIComponent(`127.0.0.1:${port}`);
      for (const zone of [ZONE, CUSTOMER]) {
        const route = `/v1/dns/zones/${zone}/secondaries/${address}`;
        await platform.api("PUT", route, { key: key.name });
      }
    }, 120_000);

    afterAll(async () => {
      daemon?.stop();
      await platform?.stop();
      rmSync(folder, { recursive: true, force: true });
    });

    it("has the zone, and hears of records, apps and moves by NOTIFY", async () => {
      await until(
        `${server} has transferred the zones`,
        () => ask(port, ZONE, "NS") !== "" && ask(port, CUSTOMER, "NS") !== "",
        FIRST_TRANSFER_MS,
      );
      const [ours, theirs] = both(ZONE, "NS");
      expect(theirs.split("\n").sort()).toEqual(ours.split("\n").sort());

      await platform.api("PUT", `/v1/dns/zones/${ZONE}/rrsets/www/A`, {
        ttl: 60,
        values: ["192.0.2.1"],
      });
      await inStep(`www.${ZONE}`, "A", "192.0.2.1");

      app = await platform.api<Repl>("POST", "/v1/repls", {
        name: "hello",
        owner: "demo",
        cluster: "east",
        policy: "auto",
      });
      const host = `hello.demo.${ZONE}`;
      await inStep(host, "A", platform.ingressOf("east"));
      await inStep(`${app.id}.id.${ZONE}`, "A", platform.ingressOf("east"));
      const migration = await platform.move(app.id, "west");
      expect(migration.outcome).toBe("completed");
      await inStep(host, "A", platform.ingressOf("west"));
    });

    it("hears of the moves of an app to which a customer's zone leads", async () => {
      const values = [`${app.id}.id.${ZONE}`];
      await platform.api("PUT", `/v1/dns/zones/${CUSTOMER}/rrsets/%40/ALIAS`, { ttl: 60, values });
      await inStep(CUSTOMER, "A", platform.ingressOf("west"));
      expect((await platform.move(app.id, "east")).outcome).toBe("completed");
      await inStep(CUSTOMER, "A", platform.ingressOf("east"));
      expect(ask(port, CUSTOMER, "TYPE65401")).toBe("");
    });

    it("hears of an update by nsupdate, and shows our serial", async () => {
      const input = [
        `server 127.0.0.1 ${platform.dnsPort}`,
        `zone ${ZONE}`,
        `update add _acme-challenge.${ZONE} 60 TXT proof`,
        "send",
        "",
      ].join("\n");
      const signed = `${key.algorithm}:${key.name}:${key.secret}`;
      execFileSync("nsupdate", ["-y", signed], { input });
      await inStep(`_acme-challenge.${ZONE}`, "TXT", '"proof"');
      await until("both show one serial", () => {
        const [ours, theirs] = both(ZONE, "SOA");
        return ours === theirs;
      });
    });

    it("comes back in step after a restart of ours, with a serial that only rose", async () => {
      const serial = (): number => Number(ask(platform.dnsPort, ZONE, "SOA").split(" ")[2]);
      const before = serial();
      await platform.terminate();
      await platform.boot();
      expect(serial()).toBeGreaterThanOrEqual(before);
      await platform.api("PUT", `/v1/dns/zones/${ZONE}/rrsets/after/A`, {
        ttl: 60,
        values: ["192.0.2.2"],
      });
      await inStep(`after.${ZONE}`, "A", "192.0.2.2");
      expect(serial()).toBeGreaterThan(before);
    });
  });
});
