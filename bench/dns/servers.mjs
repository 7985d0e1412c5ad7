// Starts what is measured. A server is what a peer is described by, with its process and its address, or with
// the reason why it is not measured.
import { mkdirSync } from "node:fs";
import { join } from "node:path";

import { check, firstAnswer, KNOWS_ZONE } from "./load.mjs";
import { PEERS } from "./peers.mjs";
import { family, freePort, memoryOf, startServer, two } from "./place.mjs";
import { prepareStele } from "./stele.mjs";

const BATCHED = { name: "Stele, batched", settings: { STELE_DNS_UDP: "batched" } };
const PORTABLE = { name: "Stele, portable", settings: { STELE_DNS_UDP: "portable" } };
const TWO_WORKERS = {
  name: "Stele, batched, 2 workers",
  settings: { ...BATCHED.settings, STELE_DNS_WORKERS: "2" },
  core: two?.server,
};
const NO_NAMES = { ...BATCHED, name: "Stele without names" };
/** The slowest peer reads 10⁶ names in half a minute on a quiet machine. */
const READY_MS = 180_000;

const folderOf = (tools, { name }) => join(tools.folder, name.replaceAll(/\W+/g, "-"));

async function up(peer, process, probe) {
  const server = { ...peer, ...process, address: `127.0.0.1:${process.port}`, pids: [] };
  const startedAt = performance.now();
  try {
    await firstAnswer(server, READY_MS, probe);
    server.startMs = performance.now() - startedAt;
    server.pids = family(process.pid);
  } catch (error) {
    server.fault = error.message;
  }
  return server;
}

/** Whether it answers rightly; says how long it took to do so. */
async function checked(server, tools) {
  try {
    if (!server.fault && !server.isFloor) await check(tools, server);
  } catch (error) {
    server.fault = error.message;
  }
  const seconds = (server.startMs / 1000).toFixed(1);
  console.log(`  ${server.name}: ${server.fault ?? `first answer after ${seconds} s`}`);
  return server;
}

async function startPeer(peer, tools) {
  const folder = folderOf(tools, peer);
  mkdirSync(folder);
  const port = await freePort();
  const { namesFile, zoneFile } = tools;
  try {
    const command = peer.command({ folder, port, namesFile, zoneFile });
    const started = startServer(command, { env: { ...process.env, ...peer.env } });
    return await checked(await up(peer, { ...started, port }), tools);
  } catch (error) {
    console.log(`  ${peer.name}: ${error.message}`);
    return { ...peer, fault: error.message, stop: async () => {} };
  }
}

async function startOurs(one, tools, probe) {
  const folder = folderOf(tools, one);
  const [port, apiPort, metricsPort] = [await freePort(), await freePort(), await freePort()];
  const { settings } = one;
  const { command, env, cwd } = tools.stele.command({
    folder,
    port,
    apiPort,
    metricsPort,
    settings,
  });
  const started = startServer(command, { core: one.core, cwd, env: { ...process.env, ...env } });
  const server = await up(one, { ...started, port, metricsPort }, probe);
  if (!server.fault) server.fault = await pathFault(metricsPort, settings.STELE_DNS_UDP);
  return server;
}

/** Nothing when UDP is answered as it was asked for. */
async function pathFault(metricsPort, wanted) {
  try {
    const metrics = await (await fetch(`http://127.0.0.1:${metricsPort}/metrics`)).text();
    const used = /^stele_dns_info\{.*udp="(\w+)"/m.exec(metrics)?.[1];
    return used === wanted ? undefined : `it answers UDP by "${used}"`;
  } catch (error) {
    return `its metrics cannot be read: ${error.message}`;
  }
}

/** What the process takes when it knows nobody. */
async function memoryWithoutNames(tools) {
  const server = await startOurs(NO_NAMES, tools, KNOWS_ZONE);
  const octets = memoryOf(server.pids);
  await server.stop();
  return octets;
}

/** One after the other, since each is busy at its start. Those of `workers` are for that part only. */
export async function startServers({ parts, isWanted, names }, tools, onStarted) {
  let emptyOctets;
  const start = async (one) => {
    const server = await checked(await startOurs(one, tools), tools);
    onStarted(server);
    return server;
  };
  const ours = [BATCHED, PORTABLE].filter(({ name }) => isWanted(name));
  const servers = [];
  let twoWorkers;
  if (ours.length > 0) {
    tools.stele = await prepareStele(tools.folder);
    if (parts.includes("memory")) emptyOctets = await memoryWithoutNames(tools);
    await tools.stele.fill(names);
    for (const one of ours) servers.push(await start(one));
    if (parts.includes("workers") && ours.includes(BATCHED)) twoWorkers = await start(TWO_WORKERS);
  }
  for (const peer of PEERS.filter(({ name }) => isWanted(name))) {
    const server = await startPeer(peer, tools);
    onStarted(server);
    servers.push(server);
  }
  return { servers, twoWorkers, emptyOctets };
}
