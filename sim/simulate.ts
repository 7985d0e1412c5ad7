import { Clock } from "./clock";
import { checkHealed } from "./heal";
import { Random } from "./random";
import type { Rules } from "./rules";
import { Simulated, SWEEP_MS } from "./simulated-repl";
import { Violation } from "./violation";
import { CALM, STORMY, Weather } from "./weather";

export interface Simulation {
  readonly seed: number;
  readonly repls: number;
  readonly clusters: number;
  /** How long it storms, and how long the calm after it may last, in milliseconds of its own time. */
  readonly stormMs: number;
  readonly calmMs: number;
}

export interface SimulationResult {
  readonly events: number;
  /** Moves that came to their end. */
  readonly completed: number;
  readonly failure: Failure | undefined;
}

export interface Failure {
  readonly broken: string;
  /** Of the repl that it befell: the last things that happened. */
  readonly journal: readonly string[];
}

/** Everything of a seed: as many repls and clusters, as long a storm. */
export function simulationOf(seed: number): Simulation {
  const random = new Random(seed);
  return {
    seed,
    repls: 3 + random.below(6),
    clusters: 2 + random.below(4),
    stormMs: 20_000,
    // A copy whose answer was lost is sent again after its time limit of ten minutes.
    calmMs: 1_500_000,
  };
}

/** Two requests a second for each repl, in the mean. */
const REQUEST_EVERY_MS = 500;
const MOVE_EVERY_MS = 2_500;
const NAP_EVERY_MS = 6_000;
const DEPLOY_EVERY_MS = 3_000;
/** The last copies of messages come a minute late, and what they bring about is found out after it. */
const REST_MS = 90_000;

/**
 * Many repls move among clusters while hosts fail, clocks differ and messages are lost, late or twice;
 * then it calms down. Every invariant holds after every event, and in the calm every move comes to its
 * end and every cluster to rest.
 */
export function simulate(simulation: Simulation, rules: Rules): SimulationResult {
  return new Storm(simulation, rules).run();
}

/** Of `count` seeds from `from` on, the first that breaks something. */
export function firstFailure(
  from: number,
  count: number,
  rules: Rules,
): (Failure & { readonly seed: number }) | undefined {
  for (let seed = from; seed < from + count; seed++) {
    const { failure } = simulate(simulationOf(seed), rules);
    if (failure) return { ...failure, seed };
  }
  return undefined;
}

class Storm {
  readonly #clock = new Clock();
  readonly #random: Random;
  readonly #weather: Weather;
  readonly #repls: readonly Simulated[];
  readonly #simulation: Simulation;
  #events = 0;

  constructor(simulation: Simulation, rules: Rules) {
    const { seed, repls, clusters } = simulation;
    this.#simulation = simulation;
    this.#random = new Random(seed);
    const [clock, random] = [this.#clock, this.#random];
    this.#weather = new Weather(clock, random, clusters, STORMY);
    const surroundings = { clock, random, weather: this.#weather, rules, clusters };
    this.#repls = Array.from(
      { length: repls },
      (_, index) => new Simulated(`repl ${index + 1}`, random.chance(0.6), surroundings),
    );
  }

  run(): SimulationResult {
    let current: Simulated | undefined;
    const { stormMs, calmMs, clusters } = this.#simulation;
    try {
      for (const repl of this.#repls) this.#keepBusy(repl, clusters);
      this.#fail();
      this.#sweep();
      this.#pass(stormMs);
      this.#weather.climate = CALM;
      const end = stormMs + calmMs;
      while (this.#clock.now < end && this.#repls.some(({ isMoving }) => isMoving)) {
        this.#pass(Math.min(end, this.#clock.now + 1_000));
      }
      this.#pass(this.#clock.now + REST_MS);
      for (const repl of this.#repls) {
        current = repl;
        this.#checkRest(repl);
      }
      return this.#result(undefined);
    } catch (error) {
      if (!(error instanceof Violation)) throw error;
      const broken = error.message;
      const journal = (current ?? this.#lastTouched()).journal;
      return this.#result({ broken, journal });
    }
  }

  #result(failure: Failure | undefined): SimulationResult {
    const completed = this.#repls.reduce((sum, repl) => sum + repl.completed, 0);
    return { events: this.#events, completed, failure };
  }

  #lastTouched(): Simulated {
    const at = ({ journal }: Simulated): number => Number.parseFloat(journal.at(-1) ?? "0");
    return this.#repls.reduce((last, repl) => (at(repl) >= at(last) ? repl : last));
  }

  #pass(until: number): void {
    while (this.#clock.step(until)) this.#events++;
  }

  get #isStormy(): boolean {
    return this.#weather.climate === STORMY;
  }

  /** Visitors come all the time; moves begin and end, and apps fall asleep, while it storms. */
  #keepBusy(repl: Simulated, clusters: number): void {
    const every = (ms: number, work: () => void, onlyInStorm: boolean): void => {
      this.#clock.in(this.#random.between(0, 2 * ms), () => {
        if (onlyInStorm && !this.#isStormy) return;
        work();
        every(ms, work, onlyInStorm);
      });
    };
    every(REQUEST_EVERY_MS, () => repl.request(this.#random.below(clusters)), false);
    every(MOVE_EVERY_MS, () => repl.startMove(), true);
    every(DEPLOY_EVERY_MS, () => repl.deploy(), true);
    every(NAP_EVERY_MS, () => repl.nap(), true);
    every(MOVE_EVERY_MS * 4, () => repl.abortByOwner(), true);
  }

  #fail(): void {
    this.#clock.in(this.#random.between(0, 2 * STORMY.faultEveryMs), () => {
      if (!this.#isStormy) return;
      this.#failOnce();
      this.#fail();
    });
  }

  #failOnce(): void {
    const cluster = this.#random.below(this.#simulation.clusters);
    const repl = this.#repls[this.#random.below(this.#repls.length)] as Simulated;
    switch (this.#random.below(4)) {
      case 0:
        this.#weather.takeDown(cluster);
        for (const one of this.#repls) one.hostFailed(cluster);
        return;
      case 1:
        this.#weather.cutOff(this.#random.below(this.#simulation.clusters + 1) - 1);
        return;
      case 2:
        repl.crashCoordinator();
        return;
      default:
        for (const one of this.#repls) one.proxyEnded(cluster);
    }
  }

  #sweep(): void {
    this.#clock.in(SWEEP_MS, () => {
      for (const repl of this.#repls) {
        for (let cluster = 0; cluster < this.#simulation.clusters; cluster++) repl.sweep(cluster);
      }
      this.#sweep();
    });
  }

  #checkRest(repl: Simulated): void {
    if (repl.isMoving) throw new Violation(`a move of ${repl.name} has not ended`);
    checkHealed(repl.world);
  }
}
