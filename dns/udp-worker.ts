/**
 * Answers UDP in batches, on a socket that the main thread has opened: waits in the kernel, takes
 * what changed, answers all that came, and sends it back. It turns its event loop only after a
 * message from the main thread.
 */
import { parentPort, receiveMessageOnPort, workerData } from "node:worker_threads";

import { Answering } from "./answering";
import { addressText } from "./core/address";
import { OVER } from "./core/counters";
import { NOT_MINE } from "./core/fast";
import { MAX_UDP_OCTETS } from "./core/respond";
import { isSigned } from "./core/tsig";
import type { Deliver } from "./hand-off";
import type { ToWorker, UdpInput } from "./protocol";
import { Datagrams } from "./udp/datagrams";
import { loadKernel } from "./udp/kernel";

const { fd, isV6, ...input } = workerData as UdpInput;
const answering = new Answering(input, parentPort!);
const datagrams = new Datagrams(loadKernel(), fd, isV6);
const scratch = new Uint8Array(MAX_UDP_OCTETS);

/** Once set, what has come is answered still, for so long as something does. */
let closeBy: number | undefined;

/** Answer what came; how many there were. */
function turn(): number {
  const isClosing = closeBy !== undefined;
  const count = datagrams.receive(!isClosing || answering.handOff.isBusy);
  answering.catchUp();
  if (count === 0) return 0;
  const begunAt = answering.begin();
  if (count >= FEW) bringNear(count);
  for (let index = 0; index < count; index++) datagrams.setAnswer(index, answer(index));
  datagrams.send(count);
  answering.counters.batch(count);
  answering.end(begunAt);
  return count;
}

/** With fewer than these, waiting for memory in turn is as good. */
const FEW = 4;

function bringNear(count: number): void {
  for (let index = 0; index < count; index++) {
    const start = datagrams.startOf(index);
    answering.expect(datagrams.octets, start, start + datagrams.lengthOf(index));
  }
  answering.bringNear();
}

/** Write the answer into the query's place; how long it is. */
function answer(index: number): number {
  const start = datagrams.startOf(index);
  const end = start + datagrams.lengthOf(index);
  const sender = datagrams.senderOf(index);
  const { octets } = datagrams;
  const quick = answering.fast(OVER.UDP, octets, start, end, sender, octets, start);
  if (quick !== NOT_MINE) return quick;
  const query = octets.subarray(start, end);
  if (isSigned(query)) {
    const to = datagrams.returnOf(index);
    const deliver: Deliver = async (messages) => {
      for (const message of messages) datagrams.sendTo(to, message);
    };
    answering.give(OVER.UDP, query, addressText(sender), () => deliver);
    return 0;
  }
  const { length } = answering.respond(OVER.UDP, query, sender, scratch);
  datagrams.octets.set(scratch.subarray(0, length), start);
  return length;
}

/** Nothing is left that was asked, or the time is over. */
function isDone(count: number): boolean {
  if (closeBy === undefined) return false;
  const isIdle = count === 0 && !answering.handOff.isBusy;
  return isIdle || performance.now() >= closeBy;
}

async function run(): Promise<void> {
  let closing: ToWorker | undefined;
  while (!isDone(turn())) {
    const received = receiveMessageOnPort(parentPort!) as { message: ToWorker } | undefined;
    if (!received) continue;
    const { message } = received;
    if (message.kind === "close") {
      closing = message;
      closeBy = performance.now() + message.graceMs;
      continue;
    }
    answering.obey(message, async () => {
      if (message.kind === "answer") await answering.handOff.answer(message.to, message.messages);
    });
    await new Promise(setImmediate);
  }
  answering.obey(closing!, async () => undefined);
}

await run();
