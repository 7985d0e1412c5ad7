/**
 * The stream worker: TCP, TLS and HTTPS, and UDP by Node's own sockets. It has what is answered, the
 * sockets, and nothing that waits. Only signed messages go to the main thread, which has the keys.
 */
import { parentPort, workerData } from "node:worker_threads";

import { letIn } from "../shared/arrivals";
import { Answering } from "./answering";
import { addressOctets } from "./core/address";
import { OVER, type Over } from "./core/counters";
import { NOT_MINE } from "./core/fast";
import { MAX_UDP_OCTETS, type Outcome } from "./core/respond";
import { isSigned } from "./core/tsig";
import type { Deliver } from "./hand-off";
import { Encrypted } from "./listen-encrypted";
import { type AnswerStream, listenTcp, type TcpListener } from "./listen-tcp";
import { type Later, listenUdp, type UdpListener } from "./listen-udp";
import type { ListenAddress, StreamInput, ToWorker } from "./protocol";

/** Changes that come while nobody asks shall not pile up. */
const CATCH_UP_EVERY_MS = 100;
/** About a thousand answers. */
const SLAB_OCTETS = 64 * 1024;

const { encrypted, ...input } = workerData as StreamInput;
const answering = new Answering(input, parentPort!);
const { counters: counter } = answering;
const udp: UdpListener[] = [];
const tcp: TcpListener[] = [];
/** Messages that came, for the end: who has asked already is answered. */
let arrived = 0;
/** Answers over UDP lie here until the kernel has taken them, which may be later; a full one is left to them. */
let slab = newSlab();
let slabAt = 0;

function answerUdp(query: Uint8Array, address: string, later: Later): Uint8Array | undefined {
  arrived++;
  answering.catchUp();
  const begunAt = answering.begin();
  if (slabAt + MAX_UDP_OCTETS > slab.length) {
    slab = newSlab();
    slabAt = 0;
  }
  const from = addressOctets(address);
  let length = answering.fast(OVER.UDP, query, 0, query.length, from, slab, slabAt);
  if (length === NOT_MINE && isSigned(query)) {
    const deliver: Deliver = async (messages) => messages.forEach(later);
    answering.give(OVER.UDP, query, address, () => deliver);
    return undefined;
  }
  if (length === NOT_MINE) {
    const out = slab.subarray(slabAt, slabAt + MAX_UDP_OCTETS);
    ({ length } = answering.respond(OVER.UDP, query, from, out));
  }
  answering.end(begunAt);
  slabAt += length;
  return length === 0 ? undefined : slab.subarray(slabAt - length, slabAt);
}

function newSlab(): Buffer {
  return Buffer.allocUnsafeSlow(SLAB_OCTETS);
}

function answerStream(over: Over): AnswerStream {
  let begunAt: number | undefined;
  return {
    begin() {
      answering.catchUp();
      begunAt = answering.begin();
    },
    end: () => answering.end(begunAt),
    fast(octets, start, end, out, at, asker) {
      arrived++;
      return answering.fast(over, octets, start, end, asker.octets, out, at);
    },
    whole(query, out, { address, octets, later }) {
      if (!isSigned(query)) return answering.respond(over, query, octets, out).length;
      answering.give(over, query, address, later);
      return 0;
    },
  };
}

function answerHttps(query: Uint8Array, out: Uint8Array, address: string): Outcome {
  arrived++;
  answering.catchUp();
  const begunAt = answering.begin();
  const outcome = answering.respond(OVER.HTTPS, query, addressOctets(address), out);
  answering.end(begunAt);
  return outcome;
}

const overTls = new Encrypted(encrypted, {
  answerTls: answerStream(OVER.TLS),
  answerHttps,
  counter,
  onState: (state) => answering.tell({ kind: "encrypted", state }),
});

async function listenAll(addresses: readonly ListenAddress[], hasUdp: boolean): Promise<void> {
  try {
    for (const address of addresses) {
      const overTcp = await listenTcp(address, { answerTo: answerStream(OVER.TCP), counter });
      tcp.push(overTcp);
      if (hasUdp) udp.push(await listenUdp(overTcp.address, answerUdp));
    }
  } catch (error) {
    await closeAll(0);
    throw error;
  }
  answering.tell({ kind: "listening", addresses: tcp.map(({ address }) => address) });
  await overTls.open();
}

async function closeAll(graceMs: number): Promise<void> {
  const end = performance.now() + graceMs;
  await letIn(() => arrived, graceMs);
  while (udp.length > 0 && answering.handOff.isBusy && performance.now() < end) await pause();
  const closing = [...udp.map((one) => one.close()), ...tcp.map((one) => one.close(graceMs))];
  closing.push(overTls.close(graceMs));
  udp.length = 0;
  tcp.length = 0;
  await Promise.all(closing);
}

const pause = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 5));

async function obey(message: ToWorker): Promise<void> {
  switch (message.kind) {
    case "listen":
      return listenAll(message.addresses, message.hasUdp);
    case "look":
      return;
    case "close":
      return closeAll(message.graceMs);
    case "answer":
      return answering.handOff.answer(message.to, message.messages);
  }
}

parentPort!.on("message", (message: ToWorker) => answering.obey(message, obey));
setInterval(() => answering.catchUp(), CATCH_UP_EVERY_MS);
