import type { Claims } from "../shared/channel/signature";
import type { Piece } from "./core/pieces";
import type { ChangedJob, DeployJob } from "./file-deploy";
import type { DrawJob } from "./file-draw";
import type { GiveJob } from "./file-give";
import type { CopyJob } from "./file-round";
import type { OwnJob, RemoveJob } from "./file-tree";

/** What the main thread and the thread that works on folders say to each other. */

/** The next chunk of what a `give` began. */
interface NextJob {
  readonly kind: "next";
  readonly given: number;
}

interface StopJob {
  readonly kind: "stop";
  readonly given: number;
}

export type FilesJob =
  | DeployJob
  | CopyJob
  | ChangedJob
  | RemoveJob
  | OwnJob
  | DrawJob
  | GiveJob
  | NextJob
  | StopJob;

/** What proves that the parts of an answer are the source's, and belong to this request. */
export interface Proof {
  readonly claims: Claims;
  readonly publicKey: string;
}

/** An error as it can be told to another thread. */
export interface Told {
  readonly message: string;
  /** Nothing is wrong but the connection. */
  readonly isCut: boolean;
}

export type ToThread =
  | { readonly kind: "job"; readonly id: number; readonly job: FilesJob }
  | { readonly kind: "opened"; readonly stream: number; readonly proof: Proof }
  | { readonly kind: "chunk"; readonly stream: number; readonly bytes: Uint8Array | null }
  | { readonly kind: "broken"; readonly stream: number; readonly error: Told };

export type FromThread =
  | { readonly kind: "result"; readonly id: number; readonly result: unknown }
  | { readonly kind: "error"; readonly id: number; readonly error: Told }
  /** A draw asks its source; only the main thread can sign. */
  | {
      readonly kind: "open";
      readonly id: number;
      readonly stream: number;
      readonly pieces: readonly Piece[] | null;
    }
  /** There is room; `received` is what has come until now, in bytes. */
  | { readonly kind: "more"; readonly stream: number; readonly received: number }
  | { readonly kind: "close"; readonly stream: number };
