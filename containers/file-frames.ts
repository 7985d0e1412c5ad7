import { createHash } from "node:crypto";

import { BLOCK_BYTES } from "./core/pieces";

/**
 * The answer of a source on the wire: frames in sealed chunks. A chunk is signed by the source for this
 * very request, in its place among the others; so what was read of a stream that broke is good.
 *
 *     chunk   length of the frames (4) · Ed25519 signature (64) · frames
 *     frame   kind (1) · length of its payload (4) · payload
 */
export type Frame =
  /** Of a manifest: what there is to know before its entries. */
  | { readonly kind: "head"; readonly head: unknown }
  | { readonly kind: "entries"; readonly entries: unknown }
  /** Begins the answer to a piece: how large its file is now. */
  | { readonly kind: "file"; readonly size: number }
  /** The next block is as the destination has it. */
  | { readonly kind: "same" }
  | { readonly kind: "data"; readonly bytes: Uint8Array }
  /** The next block is zeros, and may be a hole. */
  | { readonly kind: "zero" }
  /** The file, or the rest of it, cannot be read as what it was. */
  | { readonly kind: "gone" }
  /** The source cannot go on. */
  | { readonly kind: "failed"; readonly reason: string }
  /** All was said: an answer without it was cut off. */
  | { readonly kind: "end" };

const KINDS = ["head", "entries", "file", "same", "data", "gone", "failed", "end", "zero"] as const;
const FRAME_HEAD = 5;
const SEAL_BYTES = 4 + 64;
/** Enough that a signature for each costs nothing, little enough to be kept in memory. */
const FULL_CHUNK = 256 * 1024;
/** A chunk that is not full yet takes one more frame. */
const MAX_CHUNK = FULL_CHUNK + FRAME_HEAD + 2 * BLOCK_BYTES;

/** A chunk with room for its seal. */
export interface Unsealed {
  readonly bytes: Uint8Array;
  /** What is signed: of this chunk and all before it. */
  readonly digest: string;
}

const NO_DIGEST = Buffer.alloc(32);

function digestOf(previous: Uint8Array, frames: Uint8Array): Buffer {
  return createHash("sha256").update(previous).update(frames).digest();
}

/** The stream was cut off: what came before is good, and the rest can be asked for again. */
export class StreamCut extends Error {
  readonly code = "STREAM_CUT";
}

function payloadOf(frame: Frame): Uint8Array {
  switch (frame.kind) {
    case "head":
      return Buffer.from(JSON.stringify(frame.head));
    case "entries":
      return Buffer.from(JSON.stringify(frame.entries));
    case "file": {
      const size = Buffer.alloc(8);
      size.writeDoubleBE(frame.size);
      return size;
    }
    case "data":
      return frame.bytes;
    case "failed":
      return Buffer.from(frame.reason);
    case "same":
    case "zero":
    case "gone":
    case "end":
      return new Uint8Array();
  }
}

/** Frames as chunks, each in memory of its own, so that it can be handed to another thread. */
export function* pack(frames: Iterable<Frame>): Generator<Unsealed> {
  let parts: Uint8Array[] = [];
  let length = 0;
  let previous: Uint8Array = NO_DIGEST;
  const chunk = (): Unsealed => {
    const bytes = Buffer.allocUnsafeSlow(SEAL_BYTES + length);
    bytes.writeUInt32BE(length);
    let at = SEAL_BYTES;
    for (const part of parts) {
      bytes.set(part, at);
      at += part.length;
    }
    const digest = digestOf(previous, bytes.subarray(SEAL_BYTES));
    [parts, length, previous] = [[], 0, digest];
    return { bytes, digest: digest.toString("base64url") };
  };
  for (const frame of frames) {
    const payload = payloadOf(frame);
    const head = Buffer.alloc(FRAME_HEAD);
    head.writeUInt8(KINDS.indexOf(frame.kind));
    head.writeUInt32BE(payload.length, 1);
    parts.push(head, payload);
    length += FRAME_HEAD + payload.length;
    if (length >= FULL_CHUNK) yield chunk();
  }
  if (length > 0) yield chunk();
}

/** Puts the signature (base64url) into the room that was left for it. */
export function seal({ bytes }: Unsealed, signature: string): Uint8Array {
  bytes.set(Buffer.from(signature, "base64url").subarray(0, SEAL_BYTES - 4), 4);
  return bytes;
}

export type IsSigned = (digest: string, signature: string) => boolean;

/** The frames of an answer, up to its end. Throws `StreamCut` when it is cut off. */
export async function* unpack(
  chunks: AsyncIterable<Uint8Array>,
  isSigned: IsSigned,
): AsyncGenerator<Frame> {
  let previous: Uint8Array = NO_DIGEST;
  for await (const { signature, frames } of chunksOf(chunks)) {
    const digest = digestOf(previous, frames);
    if (!isSigned(digest.toString("base64url"), signature)) {
      throw new Error("the files came with a signature that is not the source's");
    }
    previous = digest;
    for (const frame of framesOf(frames)) {
      if (frame.kind === "failed") throw new Error(`the source says: ${frame.reason}`);
      yield frame;
      if (frame.kind === "end") return;
    }
  }
  throw new StreamCut("the stream of files ended before its end");
}

interface Chunk {
  readonly signature: string;
  readonly frames: Buffer;
}

/** Never holds more than one chunk and what came with its end. */
async function* chunksOf(source: AsyncIterable<Uint8Array>): AsyncGenerator<Chunk> {
  let held: Uint8Array[] = [];
  let size = 0;
  let needed = SEAL_BYTES;
  for await (const part of source) {
    held.push(part);
    size += part.length;
    while (size >= needed) {
      const all =
        held.length === 1 && held[0]
          ? Buffer.from(held[0].buffer, held[0].byteOffset, size)
          : Buffer.concat(held);
      const length = SEAL_BYTES + all.readUInt32BE();
      if (length > SEAL_BYTES + MAX_CHUNK) throw new Error("the files came in too large a chunk");
      held = [all];
      needed = length;
      if (size < length) break;
      yield {
        signature: all.subarray(4, SEAL_BYTES).toString("base64url"),
        frames: all.subarray(SEAL_BYTES, length),
      };
      const rest = all.subarray(length);
      [held, size, needed] = [[rest], rest.length, SEAL_BYTES];
    }
  }
  if (size > 0) throw new StreamCut("the stream of files was cut off within a chunk");
}

function* framesOf(chunk: Buffer): Generator<Frame> {
  for (let at = 0; at < chunk.length;) {
    if (at + FRAME_HEAD > chunk.length) throw new Error("the files came in a broken frame");
    const kind = KINDS[chunk.readUInt8(at)];
    const from = at + FRAME_HEAD;
    const to = from + chunk.readUInt32BE(at + 1);
    if (!kind || to > chunk.length) throw new Error("the files came in a broken frame");
    yield frameOf(kind, chunk.subarray(from, to));
    at = to;
  }
}

function frameOf(kind: Frame["kind"], payload: Buffer): Frame {
  switch (kind) {
    case "head":
      return { kind, head: JSON.parse(payload.toString()) };
    case "entries":
      return { kind, entries: JSON.parse(payload.toString()) };
    case "file":
      if (payload.length !== 8) throw new Error("the files came in a broken frame");
      return { kind, size: payload.readDoubleBE() };
    case "data":
      return { kind, bytes: payload };
    case "failed":
      return { kind, reason: payload.subarray(0, 1_000).toString() };
    case "same":
    case "zero":
    case "gone":
    case "end":
      return { kind };
  }
}
