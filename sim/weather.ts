import type { Clock } from "./clock";
import type { Random } from "./random";

/** How bad it gets; 0 is calm. */
export interface Climate {
  /** Of messages that are lost, and that arrive twice. */
  readonly loss: number;
  readonly twice: number;
  /** Milliseconds between two faults, in the mean. */
  readonly faultEveryMs: number;
  /** The clocks of two hosts differ by so much at most, in milliseconds. */
  readonly skewMs: number;
}

export const STORMY: Climate = { loss: 0.05, twice: 0.05, faultEveryMs: 700, skewMs: 900 };
export const CALM: Climate = { loss: 0, twice: 0, faultEveryMs: Infinity, skewMs: 900 };

/** The control plane, among the hosts; the others are clusters by their index. */
export const CONTROL = -1;

const LATENCY_MS = 4;
/** A copy of a message that was under way for long. */
const LATE_MS = 60_000;
const OUTAGE_MS = { min: 200, max: 8_000 };

/** The network and the hosts: what arrives, when, and what is away. */
export class Weather {
  climate: Climate;
  readonly #clock: Clock;
  readonly #random: Random;
  /** Until when a host is away, and until when nobody reaches it. */
  readonly #down = new Map<number, number>();
  readonly #apart = new Map<number, number>();
  readonly #skew: readonly number[];

  constructor(clock: Clock, random: Random, clusters: number, climate: Climate) {
    this.#clock = clock;
    this.#random = random;
    this.climate = climate;
    const { skewMs } = climate;
    this.#skew = Array.from({ length: clusters }, () => random.between(-skewMs / 2, skewMs / 2));
  }

  /** A host's own clock. */
  clockOf(cluster: number): number {
    return this.#clock.now + (this.#skew[cluster] ?? 0);
  }

  isDown(host: number): boolean {
    return (this.#down.get(host) ?? 0) > this.#clock.now;
  }

  /** Brings something to a host, once, twice, late or never. */
  send(from: number, to: number, arrive: () => void): void {
    const { loss, twice } = this.climate;
    const isLost = this.#random.chance(loss) || this.#isApart(from) || this.#isApart(to);
    if (!isLost) this.#arrival(to, this.#random.delay(LATENCY_MS), arrive);
    if (this.#random.chance(twice)) this.#arrival(to, this.#random.between(0, LATE_MS), arrive);
  }

  #arrival(to: number, delay: number, arrive: () => void): void {
    this.#clock.in(delay, () => {
      if (!this.isDown(to)) arrive();
    });
  }

  #isApart(host: number): boolean {
    return (this.#apart.get(host) ?? 0) > this.#clock.now;
  }

  takeDown(host: number): void {
    this.#down.set(host, this.#clock.now + this.#outage());
  }

  cutOff(host: number): void {
    this.#apart.set(host, this.#clock.now + this.#outage());
  }

  #outage(): number {
    return this.#random.between(OUTAGE_MS.min, OUTAGE_MS.max);
  }

  untilUp(host: number): number {
    return Math.max(0, (this.#down.get(host) ?? 0) - this.#clock.now);
  }
}
