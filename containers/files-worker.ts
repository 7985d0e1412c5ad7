import { setTimeout as delay } from "node:timers/promises";
import { parentPort } from "node:worker_threads";

import { backoffMs } from "../shared/backoff";
import { Asks } from "./file-asks";
import { changed, deploy } from "./file-deploy";
import { draw } from "./file-draw";
import { StreamCut, type Unsealed } from "./file-frames";
import { give } from "./file-give";
import type { FilesJob, FromThread, ToThread } from "./file-messages";
import { copy } from "./file-round";
import { ownAll, remove } from "./file-tree";

/** Short, since a move that is called off waits for it. */
const RETRY = { minMs: 100, maxMs: 1_000 };

const post = (message: FromThread, transfer: ArrayBuffer[] = []): void =>
  parentPort?.postMessage(message, transfer);
const asks = new Asks(post);
const given = new Map<number, Generator<Unsealed>>();

function run(id: number, job: FilesJob): unknown {
  switch (job.kind) {
    case "deploy":
      return deploy(job);
    case "copy":
      return copy(job);
    case "changed":
      return changed(job);
    case "remove":
      return remove(job);
    case "own":
      return ownAll(job);
    case "draw":
      return draw(job, asks.of(id), (failures) => delay(backoffMs(failures, RETRY, Math.random())));
    case "give":
      given.set(id, give(job));
      return id;
    case "next":
      return given.get(job.given)?.next().value ?? null;
    case "stop":
      // Closes the file that it has open.
      given.get(job.given)?.return(undefined);
      given.delete(job.given);
      return null;
  }
}

async function work(id: number, job: FilesJob): Promise<void> {
  try {
    const result = await run(id, job);
    const chunk = job.kind === "next" ? (result as Unsealed | null) : null;
    post({ kind: "result", id, result }, chunk ? [chunk.bytes.buffer as ArrayBuffer] : []);
  } catch (error) {
    const { message } = error as Error;
    post({ kind: "error", id, error: { message, isCut: error instanceof StreamCut } });
  }
}

parentPort?.on("message", (message: ToThread) => {
  if (message.kind === "job") void work(message.id, message.job);
  else asks.take(message);
});
