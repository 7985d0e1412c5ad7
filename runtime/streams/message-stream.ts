import type { Channel } from "./channel";
import { Inbox, streamError } from "./inbox";
import type { MessageCodec } from "./message-codec";

/** Messages that wait for `recv` may take this much memory; then the sender is held up. */
export const MAX_WAITING_BYTES = 1024 * 1024;

/** What a waiting message costs beside its text. */
const MESSAGE_OVERHEAD_BYTES = 64;

/** From here on `send` gives a promise: whoever awaits it sends no faster than the other side reads. */
const HIGH_WATER_BYTES = 64 * 1024;

/** After so much the rest of the process has its turn, even if the other side takes all at once. */
const TURN_BYTES = 64 * 1024;

/** Who does not await `send` is cut off here: Encore would fill the memory. */
export const MAX_UNSENT_BYTES = 64 * 1024 * 1024;

/** The close code for a side that cannot keep up (RFC 6455 section 7.4, IANA's registry). */
const TRY_AGAIN_LATER = 1013;

export interface MessageStreamOptions {
  /** Null: nothing is expected in this direction. */
  readonly incoming: MessageCodec | null;
  readonly outgoing: MessageCodec | null;
  /** What `recv` says once nothing more will come. */
  readonly endedMessage: string;
  /** What becomes of a message that does not fit its schema: null is no message at all. */
  readonly undecodable: (error: Error) => Error | null;
  /** Whether what was under way when this side closed is still received. */
  readonly readsOn: boolean;
}

/** A channel with schemas on it: one side of a stream. */
export class MessageStream {
  readonly #channel: Channel;
  readonly #options: MessageStreamOptions;
  readonly #inbox: Inbox<unknown>;
  #paused = false;
  #isOpen = true;
  #isReceiving = true;
  #bytesOfTurn = 0;
  #close: () => void = () => {};
  /** Resolves when both sides have let go of the channel. */
  readonly closed = new Promise<void>((resolve) => {
    this.#close = resolve;
  });

  constructor(channel: Channel, options: MessageStreamOptions) {
    this.#channel = channel;
    this.#options = options;
    this.#inbox = new Inbox(options.endedMessage);
    channel.attach({ text: (text) => this.#receive(text), closed: () => this.#ended() });
  }

  /** Whether messages may still be sent. */
  get isOpen(): boolean {
    return this.#isOpen;
  }

  /** @throws Error when the stream is closed, or the value has no JSON */
  send(value: unknown): void | Promise<void> {
    const { outgoing } = this.#options;
    if (outgoing === null) throw streamError("outgoing message body can't be empty");
    const text = outgoing.encode(value);
    // The channel may be closing already without having said so.
    if (!this.#isOpen || !this.#channel.send(text)) throw streamError("channel closed");
    const unsent = this.#channel.unsentBytes;
    if (unsent > MAX_UNSENT_BYTES) {
      this.#giveUp();
      throw streamError(`Cannot send: the other side has left ${unsent} bytes unread`);
    }
    if (unsent > HIGH_WATER_BYTES) return this.#channel.drained();
    this.#bytesOfTurn += text.length + MESSAGE_OVERHEAD_BYTES;
    if (this.#bytesOfTurn > TURN_BYTES) return this.#nextTurn();
  }

  /** @throws Error when the stream has ended, or the message does not fit its schema */
  recv(): Promise<unknown> {
    const received = this.#inbox.receive();
    if (this.#paused && this.#inbox.bytes < MAX_WAITING_BYTES / 2) {
      this.#paused = false;
      this.#channel.resume();
    }
    return received;
  }

  /** Nothing more is received; what was received can still be had. */
  stopReceiving(): void {
    this.#isReceiving = false;
    this.#inbox.end();
  }

  /** Ends the stream, after what was sent. */
  close(code?: number, reason?: string): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    if (!this.#options.readsOn) this.stopReceiving();
    this.#channel.close(code, reason);
  }

  destroy(): void {
    this.#isOpen = false;
    this.#channel.destroy();
  }

  /** An awaited value alone would keep the process from everything else. */
  #nextTurn(): Promise<void> {
    return new Promise((resolve) => {
      setImmediate(() => {
        this.#bytesOfTurn = 0;
        resolve();
      });
    });
  }

  #giveUp(): void {
    this.close(TRY_AGAIN_LATER, "too many messages are unread");
    this.#channel.destroy();
  }

  #receive(text: string): void {
    if (!this.#isReceiving) return;
    const take = this.#decode(text);
    if (take === null) return;
    this.#inbox.push(take, text.length + MESSAGE_OVERHEAD_BYTES);
    if (this.#paused || this.#inbox.bytes < MAX_WAITING_BYTES) return;
    this.#paused = true;
    this.#channel.pause();
  }

  #decode(text: string): (() => unknown) | null {
    const { incoming, undecodable } = this.#options;
    try {
      if (incoming === null) throw new Error("invalid streaming body type in schema");
      const value = incoming.decode(text);
      return () => value;
    } catch (error) {
      const fault = undecodable(error as Error);
      if (fault === null) return null;
      return () => {
        throw fault;
      };
    }
  }

  #ended(): void {
    this.#isOpen = false;
    this.stopReceiving();
    this.#close();
  }
}
