/**
 * Chunked bodies (RFC 9112 section 7.1), looked at while they pass.
 *
 * The scanner says which bytes to send on: canonical chunks pass as ranges of what was read, so
 * nothing is copied; a size line with an extension, upper case or leading zeros, or one that was
 * split between two reads, is written anew. Extensions never pass; trailers pass filtered.
 */
import { filterTrailers } from "./trailers";
import { LIMITS } from "./limits";

/** Either a range of the bytes read (`text` empty) or text to write. */
export interface Piece {
  readonly from: number;
  readonly to: number;
  readonly text: string;
}

export type ChunkFault = "" | "bad_request" | "body_too_large";

const State = {
  Size: 0,
  Extension: 1,
  SizeEnd: 2,
  Data: 3,
  DataCr: 4,
  DataLf: 5,
  Trailer: 6,
  Done: 7,
} as const;
type State = (typeof State)[keyof typeof State];

const CR = 13;
const LF = 10;
const SEMICOLON = 59;

export class ChunkScanner {
  done = false;
  fault: ChunkFault = "";
  /** What to send on of the last `scan`. */
  pieces: Piece[] = [];
  /** Data bytes seen so far. */
  dataBytes = 0;

  /** Send on the data alone, without chunking. */
  private readonly dataOnly: boolean;
  private state: State = State.Size;
  private size = 0;
  private digits = 0;
  private canonical = true;
  private remaining = 0;
  private extension = 0;
  private extensions = 0;
  private trailer = "";
  /** Where the verbatim range began; -1: none is open. */
  private run = -1;
  /** Where the current size line began; -1: in an earlier read. */
  private lineAt = -1;

  constructor(dataOnly: boolean) {
    this.dataOnly = dataOnly;
  }

  /** Reads from `from`; returns where it stopped: the end, the end of the body, or a fault. */
  scan(bytes: Uint8Array, from: number): number {
    this.pieces = [];
    this.run = this.dataOnly || this.midLine() ? -1 : from;
    this.lineAt = this.state === State.Size && this.digits === 0 ? from : -1;
    let at = from;
    while (at < bytes.length && !this.done && this.fault === "") {
      at = this.state === State.Data ? this.data(bytes, at) : this.step(bytes, at);
    }
    if (this.run >= 0) this.closeRun(this.midLine() && this.lineAt >= 0 ? this.lineAt : at);
    return at;
  }

  private midLine(): boolean {
    return (
      this.state === State.Extension ||
      this.state === State.SizeEnd ||
      this.state === State.Trailer ||
      (this.state === State.Size && this.digits > 0)
    );
  }

  private closeRun(to: number): void {
    if (this.run >= 0 && to > this.run) this.pieces.push({ from: this.run, to, text: "" });
    this.run = -1;
  }

  private emit(text: string): void {
    if (!this.dataOnly && text !== "") this.pieces.push({ from: 0, to: 0, text });
  }

  private data(bytes: Uint8Array, at: number): number {
    const count = Math.min(this.remaining, bytes.length - at);
    if (this.dataOnly) this.pieces.push({ from: at, to: at + count, text: "" });
    this.remaining -= count;
    this.dataBytes += count;
    if (this.remaining === 0) this.state = State.DataCr;
    return at + count;
  }

  private step(bytes: Uint8Array, at: number): number {
    const byte = bytes[at] as number;
    switch (this.state) {
      case State.Size:
        this.sizeByte(byte);
        return at + 1;
      case State.Extension:
        this.extensionByte(byte);
        return at + 1;
      case State.SizeEnd:
        if (byte !== LF) return this.fail("bad_request", at);
        return this.sizeLineEnded(bytes, at + 1);
      case State.DataCr:
        if (byte !== CR) return this.fail("bad_request", at);
        this.state = State.DataLf;
        return at + 1;
      case State.DataLf:
        if (byte !== LF) return this.fail("bad_request", at);
        this.startLine(at + 1);
        return at + 1;
      case State.Trailer:
        return this.trailerByte(byte, at);
      case State.Data:
      case State.Done:
        return at;
    }
  }

  private startLine(at: number): void {
    this.state = State.Size;
    this.size = 0;
    this.digits = 0;
    this.extension = 0;
    this.canonical = true;
    this.lineAt = at;
  }

  private sizeByte(byte: number): void {
    const digit = hexDigit(byte);
    if (digit >= 0) {
      if (this.digits === 1 && this.size === 0) this.canonical = false;
      if (byte >= 65 && byte <= 70) this.canonical = false;
      this.size = this.size * 16 + digit;
      this.digits++;
      if (this.digits > 16 || this.size > Number.MAX_SAFE_INTEGER) this.fault = "bad_request";
    } else if (this.digits === 0) {
      this.fault = "bad_request";
    } else if (byte === CR) {
      this.state = State.SizeEnd;
    } else if (byte === SEMICOLON) {
      this.canonical = false;
      this.state = State.Extension;
    } else {
      this.fault = "bad_request";
    }
  }

  private extensionByte(byte: number): void {
    if (byte === CR) {
      this.state = State.SizeEnd;
      return;
    }
    // A bare LF or another control here ends the line for some parsers and not for others.
    if ((byte < 32 && byte !== 9) || byte === 127) this.fault = "bad_request";
    this.extension++;
    this.extensions++;
    const over =
      this.extension > LIMITS.chunkExtensionBytes || this.extensions > LIMITS.chunkExtensionsBytes;
    if (over && this.fault === "") this.fault = "body_too_large";
  }

  private sizeLineEnded(bytes: Uint8Array, at: number): number {
    if (!this.dataOnly && (!this.canonical || this.lineAt < 0)) {
      this.closeRun(this.lineAt);
      this.emit(`${this.size.toString(16)}\r\n`);
      this.run = at;
    }
    this.lineAt = -1;
    this.remaining = this.size;
    if (this.size > 0) {
      this.state = State.Data;
      return at;
    }
    this.state = State.Trailer;
    if (bytes[at] === CR && bytes[at + 1] === LF) return this.finish(at + 2);
    this.closeRun(at);
    return at;
  }

  private trailerByte(byte: number, at: number): number {
    this.trailer += String.fromCharCode(byte);
    if (this.trailer.length > LIMITS.trailerBytes) return this.fail("bad_request", at);
    if (byte !== LF) return at + 1;
    if (this.trailer === "\r\n") {
      this.emit("\r\n");
      return this.finish(at + 1);
    }
    if (!this.trailer.endsWith("\r\n\r\n")) {
      return this.trailer.endsWith("\r\n") ? at + 1 : this.fail("bad_request", at);
    }
    const kept = filterTrailers(this.trailer.slice(0, -2));
    if (kept === undefined) return this.fail("bad_request", at);
    this.emit(`${kept}\r\n`);
    return this.finish(at + 1);
  }

  private finish(at: number): number {
    this.state = State.Done;
    this.done = true;
    return at;
  }

  private fail(fault: ChunkFault, at: number): number {
    this.fault = fault;
    return at;
  }
}

function hexDigit(byte: number): number {
  if (byte >= 48 && byte <= 57) return byte - 48;
  if (byte >= 97 && byte <= 102) return byte - 87;
  if (byte >= 65 && byte <= 70) return byte - 55;
  return -1;
}
