import { Hasher, HashSet } from "./hash-set";
import { checkCompleted, checkHealed, heal, oneMoreMove } from "./heal";
import { checkWorld } from "./invariants";
import type { Rules } from "./rules";
import { steps } from "./steps";
import { telling, Violation } from "./violation";
import { digest, firstWorld, type Shape, type World } from "./world";

export interface Exploration {
  /** Distinct states that were found. */
  readonly states: number;
  /** Steps between them. */
  readonly steps: number;
  /** How far from the beginning the farthest state is. */
  readonly depth: number;
  /** Every state that can be reached was looked at. */
  readonly complete: boolean;
  /** What was broken, by the shortest way there; undefined when nothing was. */
  readonly counterexample: Counterexample | undefined;
}

export interface Counterexample {
  readonly broken: string;
  /** A sentence a step, from the beginning. */
  readonly story: readonly string[];
}

/**
 * Looks at every state that `shape` can come to, nearest first, until one breaks an invariant or
 * `maxStates` were found. From each it also looks whether all comes to a good end when nothing goes wrong
 * any more.
 */
export function explore(shape: Shape, rules: Rules, maxStates = Infinity): Exploration {
  return new Explorer(shape, rules, maxStates).run();
}

/** A healing that takes longer goes round. */
const MAX_HEALING = 500;

class Explorer {
  readonly #first: World;
  readonly #rules: Rules;
  readonly #maxStates: number;
  readonly #hasher = new Hasher();
  readonly #seen = new HashSet();
  /** States from which all comes to a good end. */
  readonly #healthy = new HashSet();
  readonly #ways = new Ways();
  #steps = 0;
  #depth = 0;

  constructor(shape: Shape, rules: Rules, maxStates: number) {
    this.#first = firstWorld(shape);
    this.#rules = rules;
    this.#maxStates = maxStates;
  }

  run(): Exploration {
    let level: readonly World[] = [this.#first];
    let levelStart = 0;
    this.#isNew(this.#first);
    this.#ways.add(-1, 0);
    while (level.length > 0 && !this.#isFull) {
      const following: World[] = [];
      for (let nth = 0; nth < level.length && !this.#isFull; nth++) {
        const world = level[nth] as World;
        try {
          this.#look(world, levelStart + nth, following);
        } catch (error) {
          if (!(error instanceof Violation)) throw error;
          return this.#result(false, this.#story(levelStart + nth, error));
        }
      }
      levelStart += level.length;
      level = following;
      if (level.length > 0) this.#depth++;
    }
    return this.#result(level.length === 0, undefined);
  }

  get #isFull(): boolean {
    return this.#ways.size >= this.#maxStates;
  }

  #result(complete: boolean, counterexample: Counterexample | undefined): Exploration {
    const states = this.#ways.size;
    return { states, steps: this.#steps, depth: this.#depth, complete, counterexample };
  }

  /** Checks a state, and finds those that can follow. */
  #look(world: World, index: number, following: World[]): void {
    checkWorld(world);
    this.#checkEnd(world);
    let ordinal = 0;
    steps(world, this.#rules, (_story, after) => {
      if (this.#isNew(after)) {
        this.#ways.add(index, ordinal);
        following.push(after);
      }
      ordinal++;
      this.#steps++;
    });
  }

  #hash(world: World): Hasher {
    this.#hasher.reset();
    digest(world, this.#hasher);
    return this.#hasher;
  }

  #isNew(world: World): boolean {
    return this.#seen.add(this.#hash(world));
  }

  /** A state that heals into one that comes to a good end comes to one itself. */
  #checkEnd(world: World): void {
    let state = world;
    const quiet = telling(
      () => "from here on nothing goes wrong any more",
      () => {
        for (let length = 0; length < MAX_HEALING; length++) {
          if (!this.#healthy.add(this.#hash(state))) return null;
          const after = heal(state, this.#rules);
          if (after === null) return checkHealed(state);
          state = after;
        }
        throw new Violation("it goes on for ever");
      },
    );
    if (quiet !== null) this.#checkOneMore(quiet);
  }

  #checkOneMore(quiet: World): void {
    telling(
      () => "from here on nothing goes wrong any more, and one more move is asked for",
      () => {
        let state = oneMoreMove(quiet);
        for (let length = 0; length < MAX_HEALING; length++) {
          const after = heal(state, this.#rules);
          if (after === null) return checkCompleted(checkHealed(state));
          state = after;
        }
        throw new Violation("a move goes on for ever");
      },
    );
  }

  /** The way to a state, told by going it again. */
  #story(index: number, { message, during }: Violation): Counterexample {
    const story: string[] = [];
    let world = this.#first;
    for (const ordinal of this.#ways.to(index)) {
      let nth = 0;
      let after = world;
      steps(world, this.#rules, (tell, next) => {
        if (nth++ !== ordinal) return;
        story.push(tell());
        after = next;
      });
      world = after;
    }
    return { broken: message, story: during === "" ? story : [...story, during] };
  }
}

/** How each state was found first: from which other, by which of its steps. */
class Ways {
  size = 0;
  #parents = new Int32Array(1 << 16);
  #ordinals = new Uint16Array(1 << 16);

  add(parent: number, ordinal: number): void {
    if (this.size === this.#parents.length) {
      const { size } = this;
      const [parents, ordinals] = [this.#parents, this.#ordinals];
      this.#parents = new Int32Array(size * 2);
      this.#parents.set(parents);
      this.#ordinals = new Uint16Array(size * 2);
      this.#ordinals.set(ordinals);
    }
    this.#parents[this.size] = parent;
    this.#ordinals[this.size] = ordinal;
    this.size++;
  }

  /** The steps that lead to a state, from the first one; empty for the first. */
  to(index: number): number[] {
    const ordinals: number[] = [];
    for (let at = index; at > 0; at = this.#parents[at] ?? 0) {
      ordinals.push(this.#ordinals[at] ?? 0);
    }
    return ordinals.reverse();
  }
}
