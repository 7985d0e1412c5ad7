import type { Socket } from "node:net";

import { ALLOWED, type ErrorCode, renderError } from "./core/errors";
import { oversized, parseRequestHead, type RequestHead } from "./core/head";
import { LIMITS } from "./core/limits";
import { Accumulator } from "./accumulator";
import { Exchange, type ExchangeHost } from "./exchange";
import type { Tunnel } from "./tunnel";
import type { Visitor } from "./visitor";

/** What a connection asks of the proxy. */
export interface ConnectionHost extends ExchangeHost {
  readonly headMs: number;
  /** While it drains: whoever connects from now on is late. */
  readonly takesNobody: boolean;
  accept(exchange: Exchange): void;
  closed(connection: Connection): void;
}

const State = {
  /** Between requests, or within a head. */
  Head: 0,
  /** A request is being answered. */
  Busy: 1,
  /** The next request waits until the visitor has taken the last response. */
  Blocked: 2,
  Tunnel: 3,
  /** Answered for the last time; what still comes is read and dropped. */
  Linger: 4,
  Closed: 5,
} as const;
type State = (typeof State)[keyof typeof State];

/** Reasons to stop reading; reading goes on when none is left. */
const PAUSE_AHEAD = 1;
const PAUSE_BODY = 2;

const CR = 13;
const LF = 10;

/** A visitor's HTTP/1.1 connection: heads in, one exchange at a time, responses out in order. */
export class Connection implements Visitor {
  readonly clientIp: string;
  readonly late: boolean;
  fromPeer = false;
  /** When to act if nothing comes; 0: never. */
  deadline: number;
  private state: State = State.Head;
  private paused = 0;
  private partial: Accumulator | undefined;
  private ahead: Buffer | undefined;
  private exchange: Exchange | undefined;
  private tunnel: Tunnel | undefined;
  private lingered = 0;
  private running = false;
  private ended = false;
  /** Since when the visitor has taken nothing of what is buffered; 0: nothing is. */
  private stalledSince = 0;
  private stalledBytes = 0;

  constructor(
    private readonly host: ConnectionHost,
    readonly socket: Socket,
    readonly nudged: boolean,
  ) {
    const address = socket.remoteAddress ?? "0.0.0.0";
    this.clientIp = address.startsWith("::ffff:") ? address.slice(7) : address;
    this.late = host.takesNobody;
    this.deadline = host.now + LIMITS.idleMs;
    socket.on("error", ignore);
    socket.on("data", (bytes: Buffer) => this.data(bytes));
    socket.on("drain", () => this.drained());
    socket.on("end", () => this.visitorEnded());
    socket.on("close", () => this.close());
  }

  get aheadBytes(): number {
    return this.ahead?.length ?? 0;
  }

  get idle(): boolean {
    return this.state === State.Head && this.partial === undefined;
  }

  private data(bytes: Buffer): void {
    switch (this.state) {
      case State.Head:
        this.run(bytes);
        return;
      case State.Busy:
        this.behindHead(bytes);
        return;
      case State.Blocked:
        this.giveBack(bytes);
        return;
      case State.Tunnel:
        this.tunnel?.fromVisitor(bytes);
        return;
      case State.Linger:
        this.lingered += bytes.length;
        if (this.lingered > LIMITS.lingerBytes) this.socket.destroy();
        return;
      case State.Closed:
        return;
    }
  }

  /** Bytes that come while a request is under way: its body, then what was sent ahead. */
  private behindHead(bytes: Buffer): void {
    const { exchange } = this;
    if (exchange?.takesBody !== true || this.ahead !== undefined) {
      this.giveBack(bytes);
      return;
    }
    const end = exchange.requestBody(bytes);
    if (end < bytes.length) this.giveBack(bytes.subarray(end));
  }

  /** Reads heads for as long as whole ones are there. Never calls itself: pipelines can be long. */
  private run(bytes: Buffer): void {
    this.ahead = bytes;
    if (this.running) return;
    this.running = true;
    while (this.state === State.Head && this.ahead !== undefined) {
      const next = this.ahead;
      this.ahead = undefined;
      this.readHead(next);
    }
    this.running = false;
    if (this.state === State.Head) this.resume(PAUSE_AHEAD);
  }

  private readHead(bytes: Buffer): void {
    let work = bytes;
    if (this.partial !== undefined) {
      this.partial.append(bytes);
      work = this.partial.view();
    }
    // One empty line before a request is skipped (RFC 9112 section 2.2).
    const from = work[0] === CR && work[1] === LF ? 2 : 0;
    const end = this.partial?.headEnd(from) ?? work.indexOf("\r\n\r\n", from);
    if (end < 0) {
      this.keepPartial(work, from);
      return;
    }
    this.partial = undefined;
    const head = parseRequestHead(work.toString("latin1", from, end + 2));
    if (typeof head === "string") {
      this.refuse(head);
      return;
    }
    if (end + 4 < work.length) this.ahead = work.subarray(end + 4);
    this.begin(head);
  }

  private keepPartial(work: Buffer, from: number): void {
    if (this.partial === undefined) {
      this.partial = new Accumulator();
      this.partial.append(work);
      this.partial.headEnd(0);
      this.deadline = this.host.now + this.host.headMs;
    }
    if (work.length - from > LIMITS.headBytes)
      this.refuse(oversized(work.toString("latin1", from)));
    else if (hasBareLf(work, from) || !startsLikeMethod(work, from)) this.refuse("bad_request");
  }

  private begin(head: RequestHead): void {
    this.deadline = 0;
    this.state = State.Busy;
    if (head.contentLength > this.host.bodyLimit) {
      this.refuse("body_too_large", head);
      return;
    }
    const exchange = new Exchange(this.host, this, head);
    this.exchange = exchange;
    if (this.aheadBytes > LIMITS.lookAheadBytes) this.pause(PAUSE_AHEAD);
    if (head.target === "*") this.answerOptions(exchange);
    else this.host.accept(exchange);
  }

  /** `OPTIONS *` asks for the server itself (RFC 9110 section 9.3.7), and that is us. */
  private answerOptions(exchange: Exchange): void {
    exchange.answer(`HTTP/1.1 204 No Content\r\nAllow: ${ALLOWED}\r\n`);
  }

  /** Answers a head that cannot be served, and nothing after it. */
  private refuse(code: ErrorCode, head?: RequestHead): void {
    this.socket.write(
      renderError(code, {
        html: head?.html ?? false,
        requestId: "",
        host: "",
        close: true,
        head: head?.method === "HEAD",
        date: this.host.date,
      }),
      "latin1",
    );
    this.linger();
  }

  // What an exchange may do.

  takeAhead(): Buffer | undefined {
    const bytes = this.ahead;
    this.ahead = undefined;
    return bytes;
  }

  giveBack(bytes: Buffer): void {
    this.ahead = this.ahead === undefined ? bytes : Buffer.concat([this.ahead, bytes]);
    if (this.ahead.length > LIMITS.lookAheadBytes) this.pause(PAUSE_AHEAD);
  }

  pauseBody(): void {
    this.pause(PAUSE_BODY);
  }

  resumeBody(): void {
    this.resume(this.aheadBytes > LIMITS.lookAheadBytes ? PAUSE_BODY : PAUSE_BODY | PAUSE_AHEAD);
  }

  finished(close: boolean): void {
    this.exchange = undefined;
    if (this.state !== State.Busy) return;
    if (close) {
      this.linger();
      return;
    }
    this.resume(PAUSE_BODY);
    if (this.socket.writableNeedDrain) {
      this.state = State.Blocked;
      return;
    }
    this.next();
  }

  private next(): void {
    this.state = State.Head;
    this.deadline = this.host.now + LIMITS.idleMs;
    const bytes = this.takeAhead();
    if (bytes !== undefined) this.run(bytes);
    else this.resume(PAUSE_AHEAD);
  }

  reset(): void {
    this.exchange = undefined;
    this.state = State.Closed;
    // `resetAndDestroy` half-closes first, which ends a body without a length as if it were whole.
    (this.socket as Socket & { resetAndClosing?: boolean }).resetAndClosing = true;
    this.socket.destroy();
  }

  opened(tunnel: Tunnel): void {
    this.tunnel = tunnel;
    this.state = State.Tunnel;
    this.deadline = 0;
    this.paused = 0;
    this.socket.resume();
  }

  // Endings.

  /**
   * Half-closes, and reads on for a while: closing with unread bytes resets the connection, and the
   * visitor would never see the answer (RFC 9112 section 9.6).
   */
  private linger(): void {
    this.state = State.Linger;
    this.partial = undefined;
    this.ahead = undefined;
    this.exchange = undefined;
    this.paused = 0;
    this.deadline = this.host.now + LIMITS.lingerMs;
    this.socket.end();
    this.socket.resume();
    if (this.ended) this.socket.destroySoon();
  }

  private visitorEnded(): void {
    this.ended = true;
    if (this.state === State.Tunnel) this.tunnel?.visitorEnded();
    else if (this.state === State.Linger) this.socket.destroySoon();
    else if (this.exchange !== undefined) this.socket.destroy();
    else this.socket.end();
  }

  private close(): void {
    this.state = State.Closed;
    const { exchange } = this;
    this.exchange = undefined;
    this.ahead = undefined;
    exchange?.visitorGone();
    this.tunnel?.lost();
    this.host.closed(this);
  }

  private drained(): void {
    this.stalledSince = 0;
    if (this.state === State.Blocked) this.next();
    else this.exchange?.visitorDrained();
  }

  /** Called now and then. */
  sweep(now: number): void {
    this.watchStall(now);
    const expired = this.exchange?.deadline ?? 0;
    if (expired !== 0 && expired <= now) this.exchange?.expire();
    if (this.deadline === 0 || this.deadline > now) return;
    // A head that does not end is answered; silence between requests is not.
    if (this.state === State.Head && this.partial !== undefined) this.refuse("request_timeout");
    else this.socket.destroy();
  }

  /** Drops a visitor who takes nothing of its response for a minute. */
  private watchStall(now: number): void {
    const { bytesWritten, writableLength, writableNeedDrain } = this.socket;
    const taken = bytesWritten - writableLength;
    if (!writableNeedDrain || taken !== this.stalledBytes || this.stalledSince === 0) {
      this.stalledSince = writableNeedDrain ? now : 0;
      this.stalledBytes = taken;
    } else if (now - this.stalledSince > LIMITS.stalledWriteMs) this.socket.destroy();
  }

  /** The proxy ends: idle connections go now, others after their response. */
  drain(until: number): void {
    if (this.state === State.Head && this.partial === undefined) {
      this.deadline = until;
    } else this.exchange?.cut();
    if (this.state === State.Tunnel) this.tunnel?.cut();
  }

  private pause(reason: number): void {
    if (this.paused === 0) this.socket.pause();
    this.paused |= reason;
  }

  private resume(reasons: number): void {
    if (this.paused === 0) return;
    this.paused &= ~reasons;
    if (this.paused === 0) this.socket.resume();
  }
}

function ignore(): void {}

/** A line that ends without CR: no empty line can make a head of it any more. */
function hasBareLf(bytes: Buffer, from: number): boolean {
  for (let at = bytes.indexOf(LF, from); at >= 0; at = bytes.indexOf(LF, at + 1)) {
    if (at === 0 || bytes[at - 1] !== CR) return true;
  }
  return false;
}

/** Letters, mostly: a TLS greeting or binary noise is not waited for. */
function startsLikeMethod(bytes: Buffer, from: number): boolean {
  const byte = bytes[from];
  return byte === undefined || byte === CR || (byte > 32 && byte < 127);
}
