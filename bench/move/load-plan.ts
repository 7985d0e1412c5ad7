/** What is moved where, and what is killed meanwhile. Pure: the same seed, the same plan. */

export const APPS = ["overlap", "handoff", "asleep"] as const;
export type App = (typeof APPS)[number];

export type Victim = "control" | "destination" | "source";

export interface Crash {
  readonly victim: Victim;
  /** Seen in this phase, or in a later one where it was too short to be seen. */
  readonly phase: string;
}

export interface Step {
  readonly app: App;
  readonly from: string;
  readonly to: string;
  readonly crash: Crash | undefined;
}

/** All phases, in the order of every mode. */
export const PHASES =
  "requested reserving preparing copying freezing delta booting verifying switching draining cleaning completed".split(
    " ",
  );
const LEFT_OUT: Readonly<Record<App, readonly string[]>> = {
  overlap: ["freezing", "delta"],
  handoff: ["draining"],
  asleep: ["booting", "draining"],
};
const COMMITTED = "switching";

/** Numbers from 0 to 1, the same for the same seed (mulberry32). */
export function randomOf(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/**
 * One round, A→B→A→C→A, each app on its own. Pinned visitors stay with A, so a cluster is killed
 * only where nobody goes on purpose: B or C as the destination of the first app that comes, before its commit, or
 * as the source that the last app has just left. The control plane is killed in any phase of those between.
 */
export function planRound(
  round: number,
  clusters: readonly [a: string, b: string, c: string],
  random: () => number,
  hasCrashes: boolean,
): Step[] {
  const [a, b, c] = clusters;
  const order = APPS.map((_, at) => APPS[(at + round) % APPS.length] as App);
  return [b, c].flatMap((other) => [
    ...order.map((app, at) => {
      const victim = at === 0 ? "destination" : "control";
      const crash = hasCrashes && at < 2 ? crashOf(app, victim, random) : undefined;
      return { app, from: a, to: other, crash };
    }),
    ...order.map((app, at) => {
      const victim = at === 2 ? "source" : "control";
      const crash = hasCrashes && at > 0 ? crashOf(app, victim, random) : undefined;
      return { app, from: other, to: a, crash };
    }),
  ]);
}

function crashOf(app: App, victim: Victim, random: () => number): Crash {
  const phases = PHASES.slice(1, -1).filter((phase) => !LEFT_OUT[app].includes(phase));
  const commit = phases.indexOf(COMMITTED);
  const possible = {
    control: phases,
    destination: phases.slice(0, commit),
    source: phases.slice(commit),
  }[victim];
  return { victim, phase: possible[Math.floor(random() * possible.length)] ?? "" };
}
