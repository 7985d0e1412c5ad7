/**
 * The answering thread: a catalog, the sockets, and nothing that waits. It is told what changed and
 * says when it answers so. Only signed messages go to the main thread, which has the keys.
 */
import { parentPort, workerData } from "node:worker_threads";

import { letIn } from "../shared/arrivals";
import { Catalog } from "./core/catalog";
import { RateLimiter } from "./core/rate-limit";
import { type Asker, MAX_UDP_OCTETS, type Outcome, respond, type Server } from "./core/respond";
import { isSigned } from "./core/tsig";
import { type Deliver, HandOff } from "./hand-off";
import { Encrypted } from "./listen-encrypted";
import { listenTcp, type TcpAsker, type TcpListener } from "./listen-tcp";
import { type Later, listenUdp, type UdpListener } from "./listen-udp";
import type { Counters, FromWorker, ListenAddress, ToWorker, WorkerInput } from "./protocol";

const COUNT_EVERY_MS = 1_000;
/** With port 0, TCP's free port may be taken for UDP: so often another one is tried. */
const PORT_ATTEMPTS = 10;

const { catalog: options, guard, encrypted } = workerData as WorkerInput;
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
const secure = { tlsQueries: 0, httpsQueries: 0 };
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

const handOff = new HandOff((asked) => tell({ kind: "asked", asked }));

/** Whether a signed message is on its way to the main thread, or was one too many. */
function isHandedOff(
  query: Uint8Array,
  { transport, address, nowMs }: Asker,
  deliver: () => Deliver,
) {
  if (!isSigned(query)) return false;
  const over = transport === "udp" ? "udp" : "tcp";
  if (!handOff.give({ transport: over, address, query }, deliver, nowMs)) totals.dropped++;
  return true;
}

function answerUdp(query: Uint8Array, address: string, later: Later): Uint8Array | undefined {
  totals.udpQueries++;
  const asker = askerOf("udp", address);
  const deliver = async (messages: readonly Uint8Array[]): Promise<void> => messages.forEach(later);
  if (isHandedOff(query, asker, () => deliver)) return undefined;
  const outcome = respond(server, query, asker, udpScratch);
  count(outcome);
  // The kernel may take it later, when the next answer is already written into the scratch.
  return outcome.length === 0 ? undefined : Buffer.from(udpScratch.subarray(0, outcome.length));
}

function answerTcp(query: Uint8Array, out: Uint8Array, asker: TcpAsker): number {
  totals.tcpQueries++;
  return answerStream(query, out, asker);
}

function answerStream(query: Uint8Array, out: Uint8Array, { address, later }: TcpAsker): number {
  const asker = askerOf("tcp", address);
  if (isHandedOff(query, asker, later)) return 0;
  const outcome = respond(server, query, asker, out);
  count(outcome);
  return outcome.length;
}

function answerTls(query: Uint8Array, out: Uint8Array, asker: TcpAsker): number {
  secure.tlsQueries++;
  return answerStream(query, out, asker);
}

function answerHttps(query: Uint8Array, out: Uint8Array, address: string): Outcome {
  secure.httpsQueries++;
  const outcome = respond(server, query, askerOf("https", address), out);
  count(outcome);
  return outcome;
}

const onRefused = (): void => void totals.tcpRefused++;
const overTls = new Encrypted(encrypted, {
  answerTls,
  answerHttps,
  onRefused,
  onState: (state) => tell({ kind: "encrypted", state }),
});

async function listenBoth(address: ListenAddress): Promise<void> {
  for (let attempt = 1; ; attempt++) {
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
  await overTls.open();
}

async function closeAll(graceMs: number): Promise<void> {
  await letIn(() => totals.udpQueries + totals.tcpQueries + secure.tlsQueries, graceMs);
  const closing = [...udp.map((one) => one.close()), ...tcp.map((one) => one.close(graceMs))];
  closing.push(overTls.close(graceMs));
  udp.length = 0;
  tcp.length = 0;
  await Promise.all(closing);
}

function counters(): Counters {
  const open = tcp.reduce((sum, listener) => sum + listener.connections(), 0);
  const tcpConnections = open + overTls.connections();
  return { ...totals, ...secure, ...limits, rcodes: { ...rcodes }, tcpConnections };
}

async function obey(message: ToWorker): Promise<void> {
  switch (message.kind) {
    case "apply":
      return catalog.apply(message.batch);
    case "listen":
      return listenAll(message.addresses);
    case "close":
      return closeAll(message.graceMs);
    case "answer":
      return handOff.answer(message.to, message.messages);
  }
}

parentPort?.on("message", (message: ToWorker) => {
  obey(message).then(
    () => tell({ kind: "done", id: message.id, fault: null }),
    (error: unknown) => tell({ kind: "done", id: message.id, fault: String(error) }),
  );
});

setInterval(() => tell({ kind: "counted", counters: counters() }), COUNT_EVERY_MS);
