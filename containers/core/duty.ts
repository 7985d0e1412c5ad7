import { type ContainerState, isLive } from "./lifecycle";
import { isLeftOver, type RouteRow } from "./route";

/** What is known of a container when somebody looks after it. */
export interface Attended {
  readonly generation: number;
  readonly state: ContainerState;
  /** A newer generation has its place. */
  readonly isRetired: boolean;
  /** Whether its processes run, as the driver sees it. */
  readonly runs: boolean;
  /** It crashed, and its time to start again has come. */
  readonly isDue: boolean;
}

/**
 * `drain`: stop it when nothing is in flight. `stop`: nothing asks for it. `lost`: the row says that it
 * runs, but it does not. `restart`: it shall run again.
 */
export type Duty = "nothing" | "drain" | "stop" | "lost" | "restart";

/**
 * What has to be done about a container that nobody works on: the repair of whatever a crash of the
 * platform, or of the app, left undone.
 */
export function dutyOf(
  route: Pick<RouteRow, "state" | "generation" | "fence">,
  container: Attended,
): Duty {
  const { state, runs } = container;
  const isOfRoute = route.generation === container.generation;
  if (!isLive(state)) {
    return container.isDue && isOfRoute && route.state === "active" ? "restart" : "nothing";
  }
  if (container.isRetired) return runs ? "drain" : "lost";
  if (isLeftOver(route, container.generation)) return "stop";
  if (state === "stopping") return "stop";
  return runs ? "nothing" : "lost";
}
