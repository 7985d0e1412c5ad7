import type { ErrorCode } from "./core/errors";
import { mayDial } from "./core/dial";
import { holdUntil, mayHold } from "./core/hold";
import { type HostKey } from "./core/hostname";
import { LIMITS } from "./core/limits";
import { type Decision, decide, decideWith } from "./core/route";
import { Authority } from "./authority";
import { type Exchange, Phase } from "./exchange";
import type { HopKeys } from "./hop-keys";
import type { IdentitySource } from "./identity";
import type { Found, LookupQuery, Requests, WakeOutcome } from "./questions";
import type { Hit, Repl, Table } from "./table";
import { Target } from "./upstream";

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
}

/** Between two wakes that said "running" while the route still says asleep, or could not be asked. */
const REWAKE_MS = 100;
const WAKE_FAULT_MS = 5_000;
/** Between two questions to an authority that is away. */
const ASK_AGAIN_MS = 250;
/** A peer's proxy that restarts is back within a hold: so far apart is it tried again. */
const PEER_RETRY_MS = 150;
const MAX_DIALS = 3;

/** Places requests: serve, hold, wake, ask, forward or refuse. Knows no bytes. */
export class Dispatcher {
  leaseUntil = 0;
  held = 0;
  forwarded = 0;
  private heldBytes = 0;
  /** Requests that wait for a peer that refuses connections. */
  private redialling = 0;
  private readonly touched = new Set<Repl>();
  /** Repls that may have open connections. */
  private readonly serving = new Set<Repl>();
  /** Who waits for a repl's route or start, in the order of arrival. */
  private readonly queues = new Map<Repl, Set<Exchange>>();
  private readonly authority: Authority;
  private readonly rereads = new Set<Exchange>();
  private readonly peers = new Map<string, Target>();

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
    this.act(exchange, this.decision(exchange));
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
    this.leaveQueue(exchange);
    this.touched.add(repl);
    this.serving.add(repl);
    repl.inFlight++;
    exchange.start(target, exchange.dials > 0);
  }

  private forward(exchange: Exchange, peerId: string, minGeneration: number): void {
    const target = this.peerTarget(peerId);
    const replId = exchange.repl?.id ?? exchange.placement?.replId ?? "";
    if (target === undefined || replId === "") {
      exchange.fail("peer_unreachable");
      return;
    }
    this.leaveQueue(exchange);
    if (exchange.repl !== undefined) this.touched.add(exchange.repl);
    if (exchange.repl?.route?.state === "tombstone") exchange.repl.byTombstone++;
    exchange.forwardMin = minGeneration;
    this.forwarded++;
    exchange.start(target, exchange.dials > 0);
  }

  private peerTarget(peerId: string): Target | undefined {
    const row = this.table.peers.get(peerId);
    const host = row?.ingress[0] ?? "";
    const port = row?.httpPort ?? 0;
    const known = this.peers.get(peerId);
    if (known !== undefined && known.host === host && known.port === port) return known;
    known?.retire();
    this.peers.delete(peerId);
    if (row === undefined || row.removed || peerId === this.self || !mayDial(host, port)) {
      return undefined;
    }
    const target = new Target({ host, port, generation: 0, peer: peerId });
    this.peers.set(peerId, target);
    return target;
  }

  /** The value of Stele-Hop for an exchange on its way to a peer. */
  hopField(exchange: Exchange): string {
    const { clock } = this;
    const waited = exchange.heldSince > 0 ? exchange.heldSince + this.holdMs - clock.now : 0;
    const replId = exchange.repl?.id ?? exchange.placement?.replId ?? "";
    return this.hopKeys.sign(
      {
        from: this.self,
        to: exchange.target?.peer ?? "",
        replId,
        minGeneration: exchange.forwardMin,
        hops: exchange.hops + 1,
        at: clock.unixMs,
        holdUntil: exchange.hop?.holdUntil || (waited > 0 ? clock.unixMs + Math.ceil(waited) : 0),
        clientIp: exchange.clientIp,
        proto: exchange.hop?.proto ?? "http",
        requestId: exchange.requestId,
      },
      {
        method: exchange.head.method,
        hostname: this.table.resolve(exchange.head.host).hostname,
        target: exchange.head.target,
      },
    );
  }

  // Waiting.

  private wait(exchange: Exchange, repl: Repl, waking: boolean): void {
    const { now } = this.clock;
    exchange.waitsForWake = waking;
    const queue = this.queues.get(repl) ?? new Set();
    if (exchange.queue === queue) {
      exchange.deadline = this.waitUntil(exchange);
      return;
    }
    const bytes = exchange.head.text.length + exchange.visitor.aheadBytes;
    const inRepl = queue.size;
    if (!mayHold({ inRepl, inProcess: this.held, bytes: this.heldBytes + bytes })) {
      exchange.fail("hold_full");
      return;
    }
    this.leaveQueue(exchange);
    queue.add(exchange);
    this.queues.set(repl, queue);
    exchange.queue = queue;
    exchange.repl = repl;
    exchange.heldBytes = bytes;
    if (exchange.heldSince === 0) exchange.heldSince = now;
    exchange.deadline = this.waitUntil(exchange);
    if (!exchange.requestDone) exchange.visitor.pauseBody();
    this.held++;
    this.heldBytes += bytes;
    this.touched.add(repl);
  }

  /** A start takes what it takes; holds in a row, here and at a peer, do not add up. */
  private waitUntil({ heldSince, waitsForWake, hop }: Exchange): number {
    if (waitsForWake) return holdUntil(heldSince, true, 0);
    const { now, unixMs } = this.clock;
    const hopDeadline = hop?.holdUntil ?? 0;
    const left = hopDeadline === 0 ? 0 : Math.max(1, now + hopDeadline - unixMs);
    return Math.min(holdUntil(heldSince, false, left), heldSince + this.holdMs);
  }

  /** Takes an exchange out of whatever it waits in. */
  leaveQueue(exchange: Exchange): void {
    const { queue, repl } = exchange;
    if (queue === undefined) return;
    queue.delete(exchange);
    exchange.queue = undefined;
    exchange.deadline = 0;
    if (repl === undefined || queue !== this.queues.get(repl)) return;
    this.held--;
    this.heldBytes -= exchange.heldBytes;
    exchange.heldMs = Math.ceil(this.clock.now - exchange.heldSince);
    if (queue.size === 0) this.queues.delete(repl);
  }

  /** Looks at a repl's waiting requests again, in the order of their arrival. */
  reconsider(repl: Repl): void {
    const queue = this.queues.get(repl);
    let released = 0;
    for (const exchange of Array.from(queue ?? [])) {
      if (exchange.queue !== queue) continue;
      const decision = this.decision(exchange);
      const stays = decision.action === "hold" || (decision.action === "serve" && !this.leased);
      if (stays) exchange.waitsForWake = false;
      else if (released < LIMITS.releaseBatch) {
        this.act(exchange, decision);
        if (exchange.queue !== queue) released++;
      }
    }
    if (released === LIMITS.releaseBatch && this.queues.has(repl)) this.releaseLater(repl);
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
    for (const repl of Array.from(this.queues.keys())) this.reconsider(repl);
  }

  private wakeAndWait(exchange: Exchange, repl: Repl): void {
    if (repl.wakeFault !== undefined && this.clock.now < repl.wakeFaultUntil) {
      exchange.fail(repl.wakeFault);
      return;
    }
    this.wait(exchange, repl, true);
    if (exchange.queue !== undefined) this.wake(repl, exchange);
  }

  private wake(repl: Repl, { requestId, head }: Exchange): void {
    if (repl.waking || !this.leased) return;
    repl.waking = true;
    this.requests.wake(repl.id, { requestId, traceparent: head.traceparent });
  }

  /** The answer to `wake`. Routes that it changed have been applied before. */
  woke(replId: string, outcome: WakeOutcome): void {
    const repl = this.table.get(replId);
    if (repl === undefined) return;
    if (outcome === "failed" || outcome === "none") {
      repl.waking = false;
      this.wakeFailed(repl, outcome === "failed" ? "wake_failed" : "no_container");
      return;
    }
    const asleep = repl.route?.state === "active" && !repl.route.awake;
    if (!asleep && outcome !== "unreachable") {
      repl.waking = false;
      this.reconsider(repl);
      return;
    }
    setTimeout(() => {
      repl.waking = false;
      this.reconsider(repl);
    }, REWAKE_MS);
  }

  private wakeFailed(repl: Repl, fault: ErrorCode): void {
    repl.wakeFault = fault;
    repl.wakeFaultUntil = this.clock.now + (fault === "wake_failed" ? WAKE_FAULT_MS : 0);
    for (const exchange of Array.from(this.queues.get(repl) ?? []))
      if (exchange.waitsForWake) exchange.fail(fault);
  }

  // The authority.

  private ask(exchange: Exchange): void {
    if (exchange.placement !== undefined) {
      // What was answered is older than what the request proves.
      this.authority.forget(this.queryOf(exchange));
      exchange.placement = undefined;
    }
    const ask = this.authority.ask(this.queryOf(exchange), this.clock.now);
    if (ask === undefined) {
      exchange.fail("authority_unreachable");
      return;
    }
    if (ask.answered) {
      this.answered(exchange, ask.placement);
      return;
    }
    this.leaveQueue(exchange);
    ask.waiting.add(exchange);
    exchange.queue = ask.waiting;
    exchange.deadline = this.clock.now + this.holdMs;
    if (!exchange.requestDone) exchange.visitor.pauseBody();
  }

  private queryOf(exchange: Exchange): LookupQuery {
    const empty = { replId: "", name: "", owner: "", hostname: "" };
    if (exchange.repl !== undefined) return { ...empty, replId: exchange.repl.id };
    if (exchange.hop !== undefined) return { ...empty, replId: exchange.hop.replId };
    const key: HostKey = this.table.resolve(exchange.head.host).key;
    switch (key.kind) {
      case "id":
        return { ...empty, replId: key.replId };
      case "name":
        return { ...empty, name: key.name, owner: key.owner };
      case "hostname":
        return { ...empty, hostname: key.hostname };
      case "none":
        return empty;
    }
  }

  /** The answer to `lookup`; undefined when the authority cannot be reached. */
  found(key: string, placement: Found | undefined): void {
    const ask = this.authority.answer(key, placement, this.clock.now);
    for (const exchange of Array.from(ask?.waiting ?? [])) {
      this.leaveQueue(exchange);
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
    const exists = exchange.hop !== undefined || exchange.repl?.row !== undefined;
    if (!exists || this.clock.now - exchange.startedAt > this.holdMs) {
      exchange.fail("authority_unreachable");
      return;
    }
    setTimeout(() => this.place(exchange), ASK_AGAIN_MS);
  }

  // Refused connections: no byte was sent, so every method may be tried again.

  refused(exchange: Exchange, target: Target): void {
    exchange.dials++;
    if (target.peer !== "") this.peerRefused(exchange);
    else if (exchange.dials === 1) this.readAgain(exchange);
    else if (exchange.dials < MAX_DIALS && exchange.repl !== undefined) {
      this.wait(exchange, exchange.repl, true);
      this.wake(exchange.repl, exchange);
    } else exchange.fail(exchange.connectTimedOut ? "connect_timeout" : "refused");
  }

  private readAgain(exchange: Exchange): void {
    const first = this.rereads.size === 0;
    this.rereads.add(exchange);
    exchange.queue = this.rereads;
    exchange.deadline = this.clock.now + this.holdMs;
    if (first) this.requests.reread();
  }

  /** The answer to `reread`: the routes are as they are in the database. */
  reread(): void {
    for (const exchange of Array.from(this.rereads)) {
      this.leaveQueue(exchange);
      this.place(exchange);
    }
  }

  private peerRefused(exchange: Exchange): void {
    const { now } = this.clock;
    if (exchange.heldSince === 0) exchange.heldSince = now;
    const inProcess = this.held + this.redialling;
    const isOver = now - exchange.heldSince >= this.holdMs;
    if (isOver || !mayHold({ inRepl: 0, inProcess, bytes: this.heldBytes })) {
      exchange.fail("peer_unreachable");
      return;
    }
    exchange.deadline = now + this.holdMs;
    this.redialling++;
    setTimeout(() => {
      this.redialling--;
      if (exchange.phase !== Phase.Waiting) return;
      // A fresh question: the peer may have refused because the repl moved on.
      this.authority.forget(this.queryOf(exchange));
      this.ask(exchange);
    }, PEER_RETRY_MS);
  }

  // Time and counters.

  /** Closes the connections that wait for a next request. */
  destroy(): void {
    for (const target of this.peers.values()) target.retire();
    for (const repl of this.serving) repl.current?.retire();
  }

  /** An exchange no longer uses its target. */
  left(exchange: Exchange, target: Target): void {
    const { repl } = exchange;
    if (target.peer !== "" || repl === undefined) return;
    repl.inFlight--;
    if (this.queues.has(repl) && repl.current === target) this.releaseLater(repl);
  }

  /** Fails what has waited for too long, and forgets old answers. */
  tick(): void {
    const { now } = this.clock;
    for (const queue of Array.from(this.queues.values())) {
      for (const exchange of Array.from(queue)) {
        if (exchange.deadline > now) continue;
        exchange.fail(exchange.waitsForWake ? "wake_timeout" : "hold_expired");
      }
    }
    for (const exchange of this.authority.tick(now)) exchange.fail("authority_unreachable");
    for (const exchange of Array.from(this.rereads)) {
      if (exchange.deadline <= now) exchange.fail("refused");
    }
  }

  sweep(): void {
    const { now } = this.clock;
    for (const target of this.peers.values()) target.sweep(now);
    for (const repl of this.serving) {
      repl.current?.sweep(now);
      if ((repl.current?.sockets ?? 0) === 0) this.serving.delete(repl);
    }
  }

  /** Repls that were asked for since the last call, or still are. */
  takeHits(): Hit[] {
    const hits: Hit[] = [];
    for (const repl of this.touched) {
      const inFlight = repl.inFlight + (this.queues.get(repl)?.size ?? 0);
      hits.push({ replId: repl.id, inFlight, byTombstone: repl.byTombstone });
      repl.byTombstone = 0;
      if (inFlight === 0) this.touched.delete(repl);
    }
    return hits;
  }
}
