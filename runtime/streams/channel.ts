/** Why a channel ends, as a WebSocket's close frame says it. */
export interface Closing {
  readonly code: number;
  readonly reason: string;
}

/** Codes that no frame carries: an end without a reason, and an end without a close frame. */
export const NO_CODE = 1005;
export const BROKEN = 1006;

/** What a channel tells whoever uses it. */
export interface ChannelEvents {
  /** One whole message. */
  readonly text: (text: string) => void;
  /** The channel has ended, on either side's wish or because it broke. Told once, as the last event. */
  readonly closed: (why: Closing) => void;
}

/** Messages of text both ways, in order: a WebSocket, or a pair in one process. */
export interface Channel {
  /** Events come from here on; what arrived before waits. */
  attach(events: ChannelEvents): void;
  /** False once the channel is closing: the message goes nowhere. */
  send(text: string): boolean;
  /** Ends it after what was sent; what the other side sent until it learns of that may still come. */
  close(code?: number, reason?: string): void;
  /** Ends it at once; what was not sent is lost. */
  destroy(): void;
  /** Takes no more messages for the time being: the other side is held up in the end. */
  pause(): void;
  resume(): void;
  /** Sent here and not yet taken by the other side or the system. */
  readonly unsentBytes: number;
  /** Resolves when nothing is left unsent, or the channel has ended. */
  drained(): Promise<void>;
}

/** Two ends in one process: what goes in at one comes out at the other. */
export function channelPair(): readonly [Channel, Channel] {
  const there = new Lane();
  const back = new Lane();
  return [new LocalChannel(back, there), new LocalChannel(there, back)];
}

/** One direction of a pair. */
class Lane {
  #underWay: (string | Closing)[] = [];
  #bytes = 0;
  #events: ChannelEvents | null = null;
  #scheduled = false;
  #ended = false;
  #emptied: (() => void)[] = [];
  #paused = false;

  get bytes(): number {
    return this.#bytes;
  }

  set paused(paused: boolean) {
    this.#paused = paused;
    this.#schedule();
  }

  attach(events: ChannelEvents): void {
    this.#events = events;
    this.#schedule();
  }

  put(what: string | Closing): void {
    if (this.#ended) return;
    this.#underWay.push(what);
    if (typeof what === "string") this.#bytes += what.length;
    this.#schedule();
  }

  /** What is under way is lost. */
  cut(): void {
    this.#underWay = [];
    this.#bytes = 0;
    this.put({ code: BROKEN, reason: "" });
  }

  emptied(): Promise<void> {
    if (this.#bytes === 0) return Promise.resolve();
    return new Promise((resolve) => this.#emptied.push(resolve));
  }

  /** Never inside the sender's call: a network would not do that either. */
  #schedule(): void {
    if (this.#scheduled || this.#events === null || this.#underWay.length === 0) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      this.#deliver();
    });
  }

  #deliver(): void {
    // The end is told to a paused side too when nothing stands before it.
    while (!this.#ended && (!this.#paused || typeof this.#underWay[0] === "object")) {
      const next = this.#underWay.shift();
      if (next === undefined) break;
      if (typeof next === "string") {
        this.#bytes -= next.length;
        this.#events?.text(next);
      } else {
        this.#ended = true;
        this.#events?.closed(next);
      }
    }
    if (this.#bytes === 0) for (const resolve of this.#emptied.splice(0)) resolve();
  }
}

class LocalChannel implements Channel {
  readonly #incoming: Lane;
  readonly #outgoing: Lane;
  #closing = false;

  constructor(incoming: Lane, outgoing: Lane) {
    this.#incoming = incoming;
    this.#outgoing = outgoing;
  }

  attach({ text, closed }: ChannelEvents): void {
    const end = (why: Closing): void => {
      // As a WebSocket answers a close, so that the other side knows of its end.
      this.close(why.code, why.reason);
      closed(why);
    };
    this.#incoming.attach({ text, closed: end });
  }

  send(text: string): boolean {
    if (!this.#closing) this.#outgoing.put(text);
    return !this.#closing;
  }

  close(code = NO_CODE, reason = ""): void {
    if (this.#closing) return;
    this.#closing = true;
    this.resume();
    this.#outgoing.put({ code, reason });
  }

  destroy(): void {
    this.#closing = true;
    this.#outgoing.cut();
    this.#incoming.cut();
  }

  pause(): void {
    this.#incoming.paused = true;
  }

  resume(): void {
    this.#incoming.paused = false;
  }

  get unsentBytes(): number {
    return this.#outgoing.bytes;
  }

  drained(): Promise<void> {
    return this.#outgoing.emptied();
  }
}
