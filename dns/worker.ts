/**
 * The answering thread: a catalog, the sockets, and nothing that waits. It is told what changed and
 * says when it answers so; it never asks anybody anything.
 */
import { parentPort, workerData } from "node:worker_threads";

import { letIn } from "../shared/arrivals";
import { Catalog } from "./core/catalog";
import { RateLimiter } from "./core/rate-limit";
import { type Asker, MAX_UDP_OCTETS, type Outcome, respond, type Server } from "./core/respond";
import { listenTcp, type TcpListener } from "./listen-tcp";
import { listenUdp, type UdpListener } from "./listen-udp";
import type { Counters, FromWorker, ListenAddress, ToWorker, WorkerInput } from "./protocol";

const COUNT_EVERY_MS = 1_000;
/** With port 0, TCP's free port may be taken for UDP: so often another one is tried. */
const PORT_ATTEMPTS = 10;

const { catalog: options, guard } = workerData as WorkerInput;
const catalog = new Catalog(options);
const server: Server = {
  zones: catalog,
  identity: guard.identity,
  secrets: guard.secrets,
  limiter: guard.rateLimits && new RateLimiter(guard.rateLimits),
};
const udp: UdpListener[] = [];
const tcp: TcpListener[] = [];
const totals = { udpQueries: 0, tcpQueries: 0, dropped: 0, truncated: 0, tcpRefused: 0 };
const limits = { slipped: 0, limited: 0 };
const rcodes: Record<number, number> = {};
const udpScratch = new Uint8Array(MAX_UDP_OCTETS);

const tell = (message: FromWorker): void => parentPort?.postMessage(message);

function count({ length, rcode, isTruncated, verdict }: Outcome): void {
  if (verdict === "slip") limits.slipped++;
  if (verdict === "drop") limits.limited++;
  else if (length === 0) totals.dropped++;
  else rcodes[rcode] = (rcodes[rcode] ?? 0) + 1;
  if (isTruncated) totals.truncated++;
}

const askerOf = (transport: Asker["transport"], address: string): Asker => {
  return { transport, address, nowMs: Date.now() };
};

function answerUdp(query: Uint8Array, address: string): Uint8Array | undefined {
  totals.udpQueries++;
  const outcome = respond(server, query, askerOf("udp", address), udpScratch);
  count(outcome);
  // The kernel may take it later, when the next answer is already written into the scratch.
  return outcome.length === 0 ? undefined : Buffer.from(udpScratch.subarray(0, outcome.length));
}

function answerTcp(query: Uint8Array, out: Uint8Array, address: string): number {
  totals.tcpQueries++;
  const outcome = respond(server, query, askerOf("tcp", address), out);
  count(outcome);
  return outcome.length;
}

async function listenBoth(address: ListenAddress): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    const onRefused = (): void => void totals.tcpRefused++;
    const overTcp = await listenTcp(address, { answerTo: answerTcp, onRefused });
    try {
      udp.push(await listenUdp(overTcp.address, answerUdp));
      tcp.push(overTcp);
      return;
    } catch (error) {
      await overTcp.close(0);
      if (address.port !== 0 || attempt === PORT_ATTEMPTS) throw error;
    }
  }
}

async function listenAll(addresses: readonly ListenAddress[]): Promise<void> {
  try {
    for (const address of addresses) await listenBoth(address);
  } catch (error) {
    await closeAll(0);
    throw error;
  }
  tell({ kind: "listening", addresses: udp.map(({ address }) => address) });
}

async function closeAll(graceMs: number): Promise<void> {
  await letIn(() => totals.udpQueries + totals.tcpQueries, graceMs);
  const closing = [...udp.map((one) => one.close()), ...tcp.map((one) => one.close(graceMs))];
  udp.length = 0;
  tcp.length = 0;
  await Promise.all(closing);
}

function counters(): Counters {
  const tcpConnections = tcp.reduce((sum, listener) => sum + listener.connections(), 0);
  return { ...totals, ...limits, rcodes: { ...rcodes }, tcpConnections };
}

async function obey(message: ToWorker): Promise<void> {
  switch (message.kind) {
    case "apply":
      return catalog.apply(message.batch);
    case "listen":
      return listenAll(message.addresses);
    case "close":
      return closeAll(message.graceMs);
  }
}

parentPort?.on("message", (message: ToWorker) => {
  obey(message).then(
    () => tell({ kind: "done", id: message.id, fault: null }),
    (error: unknown) => tell({ kind: "done", id: message.id, fault: String(error) }),
  );
});

setInterval(() => tell({ kind: "counted", counters: counters() }), COUNT_EVERY_MS);
