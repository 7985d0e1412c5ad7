import { execFileSync } from "node:child_process";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { freePort } from "../shared/__tests__/free-port";
import { Authority, certbot, Daemon, lego, missingOf } from "./acme";
import { Platform, type Repl, until, ZONE } from "./platform";

const missing = missingOf(["pebble", "certbot", "lego", "unbound", "knotd", "openssl", "dig"]);
const START_MS = 20_000;
const SWEEP_MS = 10_000;

/** A customer's zone that we serve, one that somebody else does, and where challenges may be sent. */
const CUSTOMER = "example.org";
const ELSEWHERE = "customer.test";
const OUR_VALIDATION = "validation.test";
const THEIR_VALIDATION = "acme.example.net";
const APP = `app.user.${ZONE}`;

interface Key {
  readonly name: string;
  readonly secret: string;
}

const withWildcard = (name: string): string[] => [name, `*.${name}`];
const sorted = (names: readonly string[]): string[] => names.toSorted();

describe.skipIf(missing !== undefined)(
  `certificates by DNS-01${missing === undefined ? "" : ` (${missing} is not installed)`}`,
  () => {
    const folder = mkdtempSync(join(tmpdir(), "stele-acme-"));
    /** Changed between restarts. */
    const settings: Record<string, string> = {};
    const daemons: Daemon[] = [];
    let platform: Platform;
    let app: Repl;
    let authority: Authority;
    let key: Key;
    let theirPort: number;
    let resolver: string;

    const ask = (name: string, type: string, port = platform.dnsPort): string[] =>
      execFileSync("dig", ["@127.0.0.1", "-p", String(port), "+short", "+tries=1", name, type], {
        encoding: "utf8",
      })
        .split("\n")
        .filter((line) => line !== "");
    const order = (client: string, names: readonly string[]) => {
      return { authority, folder: join(folder, client), names };
    };
    const put = (zone: string, name: string, type: string, values: readonly string[]) =>
      platform.api("PUT", `/v1/dns/zones/${zone}/rrsets/${name}/${type}`, { ttl: 60, values });

    /** The most values that were answered at once for `name` while `work` went on. */
    async function mostAtOnce(name: string, work: Promise<unknown>): Promise<number> {
      let most = 0;
      let isOver = false;
      const done = work.finally(() => (isOver = true));
      await until(
        "the client ends",
        () => {
          most = Math.max(most, ask(name, "TXT").length);
          return isOver;
        },
        120_000,
      );
      await done;
      return most;
    }

    /** Knot, as the name server of somebody else: it takes updates, and has a zone that leads to us. */
    function startTheirs(): Daemon {
      const soa = "3600 IN SOA ns.example.net. admin.example.net. 1 3600 600 604800 0\n";
      const head = `@ ${soa}@ 3600 IN NS ns.example.net.\n`;
      const alias = `_acme-challenge.shop 60 IN CNAME _acme-challenge.${app.id}.id.${ZONE}.\n`;
      writeFileSync(join(folder, `${ELSEWHERE}.zone`), `$ORIGIN ${ELSEWHERE}.\n${head}${alias}`);
      writeFileSync(
        join(folder, `${THEIR_VALIDATION}.zone`),
        `$ORIGIN ${THEIR_VALIDATION}.\n${head}`,
      );
      mkdirSync(join(folder, "knot"));
      const zones = [ELSEWHERE, THEIR_VALIDATION].map((zone) => {
        return `  - domain: ${zone}\n    file: ${folder}/${zone}.zone\n    acl: all\n`;
      });
      const config = `
server:
    rundir: ${folder}/knot
    listen: 127.0.0.1@${theirPort}
database:
    storage: ${folder}/knot
log:
  - target: stderr
    any: info
acl:
  - id: all
    address: 127.0.0.1
    action: update
zone:
${zones.join("")}`;
      writeFileSync(join(folder, "knot.conf"), config);
      return new Daemon("knotd", ["-c", join(folder, "knot.conf")]);
    }

    /** Unbound, as the resolver of a certificate authority: it keeps nothing, and knows who serves what. */
    function startResolver(port: number): Daemon {
      const ours = [ZONE, CUSTOMER, OUR_VALIDATION].map(
        (zone) => [zone, platform.dnsPort] as const,
      );
      const theirs = [ELSEWHERE, THEIR_VALIDATION].map((zone) => [zone, theirPort] as const);
      const stubs = [...ours, ...theirs].map(([zone, at]) => {
        return `stub-zone:\n  name: "${zone}"\n  stub-addr: 127.0.0.1@${at}\n`;
      });
      const config = `
server:
  interface: 127.0.0.1
  port: ${port}
  directory: "${folder}"
  username: ""
  chroot: ""
  pidfile: ""
  use-syslog: no
  logfile: ""
  do-not-query-localhost: no
  module-config: "iterator"
  local-zone: "test." nodefault
  cache-max-ttl: 0
  cache-max-negative-ttl: 0
remote-control:
  control-enable: no
${stubs.join("")}`;
      writeFileSync(join(folder, "unbound.conf"), config);
      return new Daemon("unbound", ["-d", "-c", join(folder, "unbound.conf")]);
    }

    const restartWith = async (validationZone: string): Promise<void> => {
      settings.STELE_DNS_VALIDATION_ZONE = validationZone;
      await platform.terminate();
      await platform.boot();
    };

    /** Lego, which follows CNAMEs by itself, with updates that `server` takes. */
    const legoAt = (server: number, signed?: Key) => ({
      name: "rfc2136",
      resolver,
      env: {
        RFC2136_NAMESERVER: `127.0.0.1:${server}`,
        RFC2136_SEQUENCE_INTERVAL: "1",
        RFC2136_POLLING_INTERVAL: "1",
        ...(signed && {
          RFC2136_TSIG_ALGORITHM: "hmac-sha256.",
          RFC2136_TSIG_KEY: `${signed.name}.`,
          RFC2136_TSIG_SECRET: signed.secret,
        }),
      },
    });

    beforeAll(async () => {
      chmodSync(folder, 0o755);
      platform = await Platform.start({ env: settings });
      const place = { name: "app", owner: "user", cluster: "east", policy: "auto" };
      app = await platform.api<Repl>("POST", "/v1/repls", place);
      for (const zone of [CUSTOMER, OUR_VALIDATION]) {
        await platform.api("PUT", `/v1/dns/zones/${zone}`);
      }
      key = await platform.api<Key>("POST", "/v1/dns/keys", {
        name: "acme",
        zones: ["*"],
        names: ["_acme-challenge.*"],
        types: ["TXT"],
        update: true,
      });
      authority = await Authority.make(join(folder, "authority"));
      theirPort = await freePort();
      const resolverPort = await freePort();
      resolver = `127.0.0.1:${resolverPort}`;
      const [theirs, ofAuthority] = [startTheirs(), startResolver(resolverPort)];
      daemons.push(theirs, ofAuthority);
      await until(
        `Knot and unbound answer: ${theirs.output} ${ofAuthority.output}`,
        () =>
          ask(THEIR_VALIDATION, "SOA", theirPort).length === 1 &&
          ask(`${ELSEWHERE}`, "SOA", resolverPort).length === 1 &&
          ask(ZONE, "SOA", resolverPort).length === 1,
        START_MS,
      );
    }, 120_000);

    afterAll(async () => {
      await authority?.stop();
      for (const daemon of daemons) daemon.stop();
      await platform?.stop();
      rmSync(folder, { recursive: true, force: true });
    });

    describe("asked of our name server itself", () => {
      beforeAll(() => authority.start(`127.0.0.1:${platform.dnsPort}`));

      it.each([APP, CUSTOMER])("%s and its wildcard, by certbot's RFC 2136", async (name) => {
        const file = join(folder, "rfc2136.ini");
        const credentials = {
          server: "127.0.0.1",
          port: platform.dnsPort,
          name: key.name,
          secret: key.secret,
          algorithm: "HMAC-SHA256",
        };
        const lines = Object.entries(credentials).map(([at, is]) => `dns_rfc2136_${at} = ${is}\n`);
        writeFileSync(file, lines.join(""), { mode: 0o600 });
        const work = certbot(order(`certbot-${name}`, withWildcard(name)), [
          "--dns-rfc2136",
          "--dns-rfc2136-credentials",
          file,
          "--dns-rfc2136-propagation-seconds",
          "1",
        ]);
        expect(await mostAtOnce(`_acme-challenge.${name}`, work)).toBe(2);
        expect(await authority.namesOf(await work)).toEqual(sorted(withWildcard(name)));
        expect(ask(`_acme-challenge.${name}`, "TXT")).toEqual([]);
      });

      it.each([APP, CUSTOMER])("%s and its wildcard, by hooks with our CLI", async (name) => {
        const hook = (verb: string): string =>
          `${process.execPath} cli/stele.mjs dns challenge ${verb} _acme-challenge.$CERTBOT_DOMAIN $CERTBOT_VALIDATION`;
        const around = {
          STELE_API: `http://127.0.0.1:${platform.apiPort}`,
          STELE_TOKEN_FILE: platform.tokenFile,
        };
        const hooks = ["--manual", "--preferred-challenges", "dns"];
        hooks.push("--manual-auth-hook", hook("put"), "--manual-cleanup-hook", hook("rm"));
        const work = certbot(order(`hooks-${name}`, withWildcard(name)), hooks, around);
        expect(await mostAtOnce(`_acme-challenge.${name}`, work)).toBe(2);
        expect(await authority.namesOf(await work)).toEqual(sorted(withWildcard(name)));
        expect(ask(`_acme-challenge.${name}`, "TXT")).toEqual([]);
      });

      it("an app's name and its wildcard, by lego's RFC 2136", async () => {
        const made = await lego(order("lego", withWildcard(APP)), legoAt(platform.dnsPort, key));
        expect(await authority.namesOf(made)).toEqual(sorted(withWildcard(APP)));
        expect(ask(`_acme-challenge.${APP}`, "TXT")).toEqual([]);
      });

      it("a value that nobody removes is gone when its time is over", async () => {
        const name = `_acme-challenge.${APP}`;
        for (const [value, ttlSeconds] of [
          ["short", 1],
          ["long", 600],
        ] as const) {
          await platform.api("POST", "/v1/dns/challenges", { name, value, ttlSeconds });
        }
        const before = sorted(ask(name, "TXT"));
        await until("the short one is gone", () => ask(name, "TXT").join() === '"long"', SWEEP_MS);
        expect(before).toContain('"long"');
        const after = ask(ZONE, "SOA")[0]!.split(" ")[2]!;
        await platform.api("DELETE", `/v1/dns/challenges?name=${name}&value=long`);
        expect(ask(name, "TXT")).toEqual([]);
        expect(Number(ask(ZONE, "SOA")[0]!.split(" ")[2])).toBeGreaterThan(Number(after));
      });
    });

    describe("asked through a resolver", () => {
      beforeAll(() => authority.start(resolver));

      it("a domain elsewhere whose challenges are an alias of its app's", async () => {
        const shop = `shop.${ELSEWHERE}`;
        const made = await lego(order("shop", [shop]), legoAt(platform.dnsPort, key));
        expect(await authority.namesOf(made)).toEqual([shop]);
      });

      it("names of a customer's zone, delegated to another zone of ours", async () => {
        const target = `_acme-challenge.${app.id}.id.${ZONE}`;
        await put(CUSTOMER, "_acme-challenge.www", "CNAME", [target]);
        const www = `www.${CUSTOMER}`;
        const made = await lego(order("www", [www]), legoAt(platform.dnsPort, key));
        expect(await authority.namesOf(made)).toEqual([www]);
      });

      it("all of the platform's, delegated to a validation zone of ours", async () => {
        await restartWith(OUR_VALIDATION);
        const target = `_acme-challenge.app.user.${OUR_VALIDATION}.`;
        expect(ask(`_acme-challenge.${APP}`, "CNAME")).toEqual([target]);
        const made = await lego(order("ours", [APP]), legoAt(platform.dnsPort, key));
        expect(await authority.namesOf(made)).toEqual([APP]);
      });

      it("all of the platform's, delegated to a zone of somebody else", async () => {
        await restartWith(THEIR_VALIDATION);
        const target = `_acme-challenge.app.user.${THEIR_VALIDATION}.`;
        expect(ask(`_acme-challenge.${APP}`, "CNAME")).toEqual([target]);
        const made = await lego(order("theirs", [APP]), legoAt(theirPort));
        expect(await authority.namesOf(made)).toEqual([APP]);
      });
    });
  },
);
