import { Readable } from "node:stream";

import { parsePublicKey } from "../shared/channel/key";
import { verifyAnswer } from "../shared/channel/signature";
import type { Ask } from "./file-draw";
import { StreamCut } from "./file-frames";
import type { FromThread, Proof, Told, ToThread } from "./file-messages";

/** What is read ahead of the disk, so that a chunk of the network comes while one is written. */
const AHEAD_BYTES = 1024 * 1024;

interface Asked {
  readonly body: Readable;
  received: number;
  readonly opened: (proof: Proof) => void;
}

export function toError({ message, isCut }: Told): Error {
  return isCut ? new StreamCut(message) : new Error(message);
}

/** The worker's side of the streams that a draw reads: the main thread sends, when there is room. */
export class Asks {
  private readonly asked = new Map<number, Asked>();
  private next = 1;

  constructor(private readonly post: (message: FromThread) => void) {}

  /** How a draw asks. */
  of(id: number): Ask {
    return async (pieces) => {
      const stream = this.next++;
      const { post, asked } = this;
      const body = new Readable({
        highWaterMark: AHEAD_BYTES,
        read: () => post({ kind: "more", stream, received: asked.get(stream)?.received ?? 0 }),
        destroy: (error, done) => {
          asked.delete(stream);
          post({ kind: "close", stream });
          done(error);
        },
      });
      const proof = new Promise<Proof>((resolve, reject) => {
        asked.set(stream, { body, received: 0, opened: resolve });
        body.on("error", reject);
      });
      post({ kind: "open", id, stream, pieces });
      const { claims, publicKey } = await proof;
      const key = parsePublicKey(publicKey);
      if (!key) throw new Error("the source has no public key");
      return {
        chunks: body,
        isSigned: (digest, signature) =>
          verifyAnswer({ request: claims, status: 200, bodyHash: digest }, signature, key),
        close: () => void body.destroy(),
      };
    };
  }

  take(message: Exclude<ToThread, { kind: "job" }>): void {
    const asked = this.asked.get(message.stream);
    if (!asked) return;
    switch (message.kind) {
      case "opened":
        return asked.opened(message.proof);
      case "chunk":
        asked.received += message.bytes?.length ?? 0;
        return void asked.body.push(message.bytes);
      case "broken":
        return void asked.body.destroy(toError(message.error));
    }
  }
}
