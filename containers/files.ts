import type { Worker } from "node:worker_threads";

import { startWorker } from "../shared/worker";
import { toError } from "./file-asks";
import type { Changed, ChangedJob, DeployJob } from "./file-deploy";
import type { DrawJob, Drawn } from "./file-draw";
import type { Unsealed } from "./file-frames";
import type { GiveJob } from "./file-give";
import type { FilesJob, FromThread, ToThread } from "./file-messages";
import type { Copied, CopyJob } from "./file-round";
import { type OpenStream, Streams } from "./file-streams";
import type { OwnJob, RemoveJob } from "./file-tree";

interface Pending {
  readonly resolve: (result: unknown) => void;
  readonly reject: (error: Error) => void;
  /** Of a draw: how it asks its source. */
  readonly open: OpenStream | undefined;
}

/** A thread that works on folders, with blocking calls. */
class FilesThread {
  private worker: Promise<Worker> | undefined;
  private readonly pending = new Map<number, Pending>();
  private readonly streams = new Streams((message, transfer) => this.post(message, transfer));
  private nextId = 1;

  async run(job: FilesJob, open?: OpenStream): Promise<unknown> {
    this.worker ??= this.start();
    await this.worker;
    const id = this.nextId++;
    return await new Promise((resolve, reject) => {
      this.pending.set(id, { resolve, reject, open });
      this.post({ kind: "job", id, job });
    });
  }

  private post(message: ToThread, transfer: ArrayBuffer[] = []): void {
    this.worker?.then((worker) => worker.postMessage(message, transfer)).catch(() => undefined);
  }

  private async start(): Promise<Worker> {
    const worker = await startWorker("containers/files-worker.ts", {});
    worker.unref();
    worker.on("message", (message: FromThread) => this.take(message));
    worker.on("error", (error) => this.fail(error));
    worker.on("exit", () => this.fail(new Error("the file worker ended")));
    return worker;
  }

  private take(message: FromThread): void {
    switch (message.kind) {
      case "result":
        return this.end(message.id)?.resolve(message.result);
      case "error":
        return this.end(message.id)?.reject(toError(message.error));
      case "open": {
        const open = this.pending.get(message.id)?.open;
        if (open) this.streams.open(message, open);
        return;
      }
      case "more":
        return void this.streams.more(message.stream, message.received);
      case "close":
        return this.streams.close(message.stream);
    }
  }

  private end(id: number): Pending | undefined {
    const pending = this.pending.get(id);
    this.pending.delete(id);
    return pending;
  }

  private fail(error: Error): void {
    this.worker = undefined;
    this.streams.closeAll();
    for (const { reject } of this.pending.values()) reject(error);
    this.pending.clear();
  }
}

/** Whole folders, one after the other: a large copy delays nobody but the next. */
const folders = new FilesThread();
/** Streams to other clusters take turns, block by block, and so do those from there: no pause waits for a deploy. */
const giving = new FilesThread();
const drawing = new FilesThread();
/** Last rounds, from near and far: requests are held for them, and a first round may take minutes. */
const last = new FilesThread();

/** Makes an app's folder what a directory holds. Rejects with what cannot be deployed. */
export async function deployFiles(job: Omit<DeployJob, "kind">): Promise<Copied> {
  return (await folders.run({ kind: "deploy", ...job })) as Copied;
}

export async function copyFolder(job: Omit<CopyJob, "kind">): Promise<Copied> {
  const thread = job.final ? last : folders;
  return (await thread.run({ kind: "copy", ...job })) as Copied;
}

/** As `copyFolder`, from a source that is asked over streams. */
export async function drawFolder(job: Omit<DrawJob, "kind">, open: OpenStream): Promise<Drawn> {
  const thread = job.final ? last : drawing;
  return (await thread.run({ kind: "draw", ...job }, open)) as Drawn;
}

export interface Given {
  readonly next: () => Promise<Unsealed | null>;
  readonly stop: () => Promise<unknown>;
}

/** What another cluster is to get of a folder, chunk by chunk. */
export async function giveFolder(job: Omit<GiveJob, "kind">): Promise<Given> {
  const thread = job.final ? last : giving;
  const given = (await thread.run({ kind: "give", ...job })) as number;
  return {
    next: async () => (await thread.run({ kind: "next", given })) as Unsealed | null,
    stop: () => thread.run({ kind: "stop", given }),
  };
}

export async function filesChanged(job: Omit<ChangedJob, "kind">): Promise<Changed> {
  return (await folders.run({ kind: "changed", ...job })) as Changed;
}

export async function removeFolder(job: Omit<RemoveJob, "kind">): Promise<void> {
  await folders.run({ kind: "remove", ...job });
}

export async function ownFolder(job: Omit<OwnJob, "kind">): Promise<void> {
  await folders.run({ kind: "own", ...job });
}
