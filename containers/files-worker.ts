import { parentPort } from "node:worker_threads";

import { changed, type ChangedJob, deploy, type DeployJob } from "./file-deploy";
import { copy, type CopyJob } from "./file-round";
import { type OwnJob, ownAll, remove, type RemoveJob } from "./file-tree";

export type FilesJob = DeployJob | CopyJob | ChangedJob | RemoveJob | OwnJob;

export interface JobMessage {
  readonly id: number;
  readonly job: FilesJob;
}

export type ResultMessage =
  | { readonly id: number; readonly result: unknown }
  | { readonly id: number; readonly error: string };

function run(job: FilesJob): unknown {
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
  }
}

parentPort?.on("message", ({ id, job }: JobMessage) => {
  try {
    parentPort?.postMessage({ id, result: run(job) } satisfies ResultMessage);
  } catch (error) {
    parentPort?.postMessage({ id, error: (error as Error).message } satisfies ResultMessage);
  }
});
