/**
 * The life of a container, one running incarnation of a repl in a cluster.
 *
 *     starting ──ready──▶ running ──stop──▶ stopping ──ended──▶ stopped
 *        │  └────stop───────┼──────────────────▲ │                │
 *        └──ended──▶ failed ◀──ended─────────────┘─ ─ ─ start ◀───┘
 */
export type ContainerState = "starting" | "running" | "stopping" | "stopped" | "failed";

/** `ended`: its processes are gone, for whatever reason. */
export type ContainerEvent = "start" | "ready" | "stop" | "ended";

const STEPS: Readonly<
  Record<ContainerState, Readonly<Partial<Record<ContainerEvent, ContainerState>>>>
> = {
  starting: { ready: "running", stop: "stopping", ended: "failed" },
  running: { stop: "stopping", ended: "failed" },
  stopping: { ended: "stopped" },
  stopped: { start: "starting" },
  failed: { start: "starting" },
};

/** The state that `event` leads to, or undefined where it has no meaning. */
export function nextState(
  state: ContainerState,
  event: ContainerEvent,
): ContainerState | undefined {
  return STEPS[state][event];
}

/** Whether processes of it may exist, so that its port and its folder are taken. */
export function isLive(state: ContainerState): boolean {
  return state === "starting" || state === "running" || state === "stopping";
}
