import type { Worker } from "node:worker_threads";

import { startWorker } from "../shared/worker";
import type { Changed, ChangedJob, DeployJob } from "./file-deploy";
import type { Copied, CopyJob } from "./file-round";
import type { OwnJob, RemoveJob } from "./file-tree";
import type { FilesJob, JobMessage, ResultMessage } from "./files-worker";

interface Pending {
  readonly resolve: (result: unknown) => void;
  readonly reject: (error: Error) => void;
}

/** Jobs on folders, one after the other, in a thread of their own: a large copy delays nobody else. */
class FilesThread {
  private worker: Promise<Worker> | undefined;
  private readonly pending = new Map<number, Pending>();
  private nextId = 1;

  async run(job: FilesJob): Promise<unknown> {
    this.worker ??= this.open();
    const worker = await this.worker;
    const id = this.nextId++;
    return await new Promise((resolve, reject) => {
      this.pending.set(id, { resolve, reject });
      worker.postMessage({ id, job } satisfies JobMessage);
    });
  }

  private async open(): Promise<Worker> {
    const worker = await startWorker("containers/files-worker.ts", {});
    worker.unref();
    worker.on("message", (message: ResultMessage) => {
      const pending = this.pending.get(message.id);
      this.pending.delete(message.id);
      if ("error" in message) pending?.reject(new Error(message.error));
      else pending?.resolve(message.result);
    });
    worker.on("error", (error) => this.fail(error));
    worker.on("exit", () => this.fail(new Error("the file worker ended")));
    return worker;
  }

  private fail(error: Error): void {
    this.worker = undefined;
    for (const { reject } of this.pending.values()) reject(error);
    this.pending.clear();
  }
}

const thread = new FilesThread();

/** Makes an app's folder what a directory holds. Rejects with what cannot be deployed. */
export async function deployFiles(job: Omit<DeployJob, "kind">): Promise<Copied> {
  return (await thread.run({ kind: "deploy", ...job })) as Copied;
}

export async function copyFolder(job: Omit<CopyJob, "kind">): Promise<Copied> {
  return (await thread.run({ kind: "copy", ...job })) as Copied;
}

export async function filesChanged(job: Omit<ChangedJob, "kind">): Promise<Changed> {
  return (await thread.run({ kind: "changed", ...job })) as Changed;
}

export async function removeFolder(job: Omit<RemoveJob, "kind">): Promise<void> {
  await thread.run({ kind: "remove", ...job });
}

export async function ownFolder(job: Omit<OwnJob, "kind">): Promise<void> {
  await thread.run({ kind: "own", ...job });
}
