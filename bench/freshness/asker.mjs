// Asks an instance again and again, and keeps what it answers.
import { createSocket } from "node:dgram";

import { encode } from "dns-packet";

import { clusterOf } from "./watch.mjs";

/** A question that was lost is asked anew. */
const LOST_MS = 20;
/** While nothing is changed: so that an answer that falls back is met. */
const IDLE_MS = 5;
/** Each so many-th question is after another name than the one that changes. */
const OTHER_EVERY = 4;
const ANSWERS_AT = 6;
const IPV4_OCTETS = 4;

export class Asker {
  #socket = createSocket({ type: "udp4" });
  #asked = undefined;
  #id = 0;
  #turn = 0;
  #queries = new Map();

  /** `nameOf` gives the host name of a name's number. */
  constructor(watch, nameOf) {
    this.watch = watch;
    this.nameOf = nameOf;
  }

  async start({ host, port }) {
    this.#socket.on("error", () => {});
    this.#socket.on("message", (message) => this.#hear(message));
    await new Promise((resolve) => this.#socket.connect(port, host, resolve));
    this.timer = setInterval(() => {
      const waits = this.#asked && performance.now() - this.#asked.at < LOST_MS;
      if (!waits) this.#ask();
    }, IDLE_MS);
  }

  /** Something was changed: ask until it is answered. */
  wake() {
    if (!this.#asked) this.#ask();
  }

  stop() {
    clearInterval(this.timer);
    this.#socket.close();
  }

  #query(name) {
    let query = this.#queries.get(name);
    if (!query) {
      query = encode({ type: "query", id: 0, questions: [{ type: "A", name: this.nameOf(name) }] });
      this.#queries.set(name, query);
    }
    this.#id = (this.#id + 1) & 0xffff;
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
    this.#asked = { id: this.#id, name, floor: this.watch.floorOf(name), at: performance.now() };
    // Sent at once, without a look at the address; what fails is lost, and asked anew.
    this.#socket.send(query, () => {});
  }

  #hear(message) {
    const asked = this.#asked;
    if (!asked || message.readUInt16BE(0) !== asked.id) return;
    this.#asked = undefined;
    const answers = message.readUInt16BE(ANSWERS_AT);
    const cluster = answers === 1 ? clusterOf(message.subarray(-IPV4_OCTETS)) : undefined;
    this.watch.take({ ...asked, cluster, at: performance.now() });
    if (this.watch.pending) this.#ask();
  }
}
