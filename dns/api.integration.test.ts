import { clusters } from "~encore/clients";
import { beforeAll, describe, expect, it } from "vitest";

import * as dns from "./api";
import * as challenges from "./api-challenges";
import { instances } from "./api-instances";
import * as domains from "./api-domains";
import * as files from "./api-files";
import * as ending from "./api-zones";
import { catalogOf, lines, wireName } from "./core/__tests__/zone-text";
import { answer } from "./core/answer";
import { typeCode } from "./core/codes";
import { instance } from "./instance";
import { db } from "./db";
import { deleteInstance, readRegistry, writeInstance } from "./store-instances";
import { ensurePlatformZone, zones } from "./zones";

const PLATFORM = "repl.localhost";

function ask(name: string, type: string): string[] {
  const question = { name: wireName(name), type: typeCode(type)!, class: 1 };
  return lines(answer(instance().catalog, question).answers);
}

const put = (name: string, type: string, ...values: string[]) =>
  dns.putRrset({ zone: "example.test", name, type, ttl: 300, values });

beforeAll(async () => {
  // Instances of other tests have died, but not long ago.
  for (const { id } of (await readRegistry("")).peers) await deleteInstance(id);
  await ensurePlatformZone();
  await zones().refresh();
  await dns.putZone({ zone: "Example.test" });
});

describe("zones", () => {
  it("are made with SOA, NS and the addresses of the name servers", () => {
    expect(ask(PLATFORM, "SOA")[0]).toMatch(/^repl\.localhost 3600 SOA ns1\.repl\.localhost hostm/);
    expect(ask(PLATFORM, "NS")).toHaveLength(2);
    expect(ask(`ns1.${PLATFORM}`, "A")).toEqual([`ns1.${PLATFORM} 3600 A 127.0.0.1`]);
    expect(ask("example.test", "NS")).toHaveLength(2);
  });

  it("are listed with their serial", async () => {
    const { items } = await dns.listZones();
    const names = items.map(({ name }) => name);
    expect(names).toEqual(expect.arrayContaining(["example.test", PLATFORM]));
    expect(items[0]!.serial).toBeGreaterThan(1.7e9);
  });
});

describe("the end of a zone", () => {
  const ZONE = "ending.test";
  const at = (zone: string, name: string, type: string, ...values: string[]) =>
    dns.putRrset({ zone, name, type, ttl: 60, values });
  const serialOf = async (zone: string): Promise<number | undefined> =>
    (await dns.listZones()).items.find(({ name }) => name === zone)?.serial;
  const end = (zone: string): Promise<void> => ending.deleteZone({ zone });

  it("is answered when the call returns, and a zone made anew has a later serial", async () => {
    await dns.putZone({ zone: ZONE });
    await at(ZONE, "www", "A", "192.0.2.1");
    await challenges.putChallenge({ name: `_acme-challenge.${ZONE}`, value: "v" });
    const before = (await serialOf(ZONE))!;
    await end("Ending.test");
    expect(instance().catalog.zoneOf(wireName(`www.${ZONE}`))).toBeUndefined();
    expect(await serialOf(ZONE)).toBeUndefined();
    for (const refused of [
      () => end(ZONE),
      () => dns.listRrsets({ zone: ZONE }),
      () => at(ZONE, "www", "A", "192.0.2.1"),
    ]) {
      await expect(refused()).rejects.toMatchObject({ code: "not_found" });
    }
    expect((await dns.putZone({ zone: ZONE })).serial).toBeGreaterThan(before);
    expect(ask(ZONE, "NS")).toHaveLength(2);
    expect(ask(`www.${ZONE}`, "A")).toEqual([]);
    expect(ask(`_acme-challenge.${ZONE}`, "TXT")).toEqual([]);
  });

  it("also of one that comes back from its file, whatever serial that has", async () => {
    await dns.putZone({ zone: ZONE });
    const { text, serial } = await files.exportZone({ zone: ZONE });
    await end(ZONE);
    const made = await files.importZone({ zone: ZONE, text });
    expect(made.serial).toBeGreaterThan(serial);
  });

  it("is refused for what the platform needs, and while something leads there", async () => {
    await expect(end(PLATFORM)).rejects.toThrow(/apps have their names in it/);
    await dns.putZone({ zone: ZONE });
    await dns.putZone({ zone: `sub.${ZONE}` });
    await at(ZONE, "mail", "A", "192.0.2.1");
    await at("example.test", "led", "MX", `10 Mail.${ZONE}`);
    await expect(end(ZONE)).rejects.toThrow(
      /MX at "led\.example\.test" in "example\.test" leads to "mail\.ending\.test"/,
    );
    await at("example.test", "led", "MX", `10 mail.sub.${ZONE}`, `10 notmail${ZONE}`);
    // Below it, where a zone of ours stays.
    await at(ZONE, "sub", "NS", "ns1.repl.localhost");
    await expect(end(`sub.${ZONE}`)).rejects.toThrow(/NS at "sub\.ending\.test" .* delegates it/);
    await end(ZONE);
    await expect(end(`sub.${ZONE}`)).rejects.toThrow(/MX at "led/);
    await dns.deleteRrset({ zone: "example.test", name: "led", type: "MX" });
    await end(`sub.${ZONE}`);
  });
});

describe("RRsets", () => {
  it("are answered when the call returns, with a higher serial, and listed", async () => {
    const serial = async () =>
      (await dns.listZones()).items.find((z) => z.name === "example.test")!.serial;
    const before = await serial();
    expect(await put("www", "aaaa", "2001:DB8::1")).toEqual({
      zone: "example.test",
      name: "www.example.test",
      type: "AAAA",
      ttl: 300,
      values: ["2001:db8::1"],
    });
    expect(ask("www.example.test", "AAAA")).toEqual(["www.example.test 300 AAAA 2001:db8::1"]);
    expect(await serial()).toBeGreaterThan(before);
    const { items } = await dns.listRrsets({ zone: "example.test" });
    expect(items.map(({ name, type }) => `${name} ${type}`)).toContain("www.example.test AAAA");
    const www = { zone: "example.test", name: "www", type: "AAAA" };
    await dns.deleteRrset(www);
    expect(ask("www.example.test", "AAAA")).toEqual([]);
    const gone = await serial();
    await dns.deleteRrset(www);
    expect(await serial()).toBe(gone);
  });

  it.each([
    ["www", "CNAME", "x.example", "y.example"],
    ["@", "CNAME", "x.example"],
    ["a..b", "A", "192.0.2.1"],
    ["www", "A", "192.0.2.300"],
    ["www", "ANY", "x"],
    ["www.other.test.", "A", "192.0.2.1"],
    ["www", "MX", "10 192.0.2.1"],
  ])("are refused: %s %s %s", async (name, type, ...values) => {
    await expect(put(name, type, ...values)).rejects.toMatchObject({ code: "invalid_argument" });
  });

  it("say the RFC's reason", async () => {
    await put("taken", "A", "192.0.2.1");
    await expect(put("taken", "CNAME", "x.example")).rejects.toThrow(/RFC 1034 3\.6\.2/);
    await put("alias", "CNAME", "x.example");
    await expect(put("alias", "A", "192.0.2.1")).rejects.toThrow(/RFC 1034 3\.6\.2/);
    await expect(put("@", "MX", "10 alias.example.test")).rejects.toThrow(/RFC 2181 10\.3/);
    await expect(put("mail", "MX", "10 alias.example.test")).rejects.toThrow(/RFC 2181 10\.3/);
    await put("@", "MX", "10 taken.example.test");
    await dns.deleteRrset({ zone: "example.test", name: "taken", type: "A" });
    await expect(put("taken", "CNAME", "x.example")).rejects.toThrow(
      /MX at "example\.test".*10\.3/,
    );
    await expect(put("sub", "NS", "ns.sub.example.test")).rejects.toThrow(/RFC 1912 2\.8/);
    await put("ns.sub", "A", "192.0.2.5");
    await put("sub", "NS", "ns.sub.example.test");
    const glue = { zone: "example.test", name: "ns.sub", type: "A" };
    await expect(dns.deleteRrset(glue)).rejects.toThrow(/no address/);
    const apexNs = { zone: "example.test", name: "@", type: "NS" };
    await expect(dns.deleteRrset(apexNs)).rejects.toThrow(/must have its NS/);
  });

  it("may be at names in letters of any language", async () => {
    expect((await dns.putZone({ zone: "b\u00fccher.test" })).name).toBe("xn--bcher-kva.test");
    const at = async (name: string): Promise<string> => {
      const zone = "B\u00dcCHER.test";
      return (await dns.putRrset({ zone, name, type: "TXT", ttl: 60, values: ["x"] })).name;
    };
    expect(await at("\u00fc")).toBe("xn--tda.xn--bcher-kva.test");
    expect(await at("*.\u00fc")).toBe("*.xn--tda.xn--bcher-kva.test");
    expect(await at("_dmarc.\u00fc.b\u00fccher.test.")).toBe("_dmarc.xn--tda.xn--bcher-kva.test");
    // The name of a service is UTF-8, which has to be written out.
    await expect(at("\u00fc._http._tcp")).rejects.toThrow(/escaped as/);
    expect(await at("\\195\\188._http._tcp")).toBe("\\195\\188._http._tcp.xn--bcher-kva.test");
    await ending.deleteZone({ zone: "b\u00fccher.test" });
  });

  it("need their zone", async () => {
    const put = dns.putRrset({
      zone: "no.test",
      name: "a",
      type: "A",
      ttl: 1,
      values: ["192.0.2.1"],
    });
    await expect(put).rejects.toMatchObject({ code: "not_found" });
    await expect(dns.listRrsets({ zone: "no.test" })).rejects.toMatchObject({ code: "not_found" });
  });
});

describe("challenges", () => {
  const name = `_acme-challenge.some.${PLATFORM}`;

  it("are answered when the call returns, several at once", async () => {
    await challenges.putChallenge({ name, value: "one" });
    await challenges.putChallenge({ name, value: "two", ttlSeconds: 60 });
    expect(ask(name, "TXT")).toEqual([`${name} 60 TXT "one"`, `${name} 60 TXT "two"`]);
    await challenges.deleteChallenge({ name, value: "one" });
    expect(ask(name, "TXT")).toEqual([`${name} 60 TXT "two"`]);
    await challenges.deleteChallenge({ name, value: "two" });
    expect(ask(name, "TXT")).toEqual([]);
  });

  it("come and go together in one change", async () => {
    const put = await challenges.putChallenge({ name, value: "one", values: ["two", "one"] });
    expect(put).toEqual({ revision: expect.any(Number), everywhere: true, missing: [] });
    expect(ask(name, "TXT")).toEqual([`${name} 60 TXT "one"`, `${name} 60 TXT "two"`]);
    await challenges.deleteChallenge({ name, values: ["one", "two"] });
    expect(ask(name, "TXT")).toEqual([]);
  });

  it("say who does not answer them, when there is such an instance", async () => {
    await writeInstance({ id: "silent", revision: 0, seq: 0, state: "{}" });
    // Time enough to read the registry.
    const put = await challenges.putChallenge({ name, value: "one", waitMs: 500 });
    expect(put).toMatchObject({ everywhere: false, missing: ["silent"] });
    expect(ask(name, "TXT")).toHaveLength(1);
    const answered = challenges.deleteChallenge({ name, value: "one" });
    await writeInstance({ id: "silent", revision: put.revision + 1, seq: 0, state: "{}" });
    expect(await answered).toMatchObject({ everywhere: true, missing: [] });
    await deleteInstance("silent");
  });

  it("are at most fifty at a name", async () => {
    const values = Array.from({ length: 50 }, (_, i) => `v${i}`);
    await challenges.putChallenge({ name, values });
    await challenges.putChallenge({ name, values });
    await expect(challenges.putChallenge({ name, value: "w" })).rejects.toThrow(/51 values/);
    await challenges.deleteChallenge({ name, values });
    await expect(challenges.deleteChallenge({ name })).rejects.toThrow(/expected a value/);
  });

  it.each([
    ["some.repl.localhost", "v", /must begin with/],
    ["_acme-challenge.example.org", "v", /no zone of ours/],
    [name, "", /1 to 255/],
  ])("are refused: %s %j", async (at, value, reason) => {
    await expect(challenges.putChallenge({ name: at, value })).rejects.toThrow(reason);
  });
});

describe("a restart", () => {
  it("finds everything again, with the same serials", async () => {
    const { catalog, snapshot } = instance();
    const changes = [...snapshot.changes()];
    const again = catalogOf({ platformZone: PLATFORM, validationZone: "" });
    again.apply({ changes, seq: snapshot.seq });
    expect(again.zones).toEqual(catalog.zones);
  });
});

describe("domains", () => {
  const hostname = "shop.example.test";
  let replId = "";

  beforeAll(async () => {
    const token = { authData: { userID: "test" } };
    const ingress = ["127.0.1.1"];
    await clusters.addCluster({ id: "dns-api", ingress, httpPort: 8080, listen: [] }, token);
    replId = (await clusters.createRepl({ name: "shop", owner: "demo", cluster: "dns-api" }, token))
      .id;
  });

  it("are active by a CNAME to their repl, and handed to the proxies", async () => {
    const target = `${replId}.id.${PLATFORM}`;
    const added = await domains.addDomain({ hostname: "Shop.example.test", replId });
    expect(added).toMatchObject({ hostname, target, status: "pending", reason: null });
    const early = await domains.verifyDomain({ hostname });
    expect(early).toMatchObject({ status: "pending", reason: expect.stringContaining("no CNAME") });
    await put("shop", "CNAME", target);
    const late = await domains.verifyDomain({ hostname });
    expect(late).toMatchObject({ status: "active", reason: null });
    expect((await clusters.lookup({ hostname })).replId).toBe(replId);
    expect((await domains.listDomains({ replId })).items).toEqual([late]);
    await domains.removeDomain({ hostname });
    expect((await clusters.lookup({ hostname })).found).toBe(false);
    expect((await domains.listDomains({})).items).toEqual([]);
  });

  it("lapse when they have led elsewhere for days, and come back", async () => {
    const status = async () => (await domains.verifyDomain({ hostname })).status;
    const isServed = async () => (await clusters.lookup({ hostname })).found;
    await domains.addDomain({ hostname, replId });
    expect([await status(), await isServed()]).toEqual(["active", true]);
    await put("shop", "CNAME", "elsewhere.example");
    expect([await status(), await isServed()]).toEqual(["active", true]);
    await db.exec`UPDATE domain SET failing_since = now() - interval '4 days'
      WHERE hostname = ${hostname}`;
    expect([await status(), await isServed()]).toEqual(["lapsed", false]);
    await put("shop", "CNAME", `${replId}.id.${PLATFORM}`);
    expect([await status(), await isServed()]).toEqual(["active", true]);
    await domains.removeDomain({ hostname });
    await dns.deleteRrset({ zone: "example.test", name: "shop", type: "CNAME" });
  });

  it("of a zone's own name are proven by TXT, and lead here by addresses", async () => {
    const apex = "example.test";
    const { proof, proofName } = await domains.addDomain({ hostname: apex, replId });
    expect([proofName, proof]).toEqual([`_stele.${apex}`, expect.stringMatching(/^stele-domain=/)]);
    await put("@", "A", "127.0.1.1");
    const led = await domains.verifyDomain({ hostname: apex });
    expect(led).toMatchObject({ status: "pending", reason: expect.stringContaining(proof) });
    await put("_stele", "TXT", proof);
    await zones().refresh();
    // Where the clusters are is known from the placement log, which nobody follows here.
    expect(await domains.verifyDomain({ hostname: apex })).toMatchObject({ status: "verified" });
    instance().apply({
      changes: [{ kind: "cluster", id: "dns-api", ingress: ["127.0.1.1"] }],
      seq: 0,
    });
    expect(await domains.verifyDomain({ hostname: apex })).toMatchObject({ status: "active" });
    expect((await clusters.lookup({ hostname: apex })).replId).toBe(replId);
    await domains.removeDomain({ hostname: apex });
  });

  it("of a zone's own name are active by an ALIAS in a zone of ours", async () => {
    const apex = "alias.test";
    await dns.putZone({ zone: apex });
    const at = (name: string, type: string, value: string) =>
      dns.putRrset({ zone: apex, name, type, ttl: 300, values: [value] });
    const { target, zone } = await domains.addDomain({ hostname: apex, replId });
    expect(zone).toBe(apex);
    await expect(at("@", "ALIAS", target)).rejects.toThrow(/no app of ours/);
    const repl = { id: replId, name: "led", owner: "demo", clusterId: "dns-api", generation: 1 };
    const cluster = { kind: "cluster" as const, id: "dns-api", ingress: ["127.0.1.1"] };
    instance().apply({ changes: [cluster, { kind: "repl", ...repl }], seq: 0 });
    expect(await at("@", "alias", target)).toMatchObject({ type: "ALIAS", values: [target] });
    expect(ask(apex, "A")).toEqual([`${apex} 60 A 127.0.1.1`]);
    expect(await domains.verifyDomain({ hostname: apex })).toMatchObject({ status: "active" });
    await expect(at("@", "A", "192.0.2.1")).rejects.toThrow(/beside an ALIAS/);
    await expect(at("x", "ALIAS", `demo.${PLATFORM}`)).rejects.toThrow(/no app of ours/);

    const serial = async () => (await files.exportZone({ zone: apex })).serial;
    const shown = (): number =>
      instance().catalog.zones.find(({ name }) => name === wireName(apex))!.serial;
    expect(await serial()).toBe(shown());
    const before = await serial();
    const seq = instance().catalog.seq + 1;
    instance().apply({ changes: [{ kind: "repl", ...repl, generation: 2 }], seq });
    expect([await serial(), shown()]).toEqual([before + 1, before + 1]);

    const { text } = await files.exportZone({ zone: apex });
    expect(text).toContain(`@\t300\tIN\tALIAS\t${target}.\n`);
    const again = await files.importZone({ zone: apex, text });
    expect([again.added, again.changed, again.removed]).toEqual([0, 0, 0]);
    expect((await files.exportZone({ zone: apex })).text).toBe(text);
    await dns.deleteRrset({ zone: apex, name: "@", type: "ALIAS" });
    expect(ask(apex, "A")).toEqual([]);
    expect(shown()).toBeGreaterThan(before + 1);
    await domains.removeDomain({ hostname: apex });
  });

  it("that were removed are their last owner's for a while", async () => {
    const token = { authData: { userID: "test" } };
    const of = (owner: string) =>
      clusters.createRepl({ name: `next-${owner}`, owner, cluster: "dns-api" }, token);
    const [same, other] = [await of("demo"), await of("other")];
    const add = (id: string) => domains.addDomain({ hostname, replId: id });
    await expect(add(other.id)).rejects.toThrow(/kept for three days/);
    expect(await add(same.id)).toMatchObject({ status: "pending", replId: same.id });
    await expect(add(other.id)).rejects.toThrow(/another repl has it/);
    await domains.removeDomain({ hostname });
  });

  it("may be written in letters of any language", async () => {
    const added = await domains.addDomain({ hostname: "B\u00dccher.example", replId });
    expect(added.hostname).toBe("xn--bcher-kva.example");
    await domains.removeDomain({ hostname: "b\u00fccher.example" });
    await expect(domains.addDomain({ hostname: "a\u2060..b", replId })).rejects.toMatchObject({
      code: "invalid_argument",
    });
  });

  it("need their repl, and a host name that is not the platform's", async () => {
    const add = (name: string, id: string) => domains.addDomain({ hostname: name, replId: id });
    await expect(add("a.example.org", "nobody")).rejects.toMatchObject({ code: "not_found" });
    for (const name of ["_a.example.org", "org", PLATFORM, `id.${PLATFORM}`]) {
      await expect(add(name, replId)).rejects.toMatchObject({ code: "invalid_argument" });
    }
  });
});

describe("instances", () => {
  it("say what they answer, and that they do not wait longer than asked", async () => {
    const id = instance().id;
    for (const wait of [undefined, "all" as const]) {
      const now = await instances({ seq: 1_000_000, waitMs: 1, ...(wait && { wait }) });
      expect(now).toMatchObject({ everywhere: false, missing: [id] });
      expect(now.items).toMatchObject([
        { instanceId: id, alive: true, listening: [], queries: 0, rcodes: [], logAgeSeconds: null },
      ]);
      expect(now.items[0]!.zonesAgeSeconds).toBeGreaterThanOrEqual(0);
    }
    expect(await instances({ wait: "all" })).toMatchObject({ everywhere: true, missing: [] });
  });
});
