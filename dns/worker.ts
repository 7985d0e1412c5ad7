/**
 * The answering thread: a catalog, the sockets, and nothing that waits. It is told what changed and
 * says when it answers so. Only signed messages go to the main thread, which has the keys.
 */
import { parentPort, workerData } from "node:worker_threads";

import { letIn } from "../shared/arrivals";
import { Catalog } from "./core/catalog";
import { Counters, DROP, OVER, type Over } from "./core/counters";
import { RateLimiter } from "./core/rate-limit";
import { type Asker, MAX_UDP_OCTETS, type Outcome, respond, type Server } from "./core/respond";
import { isSigned, typeAsked } from "./core/tsig";
import { type Deliver, HandOff } from "./hand-off";
import { Encrypted } from "./listen-encrypted";
import { type AnswerTcp, listenTcp, type TcpListener } from "./listen-tcp";
import { type Later, listenUdp, type UdpListener } from "./listen-udp";
import type { FromWorker, ListenAddress, ToWorker, WorkerInput } from "./protocol";

/** With port 0, TCP's free port may be taken for UDP: so often another one is tried. */
const PORT_ATTEMPTS = 10;

const { catalog: options, guard, encrypted, counters: buffer } = workerData as WorkerInput;
const catalog = new Catalog(options);
const server: Server = {
  zones: catalog,
  identity: guard.identity,
  secrets: guard.secrets,
  limiter: guard.rateLimits && new RateLimiter(guard.rateLimits),
};
const udp: UdpListener[] = [];
const tcp: TcpListener[] = [];
const counters = new Counters(buffer);
/** Messages that came, for the end: who has asked already is answered. */
let arrived = 0;
const udpScratch = new Uint8Array(MAX_UDP_OCTETS);

const tell = (message: FromWorker): void => parentPort?.postMessage(message);

const TRANSPORT = ["udp", "tcp", "tcp", "https"] as const;

const askerOf = (over: Over, address: string): Asker => {
  return { transport: TRANSPORT[over], address, nowMs: Date.now() };
};

/** Answer a message that is not signed, and count it. */
function answer(over: Over, query: Uint8Array, asker: Asker, out: Uint8Array): Outcome {
  const startedAt = counters.isSampled() ? performance.now() : undefined;
  const outcome = respond(server, query, asker, out);
  counters.outcome(over, query.length, outcome);
  if (startedAt !== undefined) counters.took((performance.now() - startedAt) * 1000);
  return outcome;
}

const handOff = new HandOff((asked) => tell({ kind: "asked", asked }));

/** Whether a signed message is on its way to the main thread, or was one too many. */
function isHandedOff(
  over: Over,
  query: Uint8Array,
  { address, nowMs }: Asker,
  deliver: () => Deliver,
) {
  if (!isSigned(query)) return false;
  counters.query(over, typeAsked(query));
  const transport = over === OVER.UDP ? "udp" : "tcp";
  if (handOff.give({ transport, address, query }, deliver, nowMs)) counters.handedOff();
  else counters.drop(DROP.LIMIT);
  return true;
}

function answerUdp(query: Uint8Array, address: string, later: Later): Uint8Array | undefined {
  arrived++;
  const asker = askerOf(OVER.UDP, address);
  const deliver = async (messages: readonly Uint8Array[]): Promise<void> => messages.forEach(later);
  if (isHandedOff(OVER.UDP, query, asker, () => deliver)) return undefined;
  const outcome = answer(OVER.UDP, query, asker, udpScratch);
  // The kernel may take it later, when the next answer is already written into the scratch.
  return outcome.length === 0 ? undefined : Buffer.from(udpScratch.subarray(0, outcome.length));
}

const answerStream =
  (over: Over): AnswerTcp =>
  (query, out, { address, later }) => {
    arrived++;
    const asker = askerOf(over, address);
    return isHandedOff(over, query, asker, later) ? 0 : answer(over, query, asker, out).length;
  };

function answerHttps(query: Uint8Array, out: Uint8Array, address: string): Outcome {
  arrived++;
  return answer(OVER.HTTPS, query, askerOf(OVER.HTTPS, address), out);
}

const overTls = new Encrypted(encrypted, {
  answerTls: answerStream(OVER.TLS),
  answerHttps,
  counter: counters,
  onState: (state) => tell({ kind: "encrypted", state }),
});

async function listenBoth(address: ListenAddress): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    const overTcp = await listenTcp(address, {
      answerTo: answerStream(OVER.TCP),
      counter: counters,
    });
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
  await letIn(() => arrived, graceMs);
  const closing = [...udp.map((one) => one.close()), ...tcp.map((one) => one.close(graceMs))];
  closing.push(overTls.close(graceMs));
  udp.length = 0;
  tcp.length = 0;
  await Promise.all(closing);
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
