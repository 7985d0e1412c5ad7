/** What has arrived, and who waits for it: first come, first served. */
export class Inbox<T> {
  readonly #endedMessage: string;
  #items: { readonly take: () => T; readonly bytes: number }[] = [];
  #receivers: { resolve: (value: T) => void; reject: (error: Error) => void }[] = [];
  #bytes = 0;
  #ended = false;

  /** @param endedMessage what a receiver is told when nothing more will come */
  constructor(endedMessage: string) {
    this.#endedMessage = endedMessage;
  }

  /** Bytes that nobody has asked for yet. */
  get bytes(): number {
    return this.#bytes;
  }

  /** @param take gives the message to its receiver, or throws what the receiver is told instead */
  push(take: () => T, bytes: number): void {
    if (this.#ended) return;
    const receiver = this.#receivers.shift();
    if (receiver === undefined) {
      this.#items.push({ take, bytes });
      this.#bytes += bytes;
    } else void settle(take).then(receiver.resolve, receiver.reject);
  }

  /** What is there comes first, even after the end. */
  receive(): Promise<T> {
    const item = this.#items.shift();
    if (item !== undefined) {
      this.#bytes -= item.bytes;
      return settle(item.take);
    }
    if (this.#ended) return Promise.reject(streamError(this.#endedMessage));
    return new Promise((resolve, reject) => this.#receivers.push({ resolve, reject }));
  }

  end(): void {
    this.#ended = true;
    for (const { reject } of this.#receivers.splice(0)) reject(streamError(this.#endedMessage));
  }
}

async function settle<T>(take: () => T): Promise<T> {
  return take();
}

/** An error as Encore's native library makes them. */
export function streamError(message: string, code = "Unknown"): Error {
  return Object.assign(new Error(message), { code });
}
