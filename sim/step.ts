import { telling } from "./violation";
import type { Budget, World } from "./world";

/** Takes one thing that can happen, and the world after it. The story is told only when it is asked for. */
export type Visit = (story: () => string, after: World) => void;

/** Tries one thing; an invariant that it breaks is blamed on it. */
export function attempt(visit: Visit, story: () => string, work: () => World): void {
  visit(story, telling(story, work));
}

/** What the adversary has left after it did `what` once more. */
export function spend(world: World, what: keyof Budget): World {
  return { ...world, left: { ...world.left, [what]: world.left[what] - 1 } };
}
