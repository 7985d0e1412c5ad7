import { mayDial } from "./core/dial";
import { type HoldBounds, holdUntil } from "./core/hold";
import { LIMITS } from "./core/limits";
import { type Decision, decide, decideWith } from "./core/route";
import { Authority, queryFor } from "./authority";
import { type Exchange, Phase } from "./exchange";
import { Holding } from "./holding";
import type { HopKeys } from "./hop-keys";
import type { IdentitySource } from "./identity";
import { Peers } from "./peers";
import type { Found, Requests, WakeOutcome } from "./questions";
import { type Hit, Repl, type Table } from "./table";
import type { Target } from "./upstream";
import { Waker } from "./waker";

interface Clock {
  readonly now: number;
  readonly unixMs: number;
}

interface DispatcherOptions {
  readonly self: string;
  readonly table: Table;
  readonly requests: Requests;
  readonly hopKeys: HopKeys;
  readonly identity: IdentitySource;
  readonly clock: Clock;
  readonly holdMs: number;
  readonly holdBounds: HoldBounds;
}

/** Between two questions to an authority that is away. */
const ASK_AGAIN_MS = 250;
/** A peer's proxy that restarts is back within a hold: so far apart is it tried again. */
const PEER_RETRY_MS = 150;
const MAX_DIALS = 3;

/** Waited for by whoever was refused: the routes as they are in the database. */
const READING = {};
/** Waited for by whoever the authority could not be asked about: the next try. */
const NEXT_TRY = {};

/** Places requests: serve, hold, wake, ask, forward or refuse. Knows no bytes. */
export class Dispatcher {
  leaseUntil = 0;
  forwarded = 0;
  readonly holding: Holding;
  readonly peers: Peers;
  private readonly waker: Waker;
  private readonly touched = new Set<Repl>();
  /** Repls that may have open connections. */
  private readonly serving = new Set<Repl>();
  private readonly authority: Authority;

  private readonly self: string;
  private readonly table: Table;
  private readonly requests: Requests;
  private readonly hopKeys: HopKeys;
  private readonly identity: IdentitySource;
  private readonly clock: Clock;
  private readonly holdMs: number;

  constructor(options: DispatcherOptions) {
    this.self = options.self;
    this.table = options.table;
    this.requests = options.requests;
    this.authority = new Authority((key, query) => this.requests.lookup(key, query));
    this.hopKeys = options.hopKeys;
    this.identity = options.identity;
    this.clock = options.clock;
    this.holdMs = options.holdMs;
    this.holding = new Holding({ bounds: options.holdBounds, clock: options.clock });
    this.peers = new Peers(options);
    this.waker = new Waker({
      ...options,
      holding: this.holding,
      mayWake: () => this.leased,
      reconsider: (repl) => this.reconsider(repl),
    });
  }

  get leased(): boolean {
    return this.clock.now < this.leaseUntil;
  }

  /** A request whose head has just come. */
  accept(exchange: Exchange): void {
    const { head } = exchange;
    const resolved = this.table.resolve(head.host);
    exchange.repl = resolved.repl;
    if (head.hop !== "" && !this.acceptHop(exchange, resolved.hostname)) {
      exchange.requestId = this.identity.requestId();
      exchange.fail("hop_refused");
      return;
    }
    exchange.requestId = exchange.hop?.requestId ?? this.identity.requestId();
    if (resolved.key.kind === "none" && exchange.hop === undefined) exchange.fail("not_found");
    else this.place(exchange);
  }

  /** Checks the MAC and what is under it (research: a bad one gets no second chance as a visitor). */
  private acceptHop(exchange: Exchange, hostname: string): boolean {
    const { head, repl } = exchange;
    const hop = this.hopKeys.verify(
      head.hop,
      { method: head.method, hostname, target: head.target },
      this.self,
      this.clock.unixMs,
    );
    if (hop === undefined || (repl !== undefined && repl.id !== hop.replId)) return false;
    exchange.hop = hop;
    exchange.visitor.fromPeer = true;
    exchange.repl = repl ?? this.table.get(hop.replId);
    exchange.minGeneration = hop.minGeneration;
    exchange.clientIp = hop.clientIp;
    return true;
  }

  /** Decides by what is known now, and acts on it. */
  place(exchange: Exchange): void {
    if (exchange.phase !== Phase.Waiting) return;
    if (this.isLastInLine(exchange)) return;
    this.act(exchange, this.decision(exchange));
  }

  /** While those who were held are let through, nobody overtakes them; unless too many wait for that. */
  private isLastInLine(exchange: Exchange): boolean {
    const { repl } = exchange;
    if (repl?.releasing !== true || this.holding.sizeOf(repl) === 0) return false;
    if (this.holding.waitsFor(exchange, repl)) return false;
    if (!this.holding.hasRoomFor(exchange, repl)) return false;
    this.wait(exchange, repl, false);
    return true;
  }

  private decision(exchange: Exchange): Decision {
    const { repl, placement, minGeneration, hops } = exchange;
    if (placement === undefined) return decide(repl?.route, minGeneration, hops);
    return decideWith({ self: this.self, placement }, repl?.route, minGeneration, hops);
  }

  private act(exchange: Exchange, decision: Decision): void {
    const { repl } = exchange;
    switch (decision.action) {
      case "serve":
        this.serve(exchange, repl as Repl);
        return;
      case "wake":
        this.wakeAndWait(exchange, repl as Repl);
        return;
      case "hold":
        if (repl !== undefined) this.wait(exchange, repl, false);
        else exchange.fail("authority_unreachable");
        return;
      case "forward":
        this.forward(exchange, decision.peer, decision.minGeneration);
        return;
      case "ask":
        this.ask(exchange);
        return;
      case "refuse":
        exchange.fail(decision.error);
    }
  }

  private serve(exchange: Exchange, repl: Repl): void {
    const target = repl.current;
    if (target === undefined || !mayDial(target.host, target.port)) {
      exchange.fail("refused");
      return;
    }
    // A proxy that cannot be told of a freeze must not send anything that a freeze would wait for.
    if (!this.leased || target.full) {
      this.wait(exchange, repl, false);
      return;
    }
    this.holding.leave(exchange);
    this.touched.add(repl);
    this.serving.add(repl);
    repl.inFlight++;
    exchange.start(target, exchange.dials > 0);
  }

  private forward(exchange: Exchange, peerId: string, minGeneration: number): void {
    const target = this.peers.target(peerId);
    const replId = exchange.repl?.id ?? exchange.placement?.replId ?? "";
    if (target === undefined || replId === "") {
      exchange.fail("peer_unreachable");
      return;
    }
    this.holding.leave(exchange);
    if (exchange.repl !== undefined) this.touched.add(exchange.repl);
    if (exchange.repl?.route?.state === "tombstone") exchange.repl.byTombstone++;
    exchange.forwardMin = minGeneration;
    this.forwarded++;
    exchange.start(target, exchange.dials > 0);
  }

  // Waiting.

  private wait(exchange: Exchange, repl: Repl, waking: boolean): void {
    exchange.waitsForWake = waking;
    exchange.repl = repl;
    if (exchange.heldSince === 0) exchange.heldSince = this.clock.now;
    const fault = waking ? "wake_timeout" : "hold_expired";
    const wait = { place: repl, until: this.waitUntil(exchange), fault } as const;
    if (this.holding.enter(exchange, wait)) this.touched.add(repl);
  }

  /** A start takes what it takes; holds in a row, here and at a peer, do not add up. */
  private waitUntil({ heldSince, waitsForWake, hop }: Exchange): number {
    if (waitsForWake) return holdUntil(heldSince, true, 0);
    const { now, unixMs } = this.clock;
    const hopDeadline = hop?.holdUntil ?? 0;
    const left = hopDeadline === 0 ? 0 : Math.max(1, now + hopDeadline - unixMs);
    return Math.min(holdUntil(heldSince, false, left), heldSince + this.holdMs);
  }

  /** Looks at a repl's waiting requests again, in the order of their arrival. */
  reconsider(repl: Repl): void {
    const { holding } = this;
    let released = 0;
    for (const exchange of holding.waitingFor(repl)) {
      if (!holding.waitsFor(exchange, repl)) continue;
      const decision = this.decision(exchange);
      if (decision.action === "hold" || (decision.action === "serve" && !this.leased)) {
        exchange.waitsForWake = false;
        holding.enter(exchange, { place: repl, until: exchange.deadline, fault: "hold_expired" });
      } else if (released < LIMITS.releaseBatch) {
        this.act(exchange, decision);
        if (!holding.waitsFor(exchange, repl)) released++;
      }
    }
    if (released === LIMITS.releaseBatch && holding.sizeOf(repl) > 0) this.releaseLater(repl);
  }

  private releaseLater(repl: Repl): void {
    if (repl.releasing) return;
    repl.releasing = true;
    setTimeout(() => {
      repl.releasing = false;
      this.reconsider(repl);
    }, LIMITS.releaseMs);
  }

  reconsiderAll(): void {
    for (const place of this.holding.places()) {
      if (place instanceof Repl) this.reconsider(place);
    }
  }

  private wakeAndWait(exchange: Exchange, repl: Repl): void {
    const fault = this.waker.faultOf(repl);
    if (fault !== undefined) {
      exchange.fail(fault);
      return;
    }
    this.wait(exchange, repl, true);
    if (this.holding.waitsFor(exchange, repl)) this.waker.wake(repl, exchange);
  }

  /** The answer to `wake`. */
  woke(replId: string, outcome: WakeOutcome): void {
    const repl = this.table.get(replId);
    if (repl !== undefined) this.waker.woke(repl, outcome);
  }

  // The authority.

  private ask(exchange: Exchange): void {
    if (exchange.placement !== undefined) {
      // What was answered is older than what the request proves.
      this.authority.forget(queryFor(exchange, this.table));
      exchange.placement = undefined;
    }
    const ask = this.authority.ask(queryFor(exchange, this.table), this.clock.now);
    if (ask === undefined) {
      exchange.fail("authority_unreachable");
      return;
    }
    if (ask.answered) {
      this.answered(exchange, ask.placement);
      return;
    }
    const until = this.clock.now + this.holdMs;
    this.holding.enter(exchange, { place: ask, until, fault: "authority_unreachable" });
  }

  /** The answer to `lookup`; undefined when the authority cannot be reached. */
  found(key: string, placement: Found | undefined): void {
    const ask = this.authority.answer(key, placement, this.clock.now);
    if (ask === undefined) return;
    for (const exchange of this.holding.waitingFor(ask)) {
      this.holding.leave(exchange);
      this.answered(exchange, placement);
    }
  }

  private answered(exchange: Exchange, placement: Found | undefined): void {
    if (placement === undefined) {
      this.askLater(exchange);
      return;
    }
    exchange.placement = placement;
    const home = placement.found && placement.clusterId === this.self;
    // Its row is on its way with the log: the request waits where the row will look for it.
    if (home) exchange.repl ??= this.table.ensure(placement.replId);
    this.place(exchange);
  }

  /**
   * The authority is away. A repl that a peer vouches for, or that had a route here, does exist: its
   * request is worth a wait as long as a hold. For a name that nobody knows there is no such reason.
   */
  private askLater(exchange: Exchange): void {
    const isKnown = exchange.repl?.row !== undefined || this.table.knew(exchange.head.host);
    const exists = exchange.hop !== undefined || isKnown;
    const fault = "authority_unreachable";
    const until = exchange.startedAt + this.holdMs;
    if (!exists || this.clock.now > until) exchange.fail(fault);
    else if (this.holding.enter(exchange, { place: NEXT_TRY, until, fault })) {
      setTimeout(() => {
        if (!this.holding.waitsFor(exchange, NEXT_TRY)) return;
        this.holding.leave(exchange);
        this.place(exchange);
      }, ASK_AGAIN_MS);
    }
  }

  // Refused connections: no byte was sent, so every method may be tried again.

  refused(exchange: Exchange, target: Target): void {
    exchange.dials++;
    if (target.peer !== "") this.peerRefused(exchange, target);
    else if (exchange.dials === 1) this.readAgain(exchange);
    else if (exchange.dials < MAX_DIALS && exchange.repl !== undefined) {
      this.wait(exchange, exchange.repl, true);
      this.waker.wake(exchange.repl, exchange);
    } else exchange.fail(exchange.connectTimedOut ? "connect_timeout" : "refused");
  }

  private readAgain(exchange: Exchange): void {
    const isFirst = this.holding.sizeOf(READING) === 0;
    const until = this.clock.now + this.holdMs;
    const isIn = this.holding.enter(exchange, { place: READING, until, fault: "refused" });
    if (isIn && isFirst) this.requests.reread();
  }

  /** The answer to `reread`: the routes are as they are in the database. */
  reread(): void {
    for (const exchange of this.holding.waitingFor(READING)) {
      this.holding.leave(exchange);
      this.place(exchange);
    }
  }

  private peerRefused(exchange: Exchange, target: Target): void {
    if (this.peers.refused(target) && exchange.dials < MAX_DIALS) {
      this.forward(exchange, target.peer, exchange.forwardMin);
      return;
    }
    const { now } = this.clock;
    if (exchange.heldSince === 0) exchange.heldSince = now;
    const fault = "peer_unreachable";
    const until = exchange.heldSince + this.holdMs;
    if (now >= until) exchange.fail(fault);
    else if (this.holding.enter(exchange, { place: target, until, fault })) {
      setTimeout(() => {
        if (!this.holding.waitsFor(exchange, target)) return;
        this.holding.leave(exchange);
        // A fresh question: the peer may have refused because the repl moved on.
        this.authority.forget(queryFor(exchange, this.table));
        this.ask(exchange);
      }, PEER_RETRY_MS);
    }
  }

  // Time and counters.

  /** Closes the connections that wait for a next request. */
  destroy(): void {
    this.peers.destroy();
    for (const repl of this.serving) repl.current?.retire();
  }

  /** An exchange no longer uses its target. */
  left(exchange: Exchange, target: Target): void {
    const { repl } = exchange;
    if (target.peer !== "" || repl === undefined) return;
    repl.inFlight--;
    if (this.holding.sizeOf(repl) > 0 && repl.current === target) this.releaseLater(repl);
  }

  /** Fails what has waited for too long, and forgets old answers. */
  tick(): void {
    this.holding.tick();
    this.authority.tick(this.clock.now);
  }

  sweep(): void {
    const { now } = this.clock;
    this.peers.sweep(now);
    for (const repl of this.serving) {
      repl.current?.sweep(now);
      if ((repl.current?.sockets ?? 0) === 0) this.serving.delete(repl);
    }
  }

  /** Repls that were asked for since the last call, or still are. */
  takeHits(): Hit[] {
    const hits: Hit[] = [];
    for (const repl of this.touched) {
      const inFlight = repl.inFlight + this.holding.sizeOf(repl);
      hits.push({ replId: repl.id, inFlight, byTombstone: repl.byTombstone });
      repl.byTombstone = 0;
      if (inFlight === 0) this.touched.delete(repl);
    }
    return hits;
  }
}
