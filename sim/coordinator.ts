import { backoffMs } from "../shared/backoff";
import {
  BUSY_BACKOFF,
  commitBy,
  freezeLeftMs,
  leaseLeftMs,
  MAX_FREEZES,
  mayRetry,
  RETRY_BACKOFF,
  TIMEOUT_MS,
} from "../migrations/core/limits";
import {
  type Effect,
  enter,
  type Event,
  isBeforeCommit,
  isTerminal,
  type Mode,
} from "../migrations/core/migration";
import type { Delivered } from "./deliver";
import { answered } from "./move-steps";
import type { Clock } from "./clock";
import type { Random } from "./random";
import type { Rules } from "./rules";
import { CONTROL, type Weather } from "./weather";
import { at, withMove, type World } from "./world";

/** Renewed each 0.5 s; so long after its coordinator has ended, another takes a move over. */
const LEASE_MS = 2_000;

/** Where the receiver of each effect is; the others are for the authority. */
const AT_SOURCE: readonly Effect[] = [
  ...(["choose_mode", "freeze_source", "seal_source", "tombstone_source"] as const),
  ...(["drain_source", "clean_source", "thaw_source"] as const),
];
const AT_DESTINATION: readonly Effect[] = [
  ...(["stage_destination", "copy_files", "copy_delta", "boot_destination"] as const),
  ...(["verify_destination", "activate_destination", "unstage_destination"] as const),
];

/** Takes what came of a command, if its sender still listens. */
export type Answer = (event: Delivered["event"]) => void;

/** What a coordinator moves. */
export interface Movable {
  readonly world: World;
  readonly clock: Clock;
  readonly random: Random;
  readonly weather: Weather;
  readonly rules: Rules;
  change(work: (world: World) => World): void;
  /** A command arrives where it was sent to; `notAfter` is of a commit. */
  receive(index: number, effect: Effect, notAfter: number, answer: Answer): void;
  /** How much is left of the destination's boot lease, as its `verify` has just told. */
  leaseLeft(index: number): number;
  moveEnded(): void;
}

/** Drives one move as `migrations/drive.ts` does, on time that is not real. */
export class SimulatedCoordinator {
  readonly #repl: Movable;
  readonly #index: number;
  #attempts = 0;
  #frozenAt: number | null = null;
  /** When it was told that its move is aborted. */
  #abortedAt: number | null = null;
  #sentAt = 0;
  /** Of the commit: the destination's lease, as its last `verify` told. */
  #notAfter = -Infinity;
  /** As it is stored: with the phase. */
  #mode: Mode | null = null;
  /** What comes of an older one is not heard any more. */
  #turn = 0;

  constructor(repl: Movable, index: number) {
    this.#repl = repl;
    this.#index = index;
  }

  get isOver(): boolean {
    return isTerminal(this.#state.phase);
  }

  get #state() {
    return at(this.#repl.world.moves, this.#index).state;
  }

  /** Its process has ended; what it had not stored is forgotten. */
  crash(): void {
    const turn = ++this.#turn;
    if (this.isOver) return;
    this.#repl.clock.in(LEASE_MS + this.#repl.random.between(0, 500), () => {
      if (turn === this.#turn) this.#resume();
    });
  }

  #resume(): void {
    const { phase } = this.#state;
    this.#notAfter = -Infinity;
    this.#abortedAt = null;
    this.#repl.change((world) =>
      withMove(world, this.#index, { state: enter(phase, this.#mode), verified: false }),
    );
    if (!this.#recall()) this.go();
  }

  /** Somebody asks it to abort. */
  abort(): void {
    if (isBeforeCommit(this.#state.phase)) this.#take("abort");
  }

  /** What the authority has decided meanwhile. */
  #recall(): boolean {
    const { status, state } = at(this.#repl.world.moves, this.#index);
    const isNews = status === "committed" || status === "aborted";
    if (!isNews || !isBeforeCommit(state.phase)) return false;
    this.#take(status === "committed" ? "found_committed" : "found_aborted");
    return true;
  }

  /** Carries out the current effect. */
  go(): void {
    const { effect, phase } = this.#state;
    if (isTerminal(phase)) return;
    if (effect === null) {
      this.#take("done");
      return;
    }
    const { clock, weather } = this.#repl;
    if (effect === "freeze_source") this.#frozenAt ??= clock.now;
    const waitMs = this.#leaseLeftMs();
    if (waitMs === 0) {
      this.#repl.change((world) => withMove(world, this.#index, { waitedOut: true }));
      this.#take("lease_over");
      return;
    }
    const leftMs = waitMs ?? freezeLeftMs(phase, this.#frozenAt, clock.now);
    if (leftMs === 0) {
      this.#take("expired");
      return;
    }
    this.#sentAt = clock.now;
    const turn = ++this.#turn;
    const host = this.#hostOf(effect);
    const answer: Answer = (delivered) =>
      weather.send(host, CONTROL, () => {
        if (turn === this.#turn) this.#hear(effect, delivered);
      });
    weather.send(CONTROL, host, () =>
      this.#repl.receive(this.#index, effect, this.#notAfter, answer),
    );
    clock.in(Math.min(TIMEOUT_MS[effect], leftMs ?? Infinity), () => {
      if (turn === this.#turn) this.#failed();
    });
  }

  /** How long the destination of an aborted move is still waited for. */
  #leaseLeftMs(): number | undefined {
    const { effect, mode } = this.#state;
    if (effect !== "unstage_destination" || this.#abortedAt === null) return undefined;
    return leaseLeftMs(mode, this.#abortedAt, this.#repl.clock.now);
  }

  #hostOf(effect: Effect): number {
    const { from, to } = at(this.#repl.world.moves, this.#index);
    if (AT_SOURCE.includes(effect)) return from;
    return AT_DESTINATION.includes(effect) ? to : CONTROL;
  }

  #hear(effect: Effect, event: Delivered["event"]): void {
    this.#turn++;
    if (event === "again") {
      this.go();
    } else if (event === "busy") {
      this.#busy();
    } else {
      if (effect === "verify_destination" && event === "done") {
        this.#notAfter = commitBy(this.#sentAt, this.#repl.leaseLeft(this.#index));
      }
      this.#take(event);
    }
  }

  #busy(): void {
    this.#frozenAt = null;
    this.#attempts++;
    if (this.#attempts >= MAX_FREEZES) this.#take("expired");
    else this.#later(backoffMs(this.#attempts, BUSY_BACKOFF, this.#repl.random.next()));
  }

  /** No answer came, so it is not known whether it was carried out. */
  #failed(): void {
    this.#attempts++;
    if (!mayRetry(this.#state.phase, this.#attempts)) this.#take("expired");
    else this.#later(backoffMs(this.#attempts, RETRY_BACKOFF, this.#repl.random.next()));
  }

  #later(ms: number): void {
    const turn = ++this.#turn;
    this.#repl.clock.in(ms, () => {
      if (turn === this.#turn && !this.#recall()) this.go();
    });
  }

  /** Goes to the next state, and on from there. */
  #take(event: Event): void {
    this.#turn++;
    const { phase } = this.#state;
    const { rules } = this.#repl;
    this.#repl.change((world) => answered({ world, event }, this.#index, rules));
    const after = this.#state;
    if (after.effect === "unstage_destination") this.#abortedAt ??= this.#repl.clock.now;
    if (after.phase !== phase) {
      this.#attempts = 0;
      this.#mode = after.mode;
    }
    if (after.phase === "draining" || after.phase === "cleaning") this.#frozenAt = null;
    if (this.isOver) this.#repl.moveEnded();
    else this.#repl.clock.in(0, () => this.#continue(this.#turn));
  }

  #continue(turn: number): void {
    if (turn === this.#turn) this.go();
  }
}
