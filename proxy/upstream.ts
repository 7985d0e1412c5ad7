import { connect, type Socket } from "node:net";

import { LIMITS } from "./core/limits";

/** Who uses an upstream connection: one exchange at a time. */
export interface UpstreamUser {
  upstreamConnected(): void;
  upstreamData(bytes: Buffer): void;
  /** The other side has said all that it had to say. */
  upstreamEnded(): void;
  /** The connection is gone: before it stood, or later. */
  upstreamLost(): void;
  upstreamDrained(): void;
  /** Nothing was sent yet and the route no longer leads here. */
  reroute(): void;
  /** Long-lived exchanges end now, at a boundary of what they carry. */
  cut(): void;
}

/** One connection to an app or to a peer's proxy. Listeners are attached once, for its whole life. */
export class UpstreamSocket {
  readonly socket: Socket;
  user: UpstreamUser | undefined;
  connected = false;
  /** Exchanges that it has carried to their end. */
  served = 0;
  idleSince = 0;

  constructor(readonly target: Target) {
    const options = {
      host: target.host,
      port: target.port,
      allowHalfOpen: true,
      noDelay: true,
      // Passed on to the stream, though its types do not say so.
      highWaterMark: LIMITS.highWaterMarkBytes,
    };
    this.socket = connect(options);
    this.socket.on("error", ignore);
    this.socket.on("connect", () => {
      this.connected = true;
      this.user?.upstreamConnected();
    });
    this.socket.on("data", (bytes: Buffer) => {
      if (this.user === undefined) this.destroy();
      else this.user.upstreamData(bytes);
    });
    this.socket.on("end", () => {
      if (this.user === undefined) this.destroy();
      else this.user.upstreamEnded();
    });
    this.socket.on("drain", () => this.user?.upstreamDrained());
    this.socket.on("close", () => {
      const { user } = this;
      this.user = undefined;
      target.closed(this);
      user?.upstreamLost();
    });
  }

  get usable(): boolean {
    return !this.socket.destroyed && this.socket.writable && !this.socket.readableEnded;
  }

  /** Ends it without telling its user. */
  destroy(): void {
    this.user = undefined;
    this.socket.destroy();
  }
}

/** `close` always follows, and says it once. */
function ignore(): void {}

/** What identifies a place to dial, and what its connections may cost. */
export interface TargetOptions {
  readonly host: string;
  readonly port: number;
  readonly generation: number;
  /** The peer cluster's id; empty for a container. */
  readonly peer: string;
}

/**
 * A place to dial, with its pool. A container's target belongs to one repl at one generation and
 * address and dies with the route that named it: a port that another repl gets later can never
 * receive this one's requests.
 */
export class Target {
  readonly host: string;
  readonly port: number;
  readonly generation: number;
  readonly peer: string;
  /** Exchanges between their dialling and their end. */
  readonly users = new Set<UpstreamUser>();
  /** The current route does not lead here. */
  retired = false;
  /** Long-lived exchanges here are ended, those to come too. */
  cutting = false;
  sockets = 0;
  onUnused: (() => void) | undefined;
  private readonly idle: UpstreamSocket[] = [];

  constructor(options: TargetOptions) {
    this.host = options.host;
    this.port = options.port;
    this.generation = options.generation;
    this.peer = options.peer;
  }

  /** The connection used last: the least likely to be closed meanwhile. */
  takeIdle(): UpstreamSocket | undefined {
    for (let socket = this.idle.pop(); socket !== undefined; socket = this.idle.pop()) {
      if (socket.usable) return socket;
      socket.destroy();
    }
    return undefined;
  }

  dial(): UpstreamSocket {
    this.sockets++;
    return new UpstreamSocket(this);
  }

  get full(): boolean {
    return this.sockets >= LIMITS.upstreamSockets;
  }

  /** Takes a connection back whose exchange ended well. */
  release(socket: UpstreamSocket, now: number): void {
    socket.user = undefined;
    socket.served++;
    const limit = this.peer === "" ? LIMITS.upstreamIdleSockets : LIMITS.peerIdleSockets;
    if (this.retired || !socket.usable || this.idle.length >= limit) {
      socket.destroy();
      return;
    }
    // The last write to the visitor may have paused it; the next exchange would wait for ever.
    if (socket.socket.isPaused()) socket.socket.resume();
    socket.idleSince = now;
    this.idle.push(socket);
  }

  leave(user: UpstreamUser): void {
    if (this.users.delete(user) && this.users.size === 0) this.onUnused?.();
  }

  /** The route leads elsewhere: nothing new comes here; what was sent already goes on. */
  retire(): void {
    this.retired = true;
    for (const socket of this.idle.splice(0)) socket.destroy();
    for (const user of Array.from(this.users)) user.reroute();
  }

  cut(): void {
    this.cutting = true;
    for (const user of Array.from(this.users)) user.cut();
  }

  closed(socket: UpstreamSocket): void {
    this.sockets--;
    const at = this.idle.indexOf(socket);
    if (at >= 0) this.idle.splice(at, 1);
  }

  /** Closes what was idle too long. The oldest come first. */
  sweep(now: number): void {
    const idleMs = this.peer === "" ? LIMITS.upstreamIdleMs : LIMITS.peerIdleMs;
    let expired = 0;
    while (expired < this.idle.length && now - (this.idle[expired]?.idleSince ?? 0) > idleMs) {
      expired++;
    }
    for (const socket of this.idle.splice(0, expired)) socket.destroy();
  }
}
