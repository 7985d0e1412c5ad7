/** The thread that moves bytes: one cluster's listeners, and a port to the main thread. */
import { createWriteStream } from "node:fs";
import { parentPort, workerData } from "node:worker_threads";

import { BatchedLog } from "./access-log";
import type { FromWorker, ToWorker, WorkerInput } from "./protocol";
import { ProxyServer } from "./proxy";

const HITS_MS = 1_000;

const { accessLog, ...options } = workerData as WorkerInput;
const tell = (message: FromWorker): void => parentPort?.postMessage(message);

function openLog(path: string): BatchedLog {
  const output =
    path === "-" ? process.stdout : createWriteStream(path, { flags: "a", mode: 0o600 });
  // A full disk costs the log, not the visitors.
  output.on("error", () => undefined);
  return new BatchedLog(output);
}

const proxy = new ProxyServer(
  { ...options, ...(accessLog === "" ? {} : { accessLog: openLog(accessLog) }) },
  {
    wake: (replId, cause) => tell({ kind: "wake", replId, cause }),
    lookup: (key, query) => tell({ kind: "lookup", key, query }),
    reread: () => tell({ kind: "reread" }),
    acknowledge: (version, busy) => tell({ kind: "acknowledge", version, busy }),
    sampled: (span) => tell({ kind: "sampled", span }),
  },
);

/** Binds what is wanted and is not bound; unbinds the rest. */
async function listen(wanted: readonly string[]): Promise<void> {
  const faults: string[] = [];
  for (const address of proxy.listening) {
    if (!wanted.includes(address)) proxy.unlisten(address);
  }
  for (const address of wanted) {
    if (proxy.listening.includes(address)) continue;
    await proxy.listen(address).catch((error: unknown) => {
      faults.push(`Cannot listen on "${address}": ${(error as Error).message}`);
    });
  }
  tell({ kind: "listening", addresses: proxy.listening, faults });
}

function drain(who: "visitors" | "all", deadlineMs: number): Promise<void> {
  return who === "all" ? proxy.drain(deadlineMs) : proxy.drainVisitors(deadlineMs);
}

/** One after the other: two lists at once would bind an address twice. */
let listening = Promise.resolve();

function obey(message: ToWorker): void {
  switch (message.kind) {
    case "apply":
      proxy.apply(message.delta);
      return;
    case "lease":
      proxy.lease(message.untilMs);
      return;
    case "listen":
      listening = listening.then(() => listen(message.addresses));
      return;
    case "woke":
      proxy.woke(message.replId, message.outcome);
      return;
    case "found":
      proxy.found(message.key, message.placement ?? undefined);
      return;
    case "reread":
      proxy.reread();
      return;
    case "stats":
      tell({ kind: "stats", id: message.id, stats: proxy.stats() });
      return;
    case "drain":
      void drain(message.who, message.deadlineMs).then(() => tell({ kind: "drained" }));
  }
}

parentPort?.on("message", obey);

setInterval(() => {
  const hits = proxy.takeHits();
  if (hits.length > 0) tell({ kind: "hits", hits });
}, HITS_MS);
