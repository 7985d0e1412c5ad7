import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { clusters } from "~encore/clients";
import { afterAll, beforeAll, expect, it } from "vitest";

import { openNameServer } from "../cli/resolve";
import { freePort } from "../shared/__tests__/free-port";
import * as domains from "./api-domains";
import * as api from "./api-queries";
import { type Metric, readExposition } from "./core/__tests__/exposition";
import { instance } from "./instance";
import { drain, start } from "./life";

const folder = mkdtempSync(join(tmpdir(), "stele-metrics-"));
const token = { authData: { userID: "test" } };
const HOSTNAME = "measured.example.com";
let address = "";

beforeAll(async () => {
  address = `127.0.0.1:${await freePort()}`;
  process.env.STELE_DNS_LISTEN = "127.0.0.1:0";
  process.env.STELE_DNS_SNAPSHOT = join(folder, "snapshot.json");
  process.env.STELE_DNS_METRICS_LISTEN = address;
  process.env.STELE_DNS_RESOLVER = "127.0.0.1:1"; // Nobody: no test asks the world.
  const cluster = { id: "measured-east", ingress: ["127.0.0.1"], httpPort: 80, listen: [] };
  await clusters.addCluster(cluster, token);
  const app = { name: "measured", owner: "demo", cluster: cluster.id };
  const { id } = await clusters.createRepl(app, token);
  await domains.addDomain({ hostname: HOSTNAME, replId: id });
  await start();
});
afterAll(async () => {
  await domains.removeDomain({ hostname: HOSTNAME });
  await drain(1_000);
  rmSync(folder, { recursive: true });
});

async function scrape(): Promise<Map<string, Metric>> {
  return readExposition(await (await fetch(`http://${address}/metrics`)).text());
}

async function valueOf(name: string, labels = ""): Promise<number | undefined> {
  const metric = (await scrape()).get(`stele_dns_${name}`);
  return metric?.samples.get(`stele_dns_${name}{${labels}}`);
}

it("say what this process answers and knows", async () => {
  const labels = 'transport="udp",type="SOA"';
  const before = (await valueOf("queries_total", labels)) ?? 0;
  const { port } = instance().answerer.listening[0]!;
  const server = openNameServer(`127.0.0.1:${port}`);
  await server.query("repl.localhost", "SOA");
  server.close();
  expect(await valueOf("queries_total", labels)).toBe(before + 1);
  await expect.poll(() => valueOf("repls")).toBeGreaterThan(0);
  expect(await valueOf("rrsets")).toBeGreaterThan(2);
  expect(await valueOf("log_age_seconds")).toBeLessThan(30);
  expect(await valueOf("workers")).toBeGreaterThan(0);
  await expect
    .poll(() => valueOf("zones_age_seconds"), { timeout: 20_000, interval: 100 })
    .toBeLessThan(30);
  const { items } = await api.queries({ app: "measured.demo" });
  const more = openNameServer(`127.0.0.1:${port}`);
  await more.query("measured--demo.repl.localhost", "A");
  await more.query("measured.demo.repl.localhost", "TXT");
  more.close();
  const { items: after } = await api.queries({ app: items[0]!.id });
  expect(after).toEqual([{ ...items[0]!, queries: items[0]!.queries + 2 }]);
  expect((await api.queries({})).items).toContainEqual(after[0]);
  await expect(api.queries({ app: "no.body" })).rejects.toMatchObject({ code: "not_found" });
  expect(await valueOf("domains", 'state="pending"')).toBeGreaterThan(0);
}, 30_000);
