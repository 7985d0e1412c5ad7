/**
 * How changes reach the answering threads. The main thread posts each to all of them, then
 * stores its version in memory that they share. A thread compares before each query and takes what
 * it lacks, up to that version and not beyond: so nobody answers older data after another thread
 * has answered newer, and a change is answered everywhere when `publish` returns.
 */
import { MessageChannel, type MessagePort, receiveMessageOnPort } from "node:worker_threads";

import type { Told } from "./core/catalog";

/** What a thread is given at its start. The port is its own: it must be transferred. */
export interface FeedInput {
  readonly header: SharedArrayBuffer;
  readonly port: MessagePort;
}

interface Published {
  readonly version: number;
  readonly told: Told;
}

const VERSION = 0;

/** The main thread's side. */
export class Feed {
  readonly #header = new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT);
  readonly #version = new Int32Array(this.#header);
  readonly #ports = new Set<MessagePort>();

  /** For a new thread: all that is known, and what follows. To be called back when it has ended. */
  subscribe(whole: Told): { readonly input: FeedInput; readonly end: () => void } {
    const { port1, port2 } = new MessageChannel();
    this.#post(port1, { version: this.#version[VERSION]!, told: whole });
    this.#ports.add(port1);
    const end = (): void => {
      this.#ports.delete(port1);
      port1.close();
    };
    return { input: { header: this.#header, port: port2 }, end };
  }

  /** Every thread answers by it from now on. */
  publish(told: Told): void {
    const version = (this.#version[VERSION]! + 1) | 0;
    for (const port of this.#ports) this.#post(port, { version, told });
    Atomics.store(this.#version, VERSION, version);
  }

  #post(port: MessagePort, published: Published): void {
    port.postMessage(published);
  }
}

/** An answering thread's side. */
export class Follower {
  readonly #version: Int32Array;
  readonly #port: MessagePort;
  readonly #take: (told: Told) => void;
  #taken: number;

  constructor({ header, port }: FeedInput, take: (told: Told) => void) {
    this.#version = new Int32Array(header);
    this.#port = port;
    this.#take = take;
    this.#taken = this.#takeNext();
  }

  /** To be called before each query, or before each batch of them. */
  catchUp(): void {
    const version = Atomics.load(this.#version, VERSION);
    // Versions wrap, so they are equal or not. Each is in one message.
    while (this.#taken !== version) this.#taken = this.#takeNext();
  }

  #takeNext(): number {
    const received = receiveMessageOnPort(this.#port) as { message: Published } | undefined;
    // It was posted before its version was stored. Whoever lacks one starts anew, with all.
    if (!received) throw new Error("a change is missing from the port");
    this.#take(received.message.told);
    return received.message.version;
  }
}
