import { type ErrorCode, ERRORS, renderError } from "./core/errors";
import type { RequestHead } from "./core/head";
import type { ResponseHead } from "./core/response-head";
import { interimText, type RequestContext, requestText, responseText } from "./core/headers";
import type { Hop } from "./core/hop";
import { LIMITS } from "./core/limits";
import { mayRetry } from "./core/retry";
import type { Found } from "./questions";
import { RequestSender } from "./request-sender";
import { ResponseReader } from "./response-reader";
import { ResponseRelay } from "./response-relay";
import type { Repl } from "./table";
import { Tunnel } from "./tunnel";
import type { Target, UpstreamSocket, UpstreamUser } from "./upstream";
import type { Visitor } from "./visitor";

/** What an exchange asks of the proxy. */
export interface ExchangeHost {
  readonly now: number;
  readonly date: string;
  readonly draining: boolean;
  readonly bodyLimit: number;
  readonly responseHeadMs: number;
  newTraceparent(): string;
  hopField(exchange: Exchange): string;
  /** Nothing was sent: place it again. */
  reroute(exchange: Exchange): void;
  /** The connection could not be made. */
  refused(exchange: Exchange, target: Target): void;
  /** An exchange has left its repl. */
  left(exchange: Exchange, target: Target): void;
  ended(exchange: Exchange): void;
}

export const Phase = {
  /** Not placed, or waiting for a route, a wake or the authority. */
  Waiting: 0,
  Connecting: 1,
  /** The head is on its way upstream; no response head yet. */
  Sent: 2,
  Responding: 3,
  Tunnel: 4,
  Done: 5,
} as const;
export type Phase = (typeof Phase)[keyof typeof Phase];

/** One request and its response, from the visitor's head to the last byte. */
export class Exchange implements UpstreamUser {
  phase: Phase = Phase.Waiting;
  repl: Repl | undefined;
  /** What an authenticated peer said of it. */
  hop: Hop | undefined;
  placement: Found | undefined;
  requestId = "";
  clientIp: string;
  waitsForWake = false;
  heldSince = 0;
  heldMs = 0;
  /** When the current wait fails; 0: nothing is waited for. */
  deadline = 0;
  /** Connections that could not be made. */
  dials = 0;
  lost = 0;
  connectTimedOut = false;
  /** It counts as a request; `OPTIONS *` does not reach that far. */
  counted = false;
  /** The generation that a forward promises to its peer. */
  forwardMin = 0;
  readonly startedAt: number;
  status = 0;
  /** What the proxy answered in its own name. */
  error: ErrorCode | "" = "";
  minGeneration = 0;
  target: Target | undefined;

  private upstream: UpstreamSocket | undefined;
  private readonly sender: RequestSender;

  private readonly reader = new ResponseReader();
  private answered = false;
  private interims = 0;
  private response: ResponseHead | undefined;
  private relay: ResponseRelay | undefined;
  private closing = false;
  private tunnel: Tunnel | undefined;

  constructor(
    private readonly host: ExchangeHost,
    readonly visitor: Visitor,
    readonly head: RequestHead,
  ) {
    this.clientIp = visitor.clientIp;
    this.startedAt = host.now;
    this.sender = new RequestSender(head, host.bodyLimit, () => visitor.pauseBody());
  }

  /** The status is the app's, not ours. */
  get fromApp(): boolean {
    return this.response !== undefined || this.tunnel !== undefined;
  }

  get hops(): number {
    return this.hop?.hops ?? 0;
  }

  get requestDone(): boolean {
    return this.sender.done;
  }

  get bytesIn(): number {
    return this.sender.bytes;
  }

  get bytesOut(): number {
    return this.relay?.bytes ?? 0;
  }

  /** Bytes of the body may be handed over now. */
  get takesBody(): boolean {
    return !this.requestDone && (this.phase === Phase.Sent || this.phase === Phase.Responding);
  }

  // The way up.

  /** Sends the request to `target`, over a pooled connection where one is usable. */
  start(target: Target, fresh: boolean): void {
    this.target = target;
    target.users.add(this);
    const pooled = fresh ? undefined : target.takeIdle();
    const upstream = pooled ?? target.dial();
    this.upstream = upstream;
    upstream.user = this;
    this.phase = Phase.Connecting;
    if (upstream.connected) this.send(upstream);
    else {
      const limit = target.peer === "" ? LIMITS.connectMs : LIMITS.peerConnectMs;
      this.deadline = this.host.now + limit;
    }
  }

  upstreamConnected(): void {
    if (this.phase === Phase.Connecting && this.upstream !== undefined) this.send(this.upstream);
  }

  private send(upstream: UpstreamSocket): void {
    this.phase = Phase.Sent;
    this.deadline = this.host.now + this.host.responseHeadMs;
    this.sender.begin(upstream.socket, requestText(this.head, this.context()));
    const ahead = this.requestDone ? undefined : this.visitor.takeAhead();
    if (ahead !== undefined) {
      const end = this.requestBody(ahead);
      if (end < ahead.length && this.phase === Phase.Sent)
        this.visitor.giveBack(ahead.subarray(end));
    }
    if (this.upstream === upstream) this.sender.flushHead();
    if (!this.requestDone && !upstream.socket.writableNeedDrain) this.visitor.resumeBody();
  }

  private context(): RequestContext {
    const { hop, head } = this;
    return {
      clientIp: this.clientIp,
      proto: hop?.proto ?? "http",
      requestId: this.requestId,
      // An untouched traceparent keeps the trace whole: our own span is a sibling (shared parent).
      traceparent: head.traceparent === "" ? this.host.newTraceparent() : head.traceparent,
      hop: this.target?.peer ? this.host.hopField(this) : "",
    };
  }

  /** Hands over body bytes; returns where the body ended, or the end of `bytes`. */
  requestBody(bytes: Buffer): number {
    const end = this.sender.feed(bytes);
    if (this.sender.fault !== undefined) this.brokenBody(this.sender.fault);
    this.waitAfterBody();
    return end;
  }

  /** Whose turn it is: the visitor's, with the rest of the body, or the app's. */
  private waitAfterBody(): void {
    if (this.phase !== Phase.Sent && this.phase !== Phase.Responding) return;
    const { now, responseHeadMs } = this.host;
    if (!this.requestDone && !this.sender.stalled) this.deadline = now + LIMITS.bodyMs;
    else this.deadline = this.phase === Phase.Sent ? now + responseHeadMs : 0;
  }

  /** The app must not take a broken body for a whole one. */
  private brokenBody(code: ErrorCode): void {
    this.dropUpstream();
    if (this.response === undefined) this.fail(code);
    else this.breakOff();
  }

  upstreamDrained(): void {
    if (this.tunnel !== undefined) {
      this.tunnel.upstreamDrained();
      return;
    }
    if (!this.sender.stalled) return;
    this.sender.stalled = false;
    if (!this.requestDone) this.deadline = this.host.now + LIMITS.bodyMs;
    this.visitor.resumeBody();
  }

  // The way down.

  upstreamData(bytes: Buffer): void {
    if (this.relay !== undefined) this.pass(this.relay, bytes);
    else if (this.phase === Phase.Sent) this.readResponse(bytes);
    else if (this.tunnel !== undefined) this.tunnel.fromUpstream(bytes);
  }

  private readResponse(bytes: Buffer): void {
    this.answered = true;
    const { reader } = this;
    reader.push(bytes);
    while (this.phase === Phase.Sent) {
      const head = reader.next();
      if (head === "more") return;
      if (head === "invalid") this.invalid();
      else if (head.status < 200) this.interim(head);
      else this.respond(head);
    }
  }

  private invalid(): void {
    this.dropUpstream();
    this.fail("invalid_response");
  }

  private interim(head: ResponseHead): void {
    if (head.status === 101) {
      if (this.head.upgrade && head.upgrade && head.minor === 1) this.openTunnel(head);
      else this.invalid();
      return;
    }
    if (++this.interims > LIMITS.interimResponses) {
      this.invalid();
      return;
    }
    // An HTTP/1.0 visitor does not know them (RFC 9110 section 15.2).
    if (this.head.minor === 1) this.visitor.socket.write(interimText(head), "latin1");
  }

  private respond(head: ResponseHead): void {
    const relay = new ResponseRelay(this.visitor.socket, this.head, head);
    this.response = head;
    this.relay = relay;
    this.status = head.status;
    this.phase = Phase.Responding;
    this.waitAfterBody();
    this.closing = this.mustClose(relay);
    relay.cutting = relay.isEventStream && this.target?.cutting === true;
    relay.start(this.responseText(head, relay));
    const rest = this.reader.rest();
    if (relay.empty) {
      relay.surplus = rest !== undefined;
      this.complete(relay);
    } else {
      if (rest !== undefined) this.pass(relay, rest);
      // Without a body byte at hand the head does not wait for one.
      if (this.phase === Phase.Responding) this.flush(relay);
      if (this.phase === Phase.Responding && relay.cutting) this.cut();
    }
  }

  private responseText(head: ResponseHead, relay: ResponseRelay | undefined): string {
    return responseText(head, {
      form: relay?.form ?? "none",
      length: relay?.length ?? -1,
      close: this.closing,
      keepAlive: this.head.minor === 0,
      requestId: this.requestId,
      date: this.host.date,
      upgrade: relay === undefined,
      heldMs: this.heldMs,
    });
  }

  private mustClose({ form }: ResponseRelay): boolean {
    if (this.head.close || form === "close" || this.host.draining) return true;
    // Whether the body still comes after a final answer to an expectation, nobody can know.
    if (this.head.expectContinue && !this.requestDone) return true;
    return this.target?.peer !== "" && this.hop === undefined && this.visitor.nudged;
  }

  private pass(relay: ResponseRelay, bytes: Buffer): void {
    const progress = relay.pass(bytes);
    this.holdBack(relay);
    switch (progress) {
      case "more":
        return;
      case "whole":
        this.complete(relay);
        return;
      case "cut":
        this.finish(relay);
        return;
      case "broken":
        this.breakOff();
    }
  }

  /** Reads no more of the app than its visitor takes. */
  private holdBack(relay: ResponseRelay): void {
    if (!relay.blocked) return;
    relay.blocked = false;
    this.upstream?.socket.pause();
  }

  private flush(relay: ResponseRelay): void {
    relay.flush();
    this.holdBack(relay);
  }

  /** The visitor took what was buffered. */
  visitorDrained(): void {
    if (this.tunnel !== undefined) this.tunnel.visitorDrained();
    else this.upstream?.socket.resume();
  }

  upstreamEnded(): void {
    if (this.tunnel !== undefined) this.tunnel.upstreamEnded();
    else if (this.relay?.untilClose === true) this.finish(this.relay);
    else this.upstream?.socket.destroy();
  }

  /** A clean end of a body that has no length of its own. */
  private finish(relay: ResponseRelay): void {
    this.dropUpstream();
    relay.finish();
    this.end(() => this.visitor.finished(this.closing || !this.requestDone));
  }

  private complete(relay: ResponseRelay): void {
    relay.flush();
    const { upstream, response } = this;
    const reusable = this.requestDone && !relay.surplus && response?.close === false;
    if (reusable && upstream !== undefined) this.releaseUpstream(upstream);
    else this.dropUpstream();
    this.end(() => this.visitor.finished(this.closing || !this.requestDone));
  }

  /** What was sent cannot be completed, and the visitor must see that. */
  private breakOff(): void {
    this.dropUpstream();
    this.end(() => this.visitor.reset());
  }

  // Upgrades.

  private openTunnel(head: ResponseHead): void {
    const { upstream, visitor } = this;
    if (upstream === undefined) return;
    this.status = 101;
    this.phase = Phase.Tunnel;
    this.deadline = 0;
    visitor.socket.write(this.responseText(head, undefined), "latin1");
    const tunnel = new Tunnel(visitor.socket, upstream.socket, this);
    this.tunnel = tunnel;
    const ahead = visitor.takeAhead();
    visitor.opened(tunnel);
    if (ahead !== undefined) tunnel.fromVisitor(ahead);
    const rest = this.reader.rest();
    if (rest !== undefined) tunnel.fromUpstream(rest);
    if (this.target?.cutting || this.host.draining) tunnel.cut();
  }

  tunnelLeft(): void {
    this.dropUpstream();
    this.end(() => undefined);
  }

  // Endings.

  reroute(): void {
    if (this.phase !== Phase.Connecting) return;
    this.dropUpstream();
    this.phase = Phase.Waiting;
    this.host.reroute(this);
  }

  cut(): void {
    if (this.tunnel !== undefined) {
      this.tunnel.cut();
      return;
    }
    const { relay } = this;
    if (relay?.isEventStream !== true || this.phase !== Phase.Responding) return;
    if (relay.atBoundary) {
      this.finish(relay);
      return;
    }
    relay.cutting = true;
    if (this.deadline === 0) this.deadline = this.host.now + LIMITS.cutMs;
  }

  upstreamLost(): void {
    const { upstream, target } = this;
    this.upstream = undefined;
    if (target === undefined || this.phase === Phase.Done) return;
    if (this.tunnel !== undefined) {
      this.tunnel.lost();
      return;
    }
    if (this.phase === Phase.Responding) {
      this.breakOff();
      return;
    }
    const retry = mayRetry({
      connected: upstream?.connected === true,
      reused: (upstream?.served ?? 0) > 0,
      answered: this.answered,
      bodySent: this.sender.bodySent,
      method: this.head.method,
      lost: this.lost,
    });
    this.dropUpstream();
    if (retry === "no") this.fail("incomplete");
    else this.tryAgain(retry, target);
  }

  private tryAgain(retry: "reroute" | "fresh", target: Target): void {
    this.phase = Phase.Waiting;
    if (retry === "reroute") {
      this.host.refused(this, target);
      return;
    }
    this.lost++;
    if (target.retired) this.host.reroute(this);
    else this.start(target, true);
  }

  /** What was waited for did not come. */
  expire(): void {
    if (this.phase === Phase.Connecting) {
      this.connectTimedOut = true;
      this.upstream?.socket.destroy();
    } else if (this.phase === Phase.Sent) {
      this.dropUpstream();
      this.fail(this.requestDone || this.sender.stalled ? "response_timeout" : "request_timeout");
    } else if (this.phase === Phase.Responding) {
      if (this.relay?.cutting === true) this.finish(this.relay);
      else this.breakOff();
    }
  }

  /** The visitor is gone: so is the reason for the request. */
  visitorGone(): void {
    if (this.phase === Phase.Done) return;
    if (this.tunnel !== undefined) {
      this.tunnel.lost();
      return;
    }
    if (this.status === 0) this.status = 499;
    this.dropUpstream();
    this.end(() => undefined);
  }

  /** Answers with a head of the proxy's own, given without its last fields. */
  answer(text: string): void {
    const close = this.head.close || !this.requestDone;
    const tail = `Date: ${this.host.date}\r\n${close ? "Connection: close\r\n" : ""}\r\n`;
    this.status = Number(text.slice(9, 12));
    this.visitor.socket.write(text + tail, "latin1");
    this.end(() => this.visitor.finished(close));
  }

  /** Answers with an error of the table. Only before a response has begun. */
  fail(code: ErrorCode): void {
    if (this.phase === Phase.Done) return;
    this.dropUpstream();
    const close =
      this.head.close || this.head.minor === 0 || !this.requestDone || this.host.draining;
    const text = renderError(code, {
      html: this.head.html,
      requestId: this.requestId,
      host: this.head.host,
      close,
      head: this.head.method === "HEAD",
      date: this.host.date,
    });
    this.error = code;
    this.status = ERRORS[code].status;
    this.visitor.socket.write(text, "latin1");
    this.end(() => this.visitor.finished(close));
  }

  private releaseUpstream(upstream: UpstreamSocket): void {
    this.upstream = undefined;
    upstream.target.release(upstream, this.host.now);
    this.leaveTarget();
  }

  private dropUpstream(): void {
    this.upstream?.destroy();
    this.upstream = undefined;
    this.leaveTarget();
  }

  private leaveTarget(): void {
    const { target } = this;
    if (target === undefined || !target.users.has(this)) return;
    target.leave(this);
    this.host.left(this, target);
  }

  private end(then: () => void): void {
    if (this.phase === Phase.Done) return;
    this.phase = Phase.Done;
    this.deadline = 0;
    this.host.ended(this);
    then();
  }
}
