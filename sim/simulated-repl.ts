import { bootLeaseMs } from "../migrations/core/limits";
import type { Effect } from "../migrations/core/migration";
import { decide as routeRequest } from "../proxy/core/route";
import { answerRequest, applyLog, deployRelease, stopFrozen, stopRetired } from "./cluster-steps";
import type { Clock } from "./clock";
import { type Answer, type Movable, SimulatedCoordinator } from "./coordinator";
import {
  allowBoot,
  boot,
  changeRoute,
  decide,
  deliver,
  type Delivered,
  settleStaged,
  stopContainer,
} from "./deliver";
import { checkWorld } from "./invariants";
import type { Random } from "./random";
import { visitorsRoute } from "./requests";
import type { Rules } from "./rules";
import { CONTROL, type Weather } from "./weather";
import {
  at,
  type Cluster,
  clusterIndex,
  clusterName,
  firstWorld,
  isQuiet,
  isSameRow,
  NO_BUDGET,
  NO_FILES,
  runs,
  withCluster,
  withMove,
  type World,
} from "./world";

/** As in the settings of `containers`. */
const FREEZE_DEADLINE_MS = 5_000;
const IN_FLIGHT_MS = 2_000;
const DRAIN_WAIT_MS = 5_000;
/** So often a cluster looks after its containers. */
export const SWEEP_MS = 250;
const ASK_AGAIN_MS = 1_000;
const ASK_STAGED_MS = 10_000;
/** A lost notification of the log costs no more than this. */
const TAIL_MS = 1_000;
const HEAR_MS = 3;
const POLL_MS = 20;

/** What everything of one simulation shares. */
export interface Surroundings {
  readonly clock: Clock;
  readonly random: Random;
  readonly weather: Weather;
  readonly rules: Rules;
  readonly clusters: number;
}

/** Moves of one repl until its world is full. */
export const MOVES = 8;

/** One repl in several clusters: its world, and who acts on it. */
export class Simulated implements Movable {
  world: World;
  readonly clock: Clock;
  readonly random: Random;
  readonly weather: Weather;
  readonly rules: Rules;
  readonly name: string;
  /** What was changed last, for whoever looks for a fault. */
  readonly journal: string[] = [];
  #coordinator: SimulatedCoordinator | undefined;
  #moves = 0;
  #completed = 0;
  readonly #leases: number[];
  /** When each cluster asks next how the move of its staged generation was decided. */
  readonly #asksAt = new Map<string, number>();

  constructor(name: string, hasFiles: boolean, surroundings: Surroundings) {
    const { clock, random, weather, rules, clusters } = surroundings;
    this.clock = clock;
    this.random = random;
    this.weather = weather;
    this.rules = rules;
    this.name = name;
    this.world = firstWorld({ clusters, moves: MOVES, hasFiles, budget: NO_BUDGET });
    this.#leases = Array.from({ length: clusters }, () => 0);
  }

  get completed(): number {
    return this.#completed;
  }

  get isMoving(): boolean {
    return this.#coordinator !== undefined && !this.#coordinator.isOver;
  }

  /** Everything goes through here: what changed is told to whom it concerns, and checked. */
  change(work: (world: World) => World, story = ""): void {
    const before = this.world;
    this.world = work(before);
    if (this.world === before) return;
    if (story !== "") this.#note(story);
    checkWorld(this.world);
    this.world.clusters.forEach((cluster, index) => {
      const { row } = at(before.clusters, index);
      if (row !== cluster.row && !isSameRow(row, cluster.row)) this.#rowChanged(index, cluster);
    });
    if (this.world.log.length !== before.log.length) this.#logGrew();
  }

  #note(story: string): void {
    this.journal.push(`${(this.clock.now / 1000).toFixed(3)} ${this.name}: ${story}`);
    if (this.journal.length > 200) this.journal.shift();
  }

  #rowChanged(index: number, { row }: Cluster): void {
    this.#note(`${clusterName(index)} is ${row.state} at ${row.generation}, fence ${row.fence}`);
    this.clock.in(this.random.delay(HEAR_MS), () => this.#hear(index));
    if (row.state === "frozen") this.clock.in(FREEZE_DEADLINE_MS, () => this.#freezeEnded(index));
  }

  #hear(index: number): void {
    if (this.weather.isDown(index)) return;
    this.change((world) => {
      const { row, seen } = at(world.clusters, index);
      return seen === row ? world : withCluster(world, index, { seen: row });
    });
  }

  /** A frozen source never thaws by itself: it asks for the abort, again and again. */
  #freezeEnded(index: number): void {
    const { row } = at(this.world.clusters, index);
    if (row.state !== "frozen") return;
    const move = this.world.moves.findIndex(({ generation }) => generation === row.frozenBy);
    this.weather.send(index, CONTROL, () =>
      this.change(
        (world) => decide(world, move, "aborted", this.rules).world,
        `${clusterName(index)} asks for an abort`,
      ),
    );
    this.clock.in(ASK_AGAIN_MS, () => this.#freezeEnded(index));
  }

  #logGrew(): void {
    this.world.clusters.forEach((_, index) => this.#tail(index));
  }

  #tail(index: number): void {
    const entries = this.world.log.length;
    let hasArrived = false;
    this.weather.send(CONTROL, index, () => {
      hasArrived = true;
      this.readLog(index, entries);
    });
    this.clock.in(TAIL_MS, () => {
      if (!hasArrived && this.world.log.length === entries) this.#tail(index);
    });
  }

  /** Applies the log up to an entry; a restart may have forgotten how far it was. */
  readLog(index: number, entries: number): void {
    for (const entry of this.world.log.slice(0, entries)) {
      this.change((world) => applyLog(world, index, entry, this.rules));
    }
  }

  startMove(): void {
    if (this.isMoving || this.#moves === MOVES) return;
    const index = this.#moves++;
    const home = clusterIndex(this.world.placement.clusterId);
    const others = this.world.clusters.length - 1;
    const to = (home + 1 + this.random.below(others)) % this.world.clusters.length;
    const coordinator = new SimulatedCoordinator(this, index);
    this.#coordinator = coordinator;
    this.change(
      (world) => withMove(world, index, { to }),
      `move ${index + 1} to ${clusterName(to)}`,
    );
    coordinator.go();
  }

  moveEnded(): void {
    const { state } = at(this.world.moves, this.#moves - 1);
    this.#note(`move ${this.#moves} has ended: ${state.phase}`);
    if (state.phase === "completed") this.#completed++;
  }

  crashCoordinator(): void {
    this.#note("the coordinator ends");
    this.#coordinator?.crash();
  }

  abortByOwner(): void {
    if (this.isMoving) this.#coordinator?.abort();
  }

  /** A command arrives. */
  receive(index: number, effect: Effect, notAfter: number, answer: Answer): void {
    switch (effect) {
      case "freeze_source":
        this.#freeze(index, answer, this.clock.now + IN_FLIGHT_MS);
        return;
      case "drain_source":
        this.#drain(index, answer, this.clock.now + DRAIN_WAIT_MS);
        return;
      case "copy_files":
      case "copy_delta":
        // A slow disk.
        this.clock.in(this.random.delay(60), () => this.#carryOut(index, effect, answer));
        return;
      case "boot_destination":
        this.#boot(index, answer);
        return;
      case "commit_placement": {
        const verified = this.clock.now <= notAfter;
        this.change((world) => withMove(world, index, { verified }));
        this.#carryOut(index, effect, answer);
        return;
      }
      default:
        this.#carryOut(index, effect, answer);
    }
  }

  #deliver(index: number, effect: Effect): Delivered["event"] {
    const { world, event } = deliver(this.world, index, effect, this.rules);
    this.change(() => world, `${effect} of move ${index + 1}`);
    return event;
  }

  #carryOut(index: number, effect: Effect, answer: Answer): void {
    const event = this.#deliver(index, effect);
    answer(event);
  }

  /** The destination asks first, and is slow then: its lease counts from before it asked. */
  #boot(index: number, answer: Answer): void {
    const move = at(this.world.moves, index);
    const { to, generation, state } = move;
    this.change((world) => allowBoot(world, move, this.rules));
    if (at(this.world.clusters, to).booting === generation) {
      this.#leases[to] = this.weather.clockOf(to) + bootLeaseMs(state.mode);
    }
    this.clock.in(this.random.delay(60), () => {
      const { world, event } = boot(this.world, move, this.rules);
      this.change(() => world, `boot_destination of move ${index + 1}`);
      answer(event);
    });
  }

  leaseLeft(index: number): number {
    const { to } = at(this.world.moves, index);
    return (this.#leases[to] ?? 0) - this.weather.clockOf(to);
  }

  #freeze(index: number, answer: Answer, until: number): void {
    const { from, generation } = at(this.world.moves, index);
    const stop = stopFrozen(this.world, from, this.rules);
    const { row } = at(this.world.clusters, from);
    if (stop && row.frozenBy === generation) this.change(stop, "the frozen container stops");
    const event = this.#deliver(index, "freeze_source");
    if (event !== "again") {
      answer(event);
    } else if (this.clock.now < until) {
      this.clock.in(POLL_MS, () => this.#freeze(index, answer, until));
    } else {
      this.change(
        (world) => changeRoute(world, from, { kind: "unfreeze", generation }, this.rules).world,
        "busy: the freeze is undone",
      );
      answer("busy");
    }
  }

  #drain(index: number, answer: Answer, until: number): void {
    const { event } = deliver(this.world, index, "drain_source", this.rules);
    if (event === "done" || this.clock.now >= until) answer(event);
    else this.clock.in(POLL_MS, () => this.#drain(index, answer, until));
  }

  /** What a cluster looks after, again and again. */
  sweep(index: number): void {
    if (this.weather.isDown(index)) return;
    const drained = stopRetired(this.world, index, this.rules);
    if (drained) this.change(drained, `${clusterName(index)} stops what it has replaced`);
    const { row, leased, seen } = at(this.world.clusters, index);
    if (seen === null || !isSameRow(seen, row)) this.#hear(index);
    if (row.state === "staged") this.#settleInTime(index, row.generation);
    if (!leased || row.state !== "staged") return;
    if (this.weather.clockOf(index) <= (this.#leases[index] ?? 0)) return;
    const { generation } = row;
    this.change(
      (world) => changeRoute(world, index, { kind: "lease_ended", generation }, this.rules).world,
      `the boot lease in ${clusterName(index)} ends`,
    );
  }

  #settleInTime(index: number, generation: number): void {
    const staged = `${index}/${generation}`;
    const asksAt = this.#asksAt.get(staged);
    if (asksAt !== undefined && this.clock.now < asksAt) return;
    this.#asksAt.set(staged, this.clock.now + ASK_STAGED_MS);
    if (asksAt !== undefined) this.#settle(index);
  }

  /** It asks the authority how the move was decided that it is staged for. */
  #settle(index: number): void {
    this.weather.send(index, CONTROL, () => {
      this.weather.send(CONTROL, index, () =>
        this.change(
          (world) => settleStaged(world, index, this.rules),
          `${clusterName(index)} has asked how its move was decided`,
        ),
      );
    });
  }

  /** Its owner deploys a release, where the authority says that it lives. */
  deploy(): void {
    const home = clusterIndex(this.world.placement.clusterId);
    this.weather.send(CONTROL, home, () => {
      const deployed = deployRelease(this.world, home, this.rules);
      if (deployed) this.change(deployed, `a release is deployed in ${clusterName(home)}`);
    });
  }

  /** A visitor comes to a cluster, and is served, or wakes the app. */
  request(index: number): void {
    const cluster = at(this.world.clusters, index);
    const route = visitorsRoute(cluster);
    if (this.weather.isDown(index) || cluster.inFlight !== 0 || route === undefined) return;
    const { action } = routeRequest(route, 0, 0);
    if (action === "wake") this.#wake(index);
    if (action !== "serve") return;
    this.change((world) => withCluster(world, index, { inFlight: route.generation }));
    this.clock.in(this.random.delay(40), () => this.#answerRequest(index, route.generation));
  }

  #answerRequest(index: number, generation: number): void {
    if (at(this.world.clusters, index).inFlight !== generation) return;
    this.change((world) => answerRequest(world, index));
  }

  #wake(index: number): void {
    this.clock.in(this.random.delay(50), () =>
      this.change((world) => {
        const { row, running, files } = at(world.clusters, index);
        const mayRun = row.state === "active" && files[row.generation] !== NO_FILES;
        if (!mayRun || this.weather.isDown(index)) return world;
        const woken = running | (1 << row.generation);
        return woken === running
          ? world
          : withCluster(world, index, { running: woken, stoppedForMove: 0 });
      }),
    );
  }

  /** Nobody uses it. */
  nap(): void {
    const home = clusterIndex(this.world.placement.clusterId);
    const cluster = at(this.world.clusters, home);
    const { row } = cluster;
    const isUnused = row.state === "active" && runs(cluster, row.generation);
    if (!isUnused || !isQuiet(cluster, row.generation)) return;
    this.change((world) => stopContainer(world, home, row.generation), "nobody uses it: it sleeps");
  }

  /** A host ends with all that runs there. */
  hostFailed(index: number): void {
    this.change((world) =>
      withCluster(world, index, { seen: null, inFlight: 0, running: 0, booting: 0 }),
    );
    // It reads the log from where it was, or from the beginning.
    this.clock.in(this.weather.untilUp(index) + this.random.delay(100), () =>
      this.readLog(index, this.world.log.length),
    );
  }

  proxyEnded(index: number): void {
    this.change((world) => withCluster(world, index, { seen: null, inFlight: 0 }));
  }
}
