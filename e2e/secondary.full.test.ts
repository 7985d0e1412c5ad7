import { type ChildProcess, execFileSync, spawn, spawnSync } from "node:child_process";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { freePort } from "../shared/__tests__/free-port";
import { Platform, type Repl, until, ZONE } from "./platform";

const env = { ...process.env, PATH: `${process.env.PATH}:/usr/sbin:/sbin` };
const isMissing = (tool: string): boolean => spawnSync(tool, ["-v"], { env }).error !== undefined;
const missing = ["nsd", "nsupdate", "dig"].find(isMissing);
const FIRST_TRANSFER_MS = 60_000;
/** NSD answers the NOTIFY at once, comes for the zone and takes it over. */
const IN_STEP_MS = 30_000;

interface Key {
  readonly name: string;
  readonly algorithm: string;
  readonly secret: string;
}

describe.skipIf(missing !== undefined)(
  `an NSD as secondary${missing === undefined ? "" : ` (${missing} is not installed)`}`,
  () => {
    const folder = mkdtempSync(join(tmpdir(), "stele-nsd-"));
    let platform: Platform;
    let nsd: ChildProcess;
    let port: number;
    let key: Key;
    let output = "";

    /** What a name server answers, one line a record. */
    const ask = (at: number, name: string, type: string): string =>
      execFileSync("dig", ["@127.0.0.1", "-p", String(at), "+short", "+tries=1", name, type], {
        encoding: "utf8",
      }).trim();
    const both = (name: string, type: string): [string, string] => [
      ask(platform.dnsPort, name, type),
      ask(port, name, type),
    ];
    const inStep = async (name: string, type: string, expected: string): Promise<void> => {
      const startedAt = performance.now();
      await until(
        `NSD answers ${expected} for ${name} ${type}: ${output.slice(-500)}`,
        () => ask(port, name, type) === expected,
        IN_STEP_MS,
      );
      console.log(
        `figure: secondary in step after ${Math.round(performance.now() - startedAt)} ms`,
      );
    };

    function startNsd(): ChildProcess {
      const config = `
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
zone:
  name: "${ZONE}"
  zonefile: "${ZONE}.zone"
  allow-notify: 127.0.0.1 ${key.name}
  request-xfr: 127.0.0.1@${platform.dnsPort} ${key.name}
`;
      writeFileSync(join(folder, "nsd.conf"), config);
      const child = spawn("nsd", ["-d", "-c", join(folder, "nsd.conf")], {
        env,
        stdio: ["ignore", "pipe", "pipe"],
      });
      child.stdout.on("data", (chunk) => (output += String(chunk)));
      child.stderr.on("data", (chunk) => (output += String(chunk)));
      return child;
    }

    beforeAll(async () => {
      chmodSync(folder, 0o755);
      platform = await Platform.start();
      port = await freePort();
      key = await platform.api<Key>("POST", "/v1/dns/keys", {
        name: "nsd.key",
        zones: ["*"],
        names: ["*"],
        types: ["*"],
        transfer: true,
        update: true,
      });
      nsd = startNsd();
      const address = encodeURIComponent(`127.0.0.1:${port}`);
      const route = `/v1/dns/zones/${ZONE}/secondaries/${address}`;
      await platform.api("PUT", route, { key: key.name });
    }, 120_000);

    afterAll(async () => {
      nsd?.kill("SIGTERM");
      await platform?.stop();
      rmSync(folder, { recursive: true, force: true });
    });

    it("has the zone, and hears of records, apps and moves by NOTIFY", async () => {
      await until(
        "NSD has transferred the zone",
        () => ask(port, ZONE, "NS") !== "",
        FIRST_TRANSFER_MS,
      );
      const [ours, theirs] = both(ZONE, "NS");
      expect(theirs.split("\n").sort()).toEqual(ours.split("\n").sort());

      await platform.api("PUT", `/v1/dns/zones/${ZONE}/rrsets/www/A`, {
        ttl: 60,
        values: ["192.0.2.1"],
      });
      await inStep(`www.${ZONE}`, "A", "192.0.2.1");

      const repl = await platform.api<Repl>("POST", "/v1/repls", {
        name: "hello",
        owner: "demo",
        cluster: "east",
        policy: "auto",
      });
      const host = `hello.demo.${ZONE}`;
      await inStep(host, "A", platform.ingressOf("east"));
      await inStep(`${repl.id}.id.${ZONE}`, "A", platform.ingressOf("east"));
      const migration = await platform.move(repl.id, "west");
      expect(migration.outcome).toBe("completed");
      await inStep(host, "A", platform.ingressOf("west"));
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
  },
);
