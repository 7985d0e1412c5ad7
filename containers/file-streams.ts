import type { Readable } from "node:stream";

import { APIError, ErrCode } from "encore.dev/api";

import type { Piece } from "./core/pieces";
import type { FromThread, Proof, Told, ToThread } from "./file-messages";

/** A source that sends nothing for so long is gone; a restart of it is over sooner. */
const IDLE_MS = 30_000;
/** On its way to the other thread: what hides how long a message takes. */
const WINDOW_BYTES = 512 * 1024;
/** An answer of the source that has begun. */
export interface OpenedStream {
  readonly body: Readable;
  readonly proof: Proof;
}

export type OpenStream = (pieces: readonly Piece[] | null) => Promise<OpenedStream>;

/** These say nothing about what was asked for. */
const PASSING: readonly ErrCode[] = [
  ErrCode.Unavailable,
  ErrCode.DeadlineExceeded,
  ErrCode.ResourceExhausted,
];

export function told(error: unknown): Told {
  const { message } = error as Error;
  return { message, isCut: error instanceof APIError && PASSING.includes(error.code) };
}

interface Reading {
  readonly chunks: AsyncIterator<Buffer>;
  readonly body: Readable;
  sent: number;
  received: number;
  isPumping: boolean;
}

/** The main thread's side of the streams of draws: reads from the network what there is room for. */
export class Streams {
  private readonly readings = new Map<number, Promise<Reading>>();

  constructor(private readonly post: (message: ToThread, transfer?: ArrayBuffer[]) => void) {}

  open({ stream, pieces }: Extract<FromThread, { kind: "open" }>, open: OpenStream): void {
    const opening = open(pieces).then(({ body, proof }) => {
      this.post({ kind: "opened", stream, proof });
      const chunks = (body as AsyncIterable<Buffer>)[Symbol.asyncIterator]();
      return { body, chunks, sent: 0, received: 0, isPumping: false };
    });
    this.readings.set(stream, opening);
    opening.catch((error: unknown) => this.break(stream, told(error)));
  }

  async more(stream: number, received: number): Promise<void> {
    try {
      const reading = await this.readings.get(stream);
      if (!reading) return;
      reading.received = received;
      if (!reading.isPumping) await this.pump(stream, reading);
    } catch (error) {
      this.break(stream, { message: (error as Error).message, isCut: true });
    }
  }

  private async pump(stream: number, reading: Reading): Promise<void> {
    reading.isPumping = true;
    while (reading.sent - reading.received < WINDOW_BYTES && this.readings.has(stream)) {
      const { value, done } = await inTime(reading);
      const bytes = done ? null : owned(value);
      this.post({ kind: "chunk", stream, bytes }, bytes ? [bytes.buffer] : []);
      // After the end nothing is read again.
      if (done) return;
      reading.sent += value.length;
    }
    reading.isPumping = false;
  }

  private break(stream: number, error: Told): void {
    this.post({ kind: "broken", stream, error });
    this.close(stream);
  }

  close(stream: number): void {
    const opening = this.readings.get(stream);
    this.readings.delete(stream);
    opening?.then(({ body }) => body.destroy()).catch(() => undefined);
  }

  /** The other thread is gone. */
  closeAll(): void {
    for (const stream of this.readings.keys()) this.close(stream);
  }
}

/** In memory of its own, that is handed over: to clone a part of a buffer is to clone all of it. */
function owned(chunk: Buffer): Uint8Array<ArrayBuffer> {
  return new Uint8Array(chunk);
}

async function inTime({ chunks, body }: Reading): Promise<IteratorResult<Buffer>> {
  const timer = setTimeout(() => {
    body.destroy(new Error(`the source sent nothing for ${IDLE_MS} ms`));
  }, IDLE_MS);
  try {
    return await chunks.next();
  } finally {
    clearTimeout(timer);
  }
}
