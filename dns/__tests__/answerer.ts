import type { Worker } from "node:worker_threads";

import { startWorker } from "../../shared/worker";
import type { Batch } from "../core/catalog";
import { hashKey } from "../core/__tests__/zone-text";
import { Memory } from "../core/memory";
import { Answerer, type AnswererOptions } from "../listen";
import { openGuard } from "./guard";

export interface Fixture {
  readonly answerer: Answerer;
  /** All that were started, by the name of their source. */
  readonly workers: { readonly entry: string; readonly worker: Worker }[];
  readonly deaths: string[];
  readonly apply: (batch: Batch) => void;
}

/** An answerer on any port of 127.0.0.1, that answers nobody's signatures. */
export function answererOf(first: Batch, options: Partial<AnswererOptions> = {}): Fixture {
  const catalog = { platformZone: "repl.test", validationZone: "" };
  const memory = new Memory({ ...catalog, hashKey });
  memory.apply(first);
  const workers: Fixture["workers"] = [];
  const deaths: string[] = [];
  const answerer = new Answerer({
    catalog,
    guard: openGuard,
    encrypted: { certificate: "", tls: [], https: [] },
    udp: { mode: "portable", workers: 1 },
    addresses: [{ host: "127.0.0.1", port: 0 }],
    snapshot: () => memory.told(),
    startWorker: async (entry, ...input) => {
      const worker = await startWorker(entry, ...input);
      workers.push({ entry, worker });
      return worker;
    },
    logOneIn: 0,
    onDeath: (reason) => deaths.push(reason),
    ...options,
  });
  const apply = (batch: Batch): void => {
    memory.apply(batch, (told) => answerer.tell(told));
  };
  return { answerer, workers, deaths, apply };
}
