import type { Socket } from "node:net";

import type { ErrorCode } from "./core/errors";
import type { RequestHead } from "./core/head";
import { type BodySink, RequestBody } from "./request-body";
import { writeWithHead } from "./write";

/** Sends a request: its head with the first bytes of its body, and no more than the app takes. */
export class RequestSender implements BodySink {
  /** Part of the body was sent: the request cannot be tried elsewhere. */
  bodySent = false;
  /** The app does not take what the visitor sends. */
  stalled = false;
  private text = "";
  private textSent = false;
  private socket: Socket | undefined;
  private readonly body: RequestBody;

  constructor(
    head: RequestHead,
    bodyLimit: number,
    private readonly onStall: () => void,
  ) {
    this.body = new RequestBody(head, bodyLimit);
  }

  get done(): boolean {
    return this.body.done;
  }

  get bytes(): number {
    return this.body.bytes;
  }

  get fault(): ErrorCode | undefined {
    return this.body.fault;
  }

  /** Another try begins with its head anew; it is kept back for the body that is at hand. */
  begin(socket: Socket, text: string): void {
    this.socket = socket;
    this.text = text;
    this.textSent = false;
    this.bodySent = false;
  }

  /** Hands over body bytes; returns where the body ended, or the end of `bytes`. */
  feed(bytes: Buffer): number {
    return this.body.feed(bytes, this);
  }

  bodyBytes(bytes: Buffer): void {
    const { socket } = this;
    if (socket === undefined || socket.destroyed) return;
    this.bodySent = true;
    const text = this.textSent ? "" : this.text;
    this.textSent = true;
    if (writeWithHead(socket, text, bytes)) return;
    this.stalled = true;
    this.onStall();
  }

  /** The head waits for no body. */
  flushHead(): void {
    if (this.textSent) return;
    this.textSent = true;
    this.socket?.write(this.text, "latin1");
  }
}
