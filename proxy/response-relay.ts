import type { Socket } from "node:net";

import { ChunkScanner } from "./core/chunks";
import { EventTracker } from "./core/events";
import type { RequestHead } from "./core/head";
import type { ResponseHead } from "./core/response-head";
import type { BodyForm } from "./core/headers";
import { writeWithHead } from "./write";

/** How the end of the app's body is known. */
const Framing = { None: 0, Length: 1, Chunked: 2, Close: 3 } as const;
type Framing = (typeof Framing)[keyof typeof Framing];

/**
 * `whole`: the last byte has passed. `cut`: an event stream was left at the end of an event.
 * `broken`: the app broke its own framing.
 */
export type Progress = "more" | "whole" | "cut" | "broken";

const LAST_CHUNK = "0\r\n\r\n";

/** A response's body on its way to the visitor: in the app's framing, out in the visitor's. */
export class ResponseRelay {
  readonly form: BodyForm;
  /** The Content-Length to tell; -1: none. */
  readonly length: number;
  /** The app sent more than its response. */
  surplus = false;
  /** The visitor's socket is full. */
  blocked = false;
  /** End the event stream where an event ends. */
  cutting = false;
  bytes = 0;
  private readonly framing: Framing;
  private readonly chunks: ChunkScanner | undefined;
  private readonly events: EventTracker | undefined;
  private remaining: number;
  /** Written together with the first bytes behind it. */
  private head = "";

  constructor(
    private readonly socket: Socket,
    request: RequestHead,
    response: ResponseHead,
  ) {
    const { contentLength, chunked, eventStream, status } = response;
    const bodiless = request.method === "HEAD" || status === 204 || status === 304;
    this.length = status === 204 ? -1 : contentLength;
    this.remaining = Math.max(contentLength, 0);
    if (bodiless || contentLength === 0) this.framing = Framing.None;
    else if (contentLength > 0) this.framing = Framing.Length;
    else this.framing = chunked ? Framing.Chunked : Framing.Close;
    this.form = this.formFor(request.minor);
    const open = this.framing === Framing.Chunked || this.framing === Framing.Close;
    if (eventStream && open) this.events = new EventTracker();
    if (this.framing === Framing.Chunked) {
      this.chunks = new ChunkScanner(this.form === "close" || eventStream);
    }
  }

  private formFor(minor: 0 | 1): BodyForm {
    if (this.framing === Framing.None) return "none";
    if (this.framing === Framing.Length) return "length";
    return minor === 1 ? "chunked" : "close";
  }

  /** No body follows the head. */
  get empty(): boolean {
    return this.framing === Framing.None;
  }

  /** Only the end of the connection ends the body. */
  get untilClose(): boolean {
    return this.framing === Framing.Close;
  }

  get isEventStream(): boolean {
    return this.events !== undefined;
  }

  /** Between two events: the stream may end here. */
  get atBoundary(): boolean {
    return this.events?.atBoundary === true;
  }

  start(head: string): void {
    this.head = head;
  }

  /** Passes bytes on in the same turn that they came. */
  pass(bytes: Buffer): Progress {
    if (this.framing === Framing.Length) return this.passLength(bytes);
    if (this.framing === Framing.Chunked) return this.passChunks(bytes);
    return this.passData(bytes);
  }

  private passLength(bytes: Buffer): Progress {
    const count = Math.min(this.remaining, bytes.length);
    this.remaining -= count;
    this.surplus = count < bytes.length;
    this.write(this.surplus ? bytes.subarray(0, count) : bytes);
    return this.remaining === 0 ? "whole" : "more";
  }

  private passChunks(bytes: Buffer): Progress {
    const chunks = this.chunks as ChunkScanner;
    const end = chunks.scan(bytes, 0);
    const several = chunks.pieces.length > 1;
    if (several) this.socket.cork();
    let progress: Progress = "more";
    for (const { from, to, text } of chunks.pieces) {
      if (text !== "") this.write(Buffer.from(text, "latin1"));
      else if (this.events === undefined && this.form === "chunked") {
        this.write(bytes.subarray(from, to));
      } else if (progress === "more") progress = this.passData(bytes.subarray(from, to));
    }
    if (several) this.socket.uncork();
    if (progress !== "more") return progress;
    if (chunks.fault !== "") return "broken";
    if (!chunks.done) return "more";
    this.surplus = end < bytes.length;
    // Trailers of a stream whose chunks are our own are not carried over.
    if (this.events !== undefined && this.form === "chunked") this.head += LAST_CHUNK;
    return "whole";
  }

  /** Data whose chunking, if any, is ours; of an event stream, up to where it is cut. */
  private passData(data: Buffer): Progress {
    const until = this.events?.scan(data, 0, this.cutting) ?? data.length;
    if (until > 0) this.writeData(until === data.length ? data : data.subarray(0, until));
    return this.cutting && this.atBoundary ? "cut" : "more";
  }

  private writeData(data: Buffer): void {
    if (this.form !== "chunked") {
      this.write(data);
      return;
    }
    this.socket.cork();
    this.head += `${data.length.toString(16)}\r\n`;
    this.write(data);
    this.socket.write("\r\n", "latin1");
    this.socket.uncork();
  }

  private write(bytes: Buffer): void {
    const { head } = this;
    this.head = "";
    this.bytes += bytes.length;
    if (!writeWithHead(this.socket, head, bytes)) this.blocked = true;
  }

  /** Writes a head that no byte of a body came along with. */
  flush(): void {
    if (this.head === "") return;
    const { head } = this;
    this.head = "";
    if (!this.socket.write(head, "latin1")) this.blocked = true;
  }

  /** A clean end of a body that has no length of its own. */
  finish(): void {
    if (this.form === "chunked") this.head += LAST_CHUNK;
    this.flush();
  }
}
