/** Reads a table that another thread writes, and counts answers that were never right. */
import { parentPort, receiveMessageOnPort, workerData, type MessagePort } from "node:worker_threads";

import { Table, type TableBuffers } from "../core/table";

const { buffers, port, steady, end } = workerData as {
  readonly buffers: TableBuffers;
  readonly port: MessagePort;
  /** Repls that are always there: `s<number>` of owner `steady`. */
  readonly steady: number;
  readonly end: SharedArrayBuffer;
};
const table = new Table(buffers);
const hasEnded = new Int32Array(end);
const key = new Uint8Array(130);

function write(label: string, at: number): number {
  key[at] = label.length;
  for (let index = 0; index < label.length; index++) key[at + 1 + index] = label.charCodeAt(index);
  return at + 1 + label.length;
}

let asked = 0;
let wrong = 0;
let adopted = 0;
parentPort!.postMessage("reads");
while (Atomics.load(hasEnded, 0) === 0) {
  for (let number = 0; number < steady; number++) {
    const byName = table.findName(key, 0, write("steady", write(`s${number}`, 0)));
    const byId = table.findId(key, 0, write(`id-s${number}`, 0));
    asked += 2;
    // A repl's cluster tells which one it is.
    for (const index of [byName, byId]) {
      if (index < 0 || table.clusterOf(index) % steady !== number) wrong++;
    }
    const other = table.findName(key, 0, write("others", write(`o${asked % 5_000}`, 0)));
    if (other >= 0 && table.clusterOf(other) !== -(asked % 5_000)) wrong++;
  }
  const received = receiveMessageOnPort(port) as { message: TableBuffers } | undefined;
  if (!received) continue;
  adopted++;
  table.adopt(received.message);
}
parentPort!.postMessage({ asked, wrong, adopted });
