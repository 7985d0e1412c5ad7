/**
 * The stream worker: TCP, TLS and HTTPS, and UDP by Node's own sockets. It has what is answered, the
 * sockets, and nothing that waits. Only signed messages go to the main thread, which has the keys.
 */
import { parentPort, workerData } from "node:worker_threads";

import { letIn } from "../shared/arrivals";
import { Answering } from "./answering";
import { addressOctets } from "./core/address";
import { OVER, type Over } from "./core/counters";
import { MAX_UDP_OCTETS, type Outcome } from "./core/respond";
import { Encrypted } from "./listen-encrypted";
import { type AnswerTcp, listenTcp, type TcpListener } from "./listen-tcp";
import { type Later, listenUdp, type UdpListener } from "./listen-udp";
import type { ListenAddress, StreamInput, ToWorker } from "./protocol";

/** Changes that come while nobody asks shall not pile up. */
const CATCH_UP_EVERY_MS = 100;
/** With port 0, TCP's free port may be taken for UDP: so often another one is tried. */
const PORT_ATTEMPTS = 10;

const { encrypted, ...input } = workerData as StreamInput;
const answering = new Answering(input, parentPort!);
const { counters: counter } = answering;
const udp: UdpListener[] = [];
const tcp: TcpListener[] = [];
/** Messages that came, for the end: who has asked already is answered. */
let arrived = 0;
const udpScratch = new Uint8Array(MAX_UDP_OCTETS);

function answerUdp(query: Uint8Array, address: string, later: Later): Uint8Array | undefined {
  arrived++;
  answering.catchUp();
  const deliver = async (messages: readonly Uint8Array[]): Promise<void> => messages.forEach(later);
  if (answering.isHandedOff(OVER.UDP, query, address, () => deliver)) return undefined;
  const { length } = answering.respond(OVER.UDP, query, addressOctets(address), udpScratch);
  // The kernel may take it later, when the next answer is already written into the scratch.
  return length === 0 ? undefined : Buffer.from(udpScratch.subarray(0, length));
}

const answerStream =
  (over: Over): AnswerTcp =>
  (query, out, { address, octets, later }) => {
    arrived++;
    answering.catchUp();
    if (answering.isHandedOff(over, query, address, later)) return 0;
    return answering.respond(over, query, octets, out).length;
  };

function answerHttps(query: Uint8Array, out: Uint8Array, address: string): Outcome {
  arrived++;
  answering.catchUp();
  return answering.respond(OVER.HTTPS, query, addressOctets(address), out);
}

const overTls = new Encrypted(encrypted, {
  answerTls: answerStream(OVER.TLS),
  answerHttps,
  counter,
  onState: (state) => answering.tell({ kind: "encrypted", state }),
});

async function listenBoth(address: ListenAddress): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    const overTcp = await listenTcp(address, { answerTo: answerStream(OVER.TCP), counter });
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
  answering.tell({ kind: "listening", addresses: udp.map(({ address }) => address) });
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
    case "listen":
      return listenAll(message.addresses);
    case "close":
      return closeAll(message.graceMs);
    case "answer":
      return answering.handOff.answer(message.to, message.messages);
  }
}

parentPort!.on("message", (message: ToWorker) => answering.obey(message, obey));
setInterval(() => answering.catchUp(), CATCH_UP_EVERY_MS);
