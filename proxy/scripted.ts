/**
 * What raw-bytes tests are made of: a visitor and an app that say exactly what the test says, and a
 * proxy between them without database or threads.
 */
import { connect, createServer, type Server, type Socket } from "node:net";

import { ChunkScanner } from "./core/chunks";
import type { Found, LookupQuery, WakeOutcome } from "./questions";
import { type ProxyOptions, ProxyServer, type ProxySpan } from "./proxy";
import type { HostnameRow, PeerRow, RouteRow } from "./table";

const DEADLINE_MS = 4_000;

/** One end of a connection that remembers what it was told. */
export class Wire {
  received = "";
  /** The first line that ever came. */
  first = "";
  ended = false;
  closed = false;
  private readonly waiting = new Set<() => void>();

  constructor(readonly socket: Socket) {
    socket.setNoDelay(true);
    socket.on("error", () => undefined);
    socket.on("data", (bytes) => {
      this.received += bytes.toString("latin1");
      if (this.first === "") this.first = this.received.slice(0, this.received.indexOf("\r\n"));
      this.wake();
    });
    socket.on("end", () => {
      this.ended = true;
      this.wake();
    });
    socket.on("close", () => {
      this.closed = true;
      this.wake();
    });
  }

  private wake(): void {
    for (const check of Array.from(this.waiting)) check();
  }

  send(text: string): void {
    this.socket.write(text, "latin1");
  }

  /** Resolves when `check` holds for what has happened so far; fails after four seconds. */
  when(what: string, check: (wire: Wire) => boolean): Promise<void> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.waiting.delete(settle);
        const seen = JSON.stringify(this.received.slice(0, 2_000));
        reject(
          new Error(`no ${what}; ended ${this.ended}, closed ${this.closed}, received ${seen}`),
        );
      }, DEADLINE_MS);
      const settle = (): void => {
        if (!check(this)) return;
        clearTimeout(timer);
        this.waiting.delete(settle);
        resolve();
      };
      this.waiting.add(settle);
      settle();
    });
  }

  /** Waits until `text` has come, and hands out everything up to its end. */
  async until(text: string): Promise<string> {
    await this.when(JSON.stringify(text), () => this.received.includes(text));
    const end = this.received.indexOf(text) + text.length;
    const before = this.received.slice(0, end);
    this.received = this.received.slice(end);
    return before;
  }

  /** The head of the next message. */
  head(): Promise<string> {
    return this.until("\r\n\r\n");
  }

  /** The next `count` bytes. */
  async bytes(count: number): Promise<string> {
    await this.when(`${count} bytes`, () => this.received.length >= count);
    const taken = this.received.slice(0, count);
    this.received = this.received.slice(count);
    return taken;
  }

  end(): Promise<void> {
    return this.when("end", () => this.ended || this.closed);
  }

  destroy(): void {
    this.socket.destroy();
  }
}

/** An app that accepts connections and leaves what it says to the test. */
export class Origin {
  readonly wires: Wire[] = [];
  private taken = 0;
  private readonly waiting = new Set<() => void>();

  private constructor(
    private readonly server: Server,
    readonly port: number,
  ) {}

  static async open(port = 0): Promise<Origin> {
    const server = createServer({ allowHalfOpen: true });
    await new Promise<void>((resolve) => {
      server.listen(port, "127.0.0.1", resolve);
    });
    const origin = new Origin(server, (server.address() as { port: number }).port);
    server.on("connection", (socket) => {
      origin.wires.push(new Wire(socket));
      for (const check of Array.from(origin.waiting)) check();
    });
    return origin;
  }

  /** The next connection that nobody has taken yet. */
  async accept(): Promise<Wire> {
    const index = this.taken++;
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`no connection ${index}`)), DEADLINE_MS);
      const settle = (): void => {
        if (this.wires.length <= index) return;
        clearTimeout(timer);
        this.waiting.delete(settle);
        resolve();
      };
      this.waiting.add(settle);
      settle();
    });
    return this.wires[index] as Wire;
  }

  /** Answers every request on every connection, from now on, with what `answer` says to its head. */
  serve(answer: (head: string) => string): this {
    const attach = (wire: Wire): void => {
      const next = (): void => {
        const end = wire.received.indexOf("\r\n\r\n");
        if (end < 0) return;
        const head = wire.received.slice(0, end + 4);
        const length = bodyLength(head, wire.received.slice(end + 4));
        if (length < 0) return;
        wire.received = wire.received.slice(end + 4 + length);
        wire.send(answer(head));
        next();
      };
      wire.socket.on("data", next);
      next();
    };
    for (const wire of this.wires) attach(wire);
    this.server.on("connection", () => attach(this.wires[this.wires.length - 1] as Wire));
    return this;
  }

  close(): void {
    this.server.close();
    for (const wire of this.wires) wire.destroy();
  }
}

/** How much of what follows a head is its body; -1: it is not whole yet. */
function bodyLength(head: string, rest: string): number {
  if (/\r\nTransfer-Encoding: chunked\r\n/i.test(head)) {
    const chunks = new ChunkScanner(true);
    const end = chunks.scan(Buffer.from(rest, "latin1"), 0);
    return chunks.done ? end : -1;
  }
  const length = Number(/\r\nContent-Length: (\d+)\r\n/i.exec(head)?.[1] ?? 0);
  return rest.length < length ? -1 : length;
}

export const REPL = "abcdefghijkl";
export const HOST = "app.demo.repl.test";

/** A whole response with a length. */
export function ok(body: string): string {
  return `HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
}

export function get(path: string, fields = ""): string {
  return `GET ${path} HTTP/1.1\r\nHost: ${HOST}\r\n${fields}\r\n`;
}

type Asked = { readonly kind: "wake" | "lookup" | "reread"; readonly key: string };

/** A proxy with a table that the test writes, and a record of what it asked for. */
export class Bench {
  readonly asked: Asked[] = [];
  readonly queries: LookupQuery[] = [];
  readonly acks: { version: number; busy: readonly string[] }[] = [];
  readonly spans: ProxySpan[] = [];
  readonly clients: Wire[] = [];
  readonly proxy: ProxyServer;
  port = 0;
  version = 0;
  /** Answers at once when set; otherwise the test answers by the proxy's methods. */
  onWake: ((replId: string) => WakeOutcome) | undefined;
  onLookup: ((query: LookupQuery) => Found | undefined) | undefined;
  onReread: (() => void) | undefined = () => undefined;

  constructor(options: Partial<ProxyOptions> = {}) {
    const defaults = {
      clusterId: "east",
      zone: "repl.test",
      hopSecret: "test secret",
      bodyLimit: 1e9,
    };
    this.proxy = new ProxyServer(
      { ...defaults, ...options },
      {
        wake: (replId) => {
          this.asked.push({ kind: "wake", key: replId });
          const { onWake } = this;
          if (onWake) setImmediate(() => this.proxy.woke(replId, onWake(replId)));
        },
        lookup: (key, query) => {
          this.asked.push({ kind: "lookup", key });
          this.queries.push(query);
          const { onLookup } = this;
          if (onLookup) setImmediate(() => this.proxy.found(key, onLookup(query)));
        },
        reread: () => {
          this.asked.push({ kind: "reread", key: "" });
          const { onReread } = this;
          if (!onReread) return;
          setImmediate(() => {
            onReread();
            this.proxy.reread();
          });
        },
        acknowledge: (version, busy) => {
          this.acks.push({ version, busy });
        },
        sampled: (span) => {
          this.spans.push(span);
        },
      },
    );
  }

  static async open(options: Partial<ProxyOptions> = {}): Promise<Bench> {
    const bench = new Bench(options);
    bench.port = Number((await bench.proxy.listen("127.0.0.1:0")).split(":")[1]);
    bench.proxy.lease(Infinity);
    return bench;
  }

  /** Writes the repl's row; what is not said is as in an awake, active route. */
  route(row: Partial<RouteRow>): void {
    this.version++;
    const routes: RouteRow[] = [
      {
        replId: REPL,
        name: "app",
        owner: "demo",
        state: "active",
        generation: 1,
        peer: "",
        host: "",
        port: 0,
        cut: false,
        version: this.version,
        ...row,
      },
    ];
    this.proxy.apply({ version: this.version, routes, hostnames: [], peers: [] });
  }

  /** An active route to `origin`. */
  serve(origin: Origin, row: Partial<RouteRow> = {}): void {
    this.route({ host: "127.0.0.1", port: origin.port, ...row });
  }

  peer(peerId: string, port: number, ingress: readonly string[] = ["127.0.0.1"]): void {
    this.version++;
    const peers: PeerRow[] = [
      { peerId, ingress, httpPort: port, removed: false, version: this.version },
    ];
    this.proxy.apply({ version: this.version, routes: [], hostnames: [], peers });
  }

  hostname(row: Omit<HostnameRow, "version">): void {
    this.version++;
    const hostnames = [{ ...row, version: this.version }];
    this.proxy.apply({ version: this.version, routes: [], hostnames, peers: [] });
  }

  async client(): Promise<Wire> {
    const socket = connect({ host: "127.0.0.1", port: this.port, allowHalfOpen: true });
    const wire = new Wire(socket);
    this.clients.push(wire);
    await new Promise<void>((resolve) => {
      socket.once("connect", resolve);
    });
    return wire;
  }

  /** Polls until `check` holds: for what no wire shows. */
  async when(what: string, check: () => boolean): Promise<void> {
    const until = Date.now() + DEADLINE_MS;
    while (!check()) {
      if (Date.now() > until) throw new Error(`no ${what}`);
      await new Promise((resolve) => {
        setTimeout(resolve, 2);
      });
    }
  }

  close(): void {
    this.proxy.destroy();
    for (const client of this.clients) client.destroy();
  }
}
