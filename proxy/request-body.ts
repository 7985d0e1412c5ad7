import { ChunkScanner } from "./core/chunks";
import type { ErrorCode } from "./core/errors";
import type { RequestHead } from "./core/head";

/** Takes what belongs to the body, in order. */
export interface BodySink {
  bodyBytes(bytes: Buffer): void;
}

/** Where a request's body ends, and what of it is sent on. */
export class RequestBody {
  done: boolean;
  fault: ErrorCode | undefined;
  /** Data bytes so far. */
  bytes = 0;
  private remaining: number;
  private readonly chunks: ChunkScanner | undefined;

  constructor(
    head: RequestHead,
    private readonly limit: number,
  ) {
    this.remaining = Math.max(head.contentLength, 0);
    this.chunks = head.chunked ? new ChunkScanner(false) : undefined;
    this.done = !head.chunked && this.remaining === 0;
  }

  /** Gives the sink what is body; returns where it ended, or the end of `bytes`. */
  feed(bytes: Buffer, sink: BodySink): number {
    return this.chunks === undefined
      ? this.feedLength(bytes, sink)
      : this.feedChunks(this.chunks, bytes, sink);
  }

  private feedLength(bytes: Buffer, sink: BodySink): number {
    const count = Math.min(this.remaining, bytes.length);
    this.remaining -= count;
    this.bytes += count;
    this.done = this.remaining === 0;
    if (count > 0) sink.bodyBytes(count === bytes.length ? bytes : bytes.subarray(0, count));
    return count;
  }

  private feedChunks(chunks: ChunkScanner, bytes: Buffer, sink: BodySink): number {
    const end = chunks.scan(bytes, 0);
    this.bytes = chunks.dataBytes;
    if (chunks.fault !== "") this.fault = chunks.fault;
    else if (chunks.dataBytes > this.limit) this.fault = "body_too_large";
    if (this.fault !== undefined) return end;
    this.done = chunks.done;
    for (const { from, to, text } of chunks.pieces) {
      sink.bodyBytes(text === "" ? bytes.subarray(from, to) : Buffer.from(text, "latin1"));
    }
    return end;
  }
}
