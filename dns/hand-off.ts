/** Signed messages on their way from the worker to the main thread, which has keys and a database. */
import type { Asked } from "./protocol";

/** Each costs an HMAC, some a transaction. What is more waits for the asker's next try. */
const MAX_UNDER_WAY = 64;
/** Anybody can send what looks signed; over TCP he has to be who he says. */
const MAX_UDP_A_SECOND = 500;
const SECOND_MS = 1_000;

/** Sends messages to who asked; resolves when they are on their way. None: there come no more. */
export type Deliver = (messages: readonly Uint8Array[]) => Promise<void>;

export class HandOff {
  readonly #tell: (asked: Asked) => void;
  readonly #underWay = new Map<number, Deliver>();
  #nextId = 1;
  #secondStart = -Infinity;
  #overUdp = 0;

  constructor(tell: (asked: Asked) => void) {
    this.#tell = tell;
  }

  /** Somebody waits for an answer. */
  get isBusy(): boolean {
    return this.#underWay.size > 0;
  }

  /** False, and nothing is done, when too many are under way. */
  give(asked: Omit<Asked, "id">, deliver: () => Deliver, nowMs: number): boolean {
    if (this.#underWay.size >= MAX_UNDER_WAY || this.#isFlooded(asked, nowMs)) return false;
    const id = this.#nextId++;
    this.#underWay.set(id, deliver());
    // A copy: what is posted takes all of its buffer along.
    this.#tell({ ...asked, id, query: Uint8Array.from(asked.query) });
    return true;
  }

  #isFlooded({ transport }: Omit<Asked, "id">, nowMs: number): boolean {
    if (transport !== "udp") return false;
    if (nowMs - this.#secondStart >= SECOND_MS || nowMs < this.#secondStart) {
      this.#secondStart = nowMs;
      this.#overUdp = 0;
    }
    return ++this.#overUdp > MAX_UDP_A_SECOND;
  }

  async answer(id: number, messages: readonly Uint8Array[]): Promise<void> {
    const deliver = this.#underWay.get(id);
    if (messages.length === 0) this.#underWay.delete(id);
    await deliver?.(messages);
  }
}
