import { createServer, type Server, type Socket } from "node:net";

import { letIn } from "../shared/arrivals";
import { HOLD_BOUNDS, type HoldBounds } from "./core/hold";
import { LIMITS } from "./core/limits";
import { monotonicMs } from "./clock";
import { accessLine, type AccessLog } from "./access-log";
import { Connection, type ConnectionHost } from "./connection";
import { Dispatcher } from "./dispatch";
import type { Found, Requests, WakeOutcome } from "./questions";
import type { Exchange } from "./exchange";
import { HopKeys } from "./hop-keys";
import { IdentitySource } from "./identity";
import { type Delta, type Hit, type Repl, Table } from "./table";
import type { Target } from "./upstream";

/** What the proxy tells the rest of the platform, and asks of it. */
export interface ProxyEvents extends Requests {
  /** The table has reached `version`, and these repls have something in flight that it does not dial. */
  acknowledge(version: number, busy: readonly string[]): void;
  /** A sampled request has ended. */
  sampled(span: ProxySpan): void;
}

/** A request that its visitor asked to trace. */
export interface ProxySpan {
  readonly traceparent: string;
  readonly startedAt: number;
  readonly endedAt: number;
  readonly attributes: Readonly<Record<string, string | number>>;
}

export interface ProxyOptions {
  readonly clusterId: string;
  readonly zone: string;
  readonly hopSecret: string;
  readonly bodyLimit: number;
  /** Written to for each request; absent: no access log. */
  readonly accessLog?: AccessLog;
  readonly holdMs?: number;
  readonly holdBounds?: HoldBounds;
  readonly headMs?: number;
  readonly responseHeadMs?: number;
}

export interface ProxyStats {
  readonly listening: readonly string[];
  readonly routes: number;
  readonly version: number;
  readonly connections: number;
  readonly inFlight: number;
  readonly held: number;
  readonly heldBytes: number;
  readonly holdsRefused: number;
  readonly requests: number;
  readonly forwarded: number;
}

interface Listener {
  readonly server: Server;
  readonly address: string;
}

const TICK_MS = 100;
/** Before a drain nobody is kept waiting by those who never cease to connect. */
const LET_IN_MS = 100;
/** Deadlines of connections are looked at each so many ticks. */
const SWEEP_TICKS = 5;

/**
 * The data plane of one cluster: listeners, the table of routes, and what happens in between. Knows no
 * database and no thread; what it needs from outside comes through `ProxyEvents`.
 */
export class ProxyServer implements ConnectionHost {
  now = monotonicMs();
  date = new Date().toUTCString();
  draining = false;
  takesNobody = false;
  /** Connections so far. */
  private accepted = 0;
  /** While it drains: whether other clusters' proxies may still ask. */
  private peersServed = false;
  readonly bodyLimit: number;
  readonly headMs: number;
  readonly responseHeadMs: number;

  private readonly table: Table;
  private readonly dispatcher: Dispatcher;
  private readonly identity = new IdentitySource();
  private readonly listeners = new Map<string, Listener>();
  private readonly connections = new Set<Connection>();
  private readonly timer: NodeJS.Timeout;
  private ingress: ReadonlySet<string> = new Set();
  private ticks = 0;
  private requests = 0;
  private inFlight = 0;
  private drained: (() => void) | undefined;

  constructor(
    private readonly options: ProxyOptions,
    private readonly events: ProxyEvents,
  ) {
    this.bodyLimit = options.bodyLimit;
    this.headMs = options.headMs ?? LIMITS.headMs;
    this.responseHeadMs = options.responseHeadMs ?? LIMITS.responseHeadMs;
    this.table = new Table(options.zone, {
      changed: (repl: Repl) => this.dispatcher.reconsider(repl),
      busy: () => this.acknowledge(),
    });
    this.dispatcher = new Dispatcher({
      self: options.clusterId,
      table: this.table,
      requests: events,
      hopKeys: new HopKeys(options.hopSecret),
      identity: this.identity,
      clock: this,
      holdMs: options.holdMs ?? LIMITS.holdMs,
      holdBounds: options.holdBounds ?? HOLD_BOUNDS,
    });
    this.timer = setInterval(() => this.tick(), TICK_MS);
  }

  get unixMs(): number {
    return Date.now();
  }

  // Sockets.

  /** Binds `address` (`127.0.0.1:8080`, `[::1]:8080`); resolves with the one bound. Port 0: any. */
  async listen(address: string): Promise<string> {
    const colon = address.lastIndexOf(":");
    const host = address.slice(0, colon).replace(/^\[|\]$/g, "");
    const port = Number(address.slice(colon + 1));
    const server = createServer(
      {
        allowHalfOpen: true,
        noDelay: true,
        keepAlive: true,
        keepAliveInitialDelay: 60_000,
        highWaterMark: LIMITS.highWaterMarkBytes,
      },
      (socket) => this.connected(socket),
    );
    server.maxConnections = LIMITS.connections;
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen({ host, port, backlog: 4_096 }, () => {
        server.off("error", reject);
        resolve();
      });
    });
    // An accept that fails (no file descriptor left) costs that connection, not the proxy.
    server.on("error", () => undefined);
    const bound = server.address() as { port: number };
    const name = `${address.slice(0, colon)}:${bound.port}`;
    this.listeners.set(name, { server, address: name });
    return name;
  }

  /** Stops accepting at `address`; connections that stand go on. */
  unlisten(address: string): void {
    this.listeners.get(address)?.server.close();
    this.listeners.delete(address);
  }

  get listening(): string[] {
    return [...this.listeners.keys()];
  }

  private connected(socket: Socket): void {
    const local = socket.localAddress ?? "";
    const nudged = this.ingress.has(local.startsWith("::ffff:") ? local.slice(7) : local);
    this.accepted++;
    this.connections.add(new Connection(this, socket, nudged));
  }

  closed(connection: Connection): void {
    this.connections.delete(connection);
    this.lookDrained();
  }

  private lookDrained(): void {
    for (const connection of this.connections) if (this.waitsFor(connection)) return;
    this.drained?.();
  }

  /** Who a drain waits for: while peers are still served, they end with the last of their visitors. */
  private waitsFor({ late, fromPeer }: Connection): boolean {
    return !this.peersServed || !(late || fromPeer);
  }

  // What the platform says.

  apply(delta: Delta): void {
    this.refresh();
    this.table.apply(delta);
    this.ingress = new Set(this.table.peers.get(this.options.clusterId)?.ingress);
    this.acknowledge();
  }

  /** The right to dial containers, until `untilMs` of `monotonicMs`. */
  lease(untilMs: number): void {
    this.refresh();
    const had = this.dispatcher.leased;
    this.dispatcher.leaseUntil = untilMs;
    if (!had) this.dispatcher.reconsiderAll();
  }

  woke(replId: string, outcome: WakeOutcome): void {
    this.refresh();
    this.dispatcher.woke(replId, outcome);
  }

  found(key: string, placement: Found | undefined): void {
    this.refresh();
    this.dispatcher.found(key, placement);
  }

  reread(): void {
    this.refresh();
    this.dispatcher.reread();
  }

  private acknowledge(): void {
    this.events.acknowledge(this.table.version, [...this.table.busy]);
  }

  takeHits(): Hit[] {
    return this.dispatcher.takeHits();
  }

  stats(): ProxyStats {
    return {
      listening: this.listening,
      routes: this.table.size,
      version: this.table.version,
      connections: this.connections.size,
      inFlight: this.inFlight,
      ...this.dispatcher.holding.figures,
      requests: this.requests,
      forwarded: this.dispatcher.forwarded,
    };
  }

  /**
   * Takes no new visitors, ends idle connections after a moment (a request may be on its way on them)
   * and long-lived ones at a boundary; resolves when no visitor is left, or after `deadlineMs`. Other
   * clusters' proxies are served on: what their visitors asked for may have to come from here.
   */
  async drainVisitors(deadlineMs: number): Promise<void> {
    this.peersServed = true;
    await this.endConnections(deadlineMs);
  }

  /** Accepts nothing more from anybody; resolves when no connection is left, or after `deadlineMs`. */
  async drain(deadlineMs: number): Promise<void> {
    this.peersServed = false;
    await this.endConnections(deadlineMs);
    this.destroy();
  }

  private async endConnections(deadlineMs: number): Promise<void> {
    this.draining = true;
    await letIn(() => this.accepted, LET_IN_MS);
    this.takesNobody = true;
    this.refresh();
    if (!this.peersServed) for (const address of this.listening) this.unlisten(address);
    const graceMs = Math.min(1_000, deadlineMs / 2);
    for (const connection of this.connections) {
      if (this.waitsFor(connection)) connection.drain(this.now + Math.random() * graceMs);
    }
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, deadlineMs);
      this.drained = () => {
        clearTimeout(timer);
        resolve();
      };
      this.lookDrained();
    });
  }

  /** Ends everything at once. */
  destroy(): void {
    clearInterval(this.timer);
    for (const address of this.listening) this.unlisten(address);
    for (const connection of this.connections) connection.socket.destroy();
    this.dispatcher.destroy();
  }

  // What connections and exchanges ask.

  accept(exchange: Exchange): void {
    this.refresh();
    const { visitor, head } = exchange;
    if (visitor.late && head.hop === "") {
      // As if nobody listened any more: not a byte of an answer, so it may be asked elsewhere.
      visitor.reset();
      return;
    }
    this.requests++;
    this.inFlight++;
    exchange.counted = true;
    this.dispatcher.accept(exchange);
  }

  newTraceparent(): string {
    return this.identity.traceparent();
  }

  hopField(exchange: Exchange): string {
    return this.dispatcher.peers.hopField(exchange);
  }

  reroute(exchange: Exchange): void {
    this.dispatcher.place(exchange);
  }

  refused(exchange: Exchange, target: Target): void {
    this.refresh();
    this.dispatcher.refused(exchange, target);
  }

  left(exchange: Exchange, target: Target): void {
    this.dispatcher.left(exchange, target);
  }

  ended(exchange: Exchange): void {
    this.dispatcher.holding.leave(exchange);
    if (!exchange.counted) return;
    this.inFlight--;
    const { accessLog } = this.options;
    if (accessLog !== undefined) {
      accessLog.write(accessLine(exchange, this.options.clusterId, monotonicMs()));
    }
    if (exchange.head.traceparent.endsWith("1")) this.sample(exchange);
  }

  private sample(exchange: Exchange): void {
    const { head, repl, status, target } = exchange;
    const took = monotonicMs() - exchange.startedAt;
    const endedAt = Date.now();
    this.events.sampled({
      traceparent: head.traceparent,
      startedAt: endedAt - took,
      endedAt,
      attributes: {
        "http.request.method": head.method,
        "http.response.status_code": status,
        "server.address": head.host,
        "stele.cluster": this.options.clusterId,
        "stele.repl": repl?.id ?? "",
        "stele.peer": target?.peer ?? "",
        "stele.held_ms": exchange.heldMs,
        "stele.hops": exchange.hops,
      },
    });
  }

  // Time.

  private refresh(): void {
    this.now = monotonicMs();
  }

  private tick(): void {
    this.refresh();
    this.dispatcher.tick();
    if (++this.ticks % SWEEP_TICKS !== 0) return;
    this.date = new Date().toUTCString();
    this.dispatcher.sweep();
    for (const connection of this.connections) connection.sweep(this.now);
  }
}
