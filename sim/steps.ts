import { clusterSteps } from "./cluster-steps";
import { moveSteps } from "./move-steps";
import type { Rules } from "./rules";
import type { Visit } from "./step";
import type { World } from "./world";

/** Everything that can happen next, in an order that is always the same. */
export function steps(world: World, rules: Rules, visit: Visit): void {
  for (let index = 0; index < world.moves.length; index++) moveSteps(world, index, rules, visit);
  for (let index = 0; index < world.clusters.length; index++) {
    clusterSteps(world, index, rules, visit);
  }
}
