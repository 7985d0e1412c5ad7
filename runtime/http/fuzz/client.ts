import { connect, type Socket } from "node:net";
import { setImmediate as turn } from "node:timers/promises";

import { readAnswer, type Answer } from "./answers";
import { foreignMarks, hostileCase, type HostileCase } from "./requests";

/** An answer that takes longer has been forgotten by the server. */
const ANSWER_MS = 20_000;
/** Every so many cases a connection is asked something ordinary. */
const PROBE_EVERY = 16;

/** Sends cases over one connection at a time, and looks at every answer. */
export class HostileClient {
  readonly #host: string;
  readonly #port: number;
  #connection: Connection | null = null;
  /** What was wrong, with the seed that shows it again. */
  readonly faults: string[] = [];
  readonly statuses = new Map<number, number>();
  count = 0;

  constructor(address: string) {
    const at = address.lastIndexOf(":");
    this.#host = address.slice(0, at);
    this.#port = Number(address.slice(at + 1));
  }

  async send(seed: number): Promise<void> {
    const hostile = hostileCase(seed);
    try {
      const answers = await this.#exchange(hostile);
      for (const answer of answers) this.#judge(hostile, answer);
    } catch (error) {
      this.#fault(hostile, (error as Error).message);
      this.close();
    }
    this.count += 1;
    if (this.count % PROBE_EVERY === 0) await this.#probe(hostile);
  }

  close(): void {
    this.#connection?.destroy();
    this.#connection = null;
  }

  async #exchange({ pieces, answers, isHead }: HostileCase): Promise<Answer[]> {
    const connection = await this.#open();
    for (const piece of pieces) {
      connection.write(piece);
      if (pieces.length > 1) await turn();
    }
    if (answers !== null) return connection.answers(answers, isHead);
    this.#connection = null;
    connection.end();
    return connection.answers(Number.POSITIVE_INFINITY, isHead);
  }

  async #open(): Promise<Connection> {
    if (this.#connection === null || !this.#connection.isOpen) {
      this.#connection = await Connection.open(this.#host, this.#port);
    }
    return this.#connection;
  }

  #judge(hostile: HostileCase, { status, head, body }: Answer): void {
    this.statuses.set(status, (this.statuses.get(status) ?? 0) + 1);
    if (!hostile.statuses.includes(status)) {
      this.#fault(hostile, `status ${status}: ${body.toString().slice(0, 300)}`);
    }
    const foreign = foreignMarks(head + body.toString("latin1"), hostile.mark);
    if (foreign.length > 0) this.#fault(hostile, `data of another request: ${foreign[0]}`);
  }

  /** The connection is in step with its requests, or this answer is another's. */
  async #probe(hostile: HostileCase): Promise<void> {
    try {
      const connection = await this.#open();
      connection.write(Buffer.from(`GET /lookup/${hostile.mark} HTTP/1.1\r\nhost: fuzz\r\n\r\n`));
      const [answer] = await connection.answers(1, false);
      const expected = JSON.stringify({ mark: hostile.mark });
      if (answer?.status === 200 && answer.body.toString() === expected) return;
      const got = `${answer?.status} ${answer?.body.toString().slice(0, 300)}`;
      this.#fault(hostile, `an ordinary request afterwards got ${got}`);
    } catch (error) {
      this.#fault(hostile, `an ordinary request afterwards: ${(error as Error).message}`);
    }
  }

  #fault({ seed, family }: HostileCase, what: string): void {
    this.faults.push(`seed ${seed} (${family}): ${what}`);
  }
}

class Connection {
  readonly #socket: Socket;
  #bytes: Buffer = Buffer.alloc(0);
  #isOpen = true;
  #changed: () => void = () => {};

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on("data", (chunk: Buffer) => {
      this.#bytes = this.#bytes.length === 0 ? chunk : Buffer.concat([this.#bytes, chunk]);
      this.#changed();
    });
    // A reset after an early answer is the server's way to refuse the rest.
    socket.on("error", () => {});
    for (const event of ["end", "close"]) {
      socket.on(event, () => {
        this.#isOpen = false;
        this.#changed();
      });
    }
  }

  static open(host: string, port: number): Promise<Connection> {
    return new Promise((resolve, reject) => {
      const socket = connect({ host, port, noDelay: true, allowHalfOpen: false });
      socket.once("error", reject);
      socket.once("connect", () => {
        socket.off("error", reject);
        resolve(new Connection(socket));
      });
    });
  }

  get isOpen(): boolean {
    return this.#isOpen && this.#socket.writable;
  }

  write(bytes: Buffer): void {
    if (this.isOpen) this.#socket.write(bytes);
  }

  end(): void {
    this.#socket.end();
  }

  destroy(): void {
    this.#socket.destroy();
  }

  /**
   * So many answers, or fewer when the connection ends before; with `Infinity`, all until it ends.
   *
   * @throws Error when they do not come, are no HTTP, or are more than were asked for
   */
  async answers(count: number, isHead: boolean): Promise<Answer[]> {
    const found: Answer[] = [];
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error("no answer")), ANSWER_MS);
    });
    try {
      while (found.length < count) {
        const answer = this.#bytes.length === 0 ? null : readAnswer(this.#bytes, isHead);
        if (answer !== null) {
          this.#bytes = this.#bytes.subarray(answer.end);
          // 100 Continue comes before the answer.
          if (answer.status >= 200) found.push(answer);
          if (answer.closes) this.#isOpen = false;
          continue;
        }
        if (this.#socket.destroyed || this.#socket.readableEnded) break;
        await Promise.race([new Promise<void>((resolve) => (this.#changed = resolve)), late]);
      }
    } finally {
      clearTimeout(timer);
    }
    if (found.length === count && this.#bytes.length > 0) {
      throw new Error(`more than ${count} answers: ${this.#bytes.toString("latin1", 0, 200)}`);
    }
    const isShort = Number.isFinite(count) && found.length < count;
    if (isShort && found.at(-1)?.closes !== true) {
      throw new Error(`${found.length} of ${count} answers, then the end`);
    }
    return found;
  }
}
