// Asks an instance again and again, and keeps what it answers.
import { createSocket } from "node:dgram";

import { encode } from "dns-packet";

import { clusterOf } from "./watch.mjs";

/** A question that was lost is asked anew. */
const LOST_MS = 20;
const READY_MS = 60_000;
/** While nothing is changed: so that an answer that falls back is met. */
const IDLE_MS = 5;
/** Each so many-th question is after another name than the one that changes. */
const OTHER_EVERY = 4;
const IDS = 65_536;
const ANSWERS_AT = 6;
const IPV4_OCTETS = 4;

export class Asker {
  #socket = createSocket({ type: "udp4" });
  /** By id: a server that is late answers what was asked anew meanwhile. */
  #asked = [];
  #lastAt = 0;
  #isWaiting = false;
  #id = 0;
  #turn = 0;
  #queries = new Map();

  /** `nameOf` gives the host name of a name's number. */
  constructor(watch, nameOf) {
    this.watch = watch;
    this.nameOf = nameOf;
  }

  /** Resolves when it answers `last`, and so all that was there before. */
  async start({ host, port }, last) {
    this.#socket.on("error", () => {});
    await new Promise((resolve) => this.#socket.connect(port, host, resolve));
    await this.#untilAnswered(last);
    this.#socket.on("message", (message) => this.#hear(message));
    this.timer = setInterval(() => {
      const isLost = performance.now() - this.#lastAt >= LOST_MS;
      if (!this.#isWaiting || isLost) this.#ask();
    }, IDLE_MS);
  }

  /** Something was changed: ask until it is answered. */
  wake() {
    if (!this.#isWaiting) this.#ask();
  }

  stop() {
    clearInterval(this.timer);
    this.#socket.close();
  }

  #untilAnswered(name) {
    return new Promise((resolve, reject) => {
      const asking = setInterval(() => this.#socket.send(this.#query(name), () => {}), LOST_MS);
      const end = (settle, value) => {
        clearInterval(asking);
        clearTimeout(late);
        this.#socket.removeAllListeners("message");
        settle(value);
      };
      const reason = new Error(`no answer for ${this.nameOf(name)} in ${READY_MS / 1_000} s`);
      const late = setTimeout(() => end(reject, reason), READY_MS);
      this.#socket.on("message", (message) => {
        if (message.readUInt16BE(ANSWERS_AT) === 1) end(resolve);
      });
    });
  }

  #query(name) {
    let query = this.#queries.get(name);
    if (!query) {
      query = encode({ type: "query", id: 0, questions: [{ type: "A", name: this.nameOf(name) }] });
      this.#queries.set(name, query);
    }
    this.#id = (this.#id + 1) % IDS;
    query.writeUInt16BE(this.#id);
    return query;
  }

  #ask() {
    const { pending, history } = this.watch;
    const isOther = !pending || ++this.#turn % OTHER_EVERY === 0;
    // Those of the last changes in turn: these would fall back.
    const { changes } = history;
    const recent = changes[changes.length - 1 - (this.#turn++ % Math.min(changes.length, 100))];
    const name = isOther ? (recent?.name ?? 0) : pending.name;
    const query = this.#query(name);
    this.#asked[this.#id] = { name, floor: this.watch.floorOf(name) };
    this.#lastAt = performance.now();
    this.#isWaiting = true;
    // Sent at once, without a look at the address; what fails is lost, and asked anew.
    this.#socket.send(query, () => {});
  }

  #hear(message) {
    const id = message.readUInt16BE(0);
    const asked = this.#asked[id];
    if (!asked) return;
    this.#asked[id] = undefined;
    if (id === this.#id) this.#isWaiting = false;
    const answers = message.readUInt16BE(ANSWERS_AT);
    const cluster = answers === 1 ? clusterOf(message.subarray(-IPV4_OCTETS)) : undefined;
    this.watch.take({ ...asked, cluster, at: performance.now() });
    if (this.watch.pending && !this.#isWaiting) this.#ask();
  }
}
