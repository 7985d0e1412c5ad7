import { backoffMs } from "../shared/backoff";
import { failpoint } from "../shared/failpoint";
import { withSpan } from "../shared/trace";
import type { Control, Interruption } from "./control";
import {
  BUSY_BACKOFF,
  FREEZE_DEADLINE_MS,
  freezeLeftMs,
  leaseLeftMs,
  MAX_FREEZES,
  mayRetry,
  RETRY_BACKOFF,
} from "./core/limits";
import {
  type Effect,
  enter,
  isBeforeCommit,
  isTerminal,
  mayHold,
  next,
  type State,
} from "./core/migration";
import { CARRY_OUT, type Outcome, type Outside, type Work } from "./effects";
import type { Pass } from "./gate";
import type * as store from "./store";
import type { Facts, MigrationRow } from "./store";

/** Where the progress of migrations is kept. */
export type Journal = Pick<
  typeof store,
  "advance" | "claim" | "findUnpublished" | "recordPublished" | "recordTry" | "release" | "renew"
>;

/** Where events are told: `encore.dev/log`. */
export interface Log {
  info(message: string, fields: Record<string, string | number>): void;
  warn(message: string, fields: Record<string, string | number>): void;
}

/** What a drive needs besides its migration. */
export interface Driving {
  readonly journal: Journal;
  readonly outside: Outside;
  readonly leaseOwner: string;
  readonly control: Control;
  /** To be passed before requests are held. */
  readonly freezeGate: () => Pass;
  readonly log: Log;
  /** From 0 to 1, without 1. */
  random(): number;
  /** The migration has changed. */
  announce(migrationId: string): void;
}

/** After so many failures in a row a migration makes room for others for a while. */
const FAILURES_TO_YIELD = 12;

/** Why a drive ended before its migration did. */
type LetGo = { readonly letGo: "lost" | "stopping" | "yield" };

/**
 * Carries a migration on from the phase it is in, to its end or until it must be let go. Ends with
 * `yield` when its work keeps failing. Rejects when its progress cannot be saved.
 */
export async function drive(row: MigrationRow, driving: Driving): Promise<LetGo | undefined> {
  return withSpan(
    "migration.move",
    {
      parent: row.traceparent,
      attributes: { migrationId: row.id, replId: row.replId, from: row.from, to: row.to },
    },
    async (traceparent) => {
      const driven = new Drive(row, driving, traceparent);
      return driven.run().finally(() => driven.leaveGate());
    },
  );
}

class Drive {
  private state: State;
  private readonly work: Work;
  /** Learned since the phase began; saved with the next one. */
  private facts: Facts = {};
  /** When the authority's word came that the migration is aborted, by a clock that nobody sets. */
  private abortedAtMs: number | null = null;
  /** Held from the freeze until requests are let through again. */
  private pass: Pass | undefined;

  constructor(
    row: MigrationRow,
    private readonly driving: Driving,
    private readonly traceparent: string,
  ) {
    const copying = { rounds: [], lastBegunAt: null };
    this.work = { row, bootLeaseUntil: null, release: 0, policy: "auto", copying };
    this.state = enter(row.phase, row.mode);
  }

  async run(): Promise<LetGo | undefined> {
    if (this.work.row.abortRequested) this.driving.control.raise("abort");
    if (this.state.phase === "requested") {
      await failpoint("migrations.requested", this.work.row.replId);
    }
    const found = this.work.row.resumed ? await this.recall() : undefined;
    if (found && !(await this.take(found))) return { letGo: "lost" };
    while (!isTerminal(this.state.phase)) {
      const outcome = await this.attempt();
      if ("letGo" in outcome) return outcome;
      if (!(await this.take(outcome))) return { letGo: "lost" };
    }
    return undefined;
  }

  /** What the authority has decided meanwhile, if it has: before the commit anybody may have. */
  private async recall(): Promise<Outcome | undefined> {
    if (!isBeforeCommit(this.state.phase) || this.state.phase === "requested") return undefined;
    try {
      const { status, seq } = await this.driving.outside.authority.getDecision(this.work.row.id);
      if (status === "committed") return { event: "found_committed", facts: { seq } };
      if (status === "aborted") return aborted();
    } catch (error) {
      this.warn("cannot ask how a migration was decided", error);
    }
    return undefined;
  }

  /** The current effect, tried until something comes of it. */
  private async attempt(): Promise<Outcome | LetGo> {
    const { effect } = this.state;
    if (effect === null) return { event: "done" };
    for (;;) {
      const interruption = this.driving.control.raised(this.listenFor());
      if (interruption) return interrupted(interruption);
      const outcome = await this.tryOnce(effect);
      if (outcome !== "again") return outcome;
    }
  }

  private async tryOnce(effect: Effect): Promise<Outcome | LetGo | "again"> {
    if (effect === "freeze_source") {
      const hindrance = await this.beginFreeze();
      if (hindrance) return hindrance;
    }
    const leftMs = this.leftMs(effect);
    if (leftMs === 0) return this.tooLate(effect);
    try {
      const { control } = this.driving;
      const raced = await control.race(this.carryOut(effect), this.listenFor(), leftMs);
      if ("interrupted" in raced) {
        return raced.interrupted === "time" ? this.tooLate(effect) : interrupted(raced.interrupted);
      }
      const outcome = raced.value;
      if (outcome.event === "again") return "again";
      if (outcome.event === "busy") return await this.afterBusy();
      if (next(this.state, outcome.event)) return outcome;
      return await this.afterFailure(effect, new Error(outcome.reason ?? outcome.event));
    } catch (error) {
      return this.afterFailure(effect, error);
    }
  }

  private carryOut(effect: Effect): Promise<Outcome> {
    const { row } = this.work;
    const attributes = { migrationId: row.id, replId: row.replId, phase: this.state.phase };
    return withSpan(
      `migration.${effect}`,
      { parent: this.traceparent, attributes },
      async (traceparent) => {
        await failpoint(`migrations.${effect}.before`, row.replId);
        const outcome = await CARRY_OUT[effect](this.work, this.driving.outside, traceparent);
        await failpoint(`migrations.${effect}.after`, row.replId);
        return outcome;
      },
    );
  }

  /**
   * Waits for its turn, unless requests are held already or nobody will be: nothing runs. They are held
   * from then on at the latest: this is written down first, for whoever takes over.
   */
  private async beginFreeze(): Promise<Outcome | LetGo | undefined> {
    const { driving } = this;
    const { row } = this.work;
    if (row.frozenAt !== null) return undefined;
    const hindrance = await this.awaitTurn();
    if (hindrance) return hindrance;
    row.frozenAt = new Date(driving.outside.now());
    return (await this.recordTry()) ? undefined : { letGo: "lost" };
  }

  /**
   * What sleeps has nothing to boot while it is held; and nobody shall wait as long as a stop-copy
   * takes.
   */
  private async awaitTurn(): Promise<Outcome | LetGo | undefined> {
    if (this.state.mode === "asleep" || this.state.mode === "stop-copy") return undefined;
    this.pass ??= this.driving.freezeGate();
    const raced = await this.driving.control.race(this.pass.entered, this.listenFor());
    if (!("interrupted" in raced) || raced.interrupted === "time") return undefined;
    return interrupted(raced.interrupted);
  }

  leaveGate(): void {
    this.pass?.leave();
    this.pass = undefined;
  }

  private async afterBusy(): Promise<Outcome | LetGo> {
    const { row } = this.work;
    this.leaveGate();
    row.attempts += 1;
    row.frozenAt = null;
    if (row.attempts >= MAX_FREEZES) return { event: "expired", reason: "busy" };
    if (!(await this.recordTry())) return { letGo: "lost" };
    const letGo = await this.pause(backoffMs(row.attempts, BUSY_BACKOFF, this.driving.random()));
    return letGo ?? { event: "busy" };
  }

  private async afterFailure(effect: Effect, error: unknown): Promise<Outcome | LetGo | "again"> {
    const { row } = this.work;
    const reason = `${effect}: ${messageOf(error)}`;
    if (isBeforeCommit(this.state.phase) && this.driving.outside.isRefusal(error)) {
      return { event: "refused", reason: effect === "open_migration" ? messageOf(error) : reason };
    }
    // It held requests, and went on for their sake: a successor can do what this process no longer can.
    if (this.driving.control.raised(["stopping"])) return { letGo: "stopping" };
    row.attempts += 1;
    this.warn("a step of a migration failed", error);
    if (!mayRetry(this.state.phase, row.attempts)) return { event: "expired", reason };
    const isWaiting = this.leaseLeftMs(effect) !== undefined;
    if (row.attempts >= FAILURES_TO_YIELD && !isWaiting) return { letGo: "yield" };
    if (!(await this.recordTry())) return { letGo: "lost" };
    const letGo = await this.pause(backoffMs(row.attempts, RETRY_BACKOFF, this.driving.random()));
    return letGo ?? (await this.recall()) ?? "again";
  }

  private async pause(ms: number): Promise<Outcome | LetGo | undefined> {
    const never = new Promise<never>(() => undefined);
    const raced = await this.driving.control.race(never, this.listenFor(), ms);
    if (!("interrupted" in raced) || raced.interrupted === "time") return undefined;
    return interrupted(raced.interrupted);
  }

  /** Goes to the next state, and saves it when the phase is another. False when the lease is lost. */
  private async take(outcome: Outcome): Promise<boolean> {
    if (outcome.event === "again") return true;
    const { row } = this.work;
    const before = { ...this.state, mode: outcome.facts?.mode ?? this.state.mode };
    const after = next(before, outcome.event);
    if (!after) throw new Error(`"${outcome.event}" has no meaning in phase "${before.phase}"`);
    this.learn(outcome, before, after);
    if (after.effect === "unstage_destination") {
      this.abortedAtMs ??= this.driving.outside.elapsed();
    }
    this.state = after;
    if (after.phase === before.phase) return true;
    const saved = await this.driving.journal.advance({
      id: row.id,
      leaseOwner: this.driving.leaseOwner,
      from: before.phase,
      to: after.phase,
      facts: this.facts,
    });
    if (!saved) return false;
    this.facts = {};
    row.phase = after.phase;
    row.attempts = 0;
    this.driving.log.info("migration moved on", {
      migrationId: row.id,
      replId: row.replId,
      generation: row.generation ?? 0,
      from: before.phase,
      to: after.phase,
    });
    this.driving.announce(row.id);
    return true;
  }

  private learn(outcome: Outcome, before: State, after: State): void {
    const { row } = this.work;
    const { from, fromGeneration, generation, seq, freezeMs } = outcome.facts ?? {};
    Object.assign(this.facts, outcome.facts);
    if (after.mode !== null && after.mode !== before.mode) this.facts.mode = after.mode;
    row.from = from ?? row.from;
    row.fromGeneration = fromGeneration ?? row.fromGeneration;
    row.generation = generation ?? row.generation;
    row.mode = after.mode;
    row.seq = seq ?? row.seq;
    row.freezeMs = freezeMs ?? row.freezeMs;
    if (after.phase === "aborting" && before.phase !== "aborting" && outcome.reason) {
      this.facts.reason = outcome.reason;
    }
    const released = before.effect === "activate_destination" || before.effect === "thaw_source";
    if (released) this.leaveGate();
    if (released && row.frozenAt !== null) {
      this.facts.holdMs = this.driving.outside.now() - row.frozenAt.getTime();
    }
  }

  private recordTry(): Promise<boolean> {
    const { id, attempts, frozenAt } = this.work.row;
    return this.driving.journal.recordTry(id, this.driving.leaseOwner, attempts, frozenAt);
  }

  /** How long an effect may take; undefined when only its own limit counts. */
  private leftMs(effect: Effect): number | undefined {
    return this.leaseLeftMs(effect) ?? this.freezeLeftMs();
  }

  private tooLate(effect: Effect): Outcome {
    return this.leaseLeftMs(effect) === undefined ? this.heldTooLong() : { event: "lease_over" };
  }

  /** The destination of an aborted move is waited for so long; then nothing runs there by itself. */
  private leaseLeftMs(effect: Effect): number | undefined {
    if (effect !== "unstage_destination" || this.abortedAtMs === null) return undefined;
    return leaseLeftMs(this.state.mode, this.abortedAtMs, this.driving.outside.elapsed());
  }

  private freezeLeftMs(): number | undefined {
    const frozenAtMs = this.work.row.frozenAt?.getTime() ?? null;
    const now = this.driving.outside.now();
    return freezeLeftMs(this.state.phase, frozenAtMs, now, this.freezeMs());
  }

  private freezeMs(): number {
    return this.work.row.freezeMs ?? FREEZE_DEADLINE_MS;
  }

  private heldTooLong(): Outcome {
    return { event: "expired", reason: `requests were held for ${this.freezeMs()} ms` };
  }

  private listenFor(): readonly Interruption[] {
    // A process that ends first lets through whom it holds: nobody else would, before its successor.
    const holds = this.work.row.frozenAt !== null && mayHold(this.state);
    const always: readonly Interruption[] = holds ? ["lost"] : ["lost", "stopping"];
    return isBeforeCommit(this.state.phase) ? [...always, "abort"] : always;
  }

  private warn(message: string, error: unknown): void {
    const { id, replId, attempts } = this.work.row;
    this.driving.log.warn(message, {
      migrationId: id,
      replId,
      phase: this.state.phase,
      effect: this.state.effect ?? "",
      attempts,
      reason: messageOf(error),
    });
  }
}

function interrupted(interruption: Interruption): Outcome | LetGo {
  if (interruption !== "abort") return { letGo: interruption };
  return { event: "abort", reason: "aborted on request" };
}

function aborted(): Outcome {
  return { event: "found_aborted", reason: "aborted at the authority" };
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
