import type { MessageStream } from "./message-stream";

/*
 * What handlers and callers hold. The SDK tells these classes apart with instanceof. Streams live as
 * long as someone may still use them, as in Encore: a handler may keep its handle and return.
 */

const unreachable = new FinalizationRegistry<MessageStream>((stream) => stream.close());

/** What a handler that only sends gets. */
export class Sink {
  readonly #stream: MessageStream;

  constructor(stream: MessageStream) {
    this.#stream = stream;
    unreachable.register(this, stream);
  }

  /** A promise where the other side is slow; awaiting it keeps pace. */
  send(message: unknown): void | Promise<void> {
    return this.#stream.send(message);
  }

  close(): void {
    this.#stream.close();
  }
}

/** What a handler that only receives gets. Its stream ends with the handler's answer. */
export class Stream {
  readonly #stream: MessageStream;

  constructor(stream: MessageStream) {
    this.#stream = stream;
  }

  recv(): Promise<unknown> {
    return this.#stream.recv();
  }
}

class BothWays extends Sink {
  readonly #both: MessageStream;

  constructor(stream: MessageStream) {
    super(stream);
    this.#both = stream;
  }

  recv(): Promise<unknown> {
    return this.#both.recv();
  }
}

/** What a handler that does both gets. */
export class Socket extends BothWays {}

/** The caller's side. */
export class WebSocketClient extends BothWays {}
