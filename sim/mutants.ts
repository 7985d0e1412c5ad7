import type { RouteCommand, RouteRow } from "../containers/core/route";
import type { Effect, State } from "../migrations/core/migration";
import { PRODUCTION, type Rules } from "./rules";

/** The production rules with one of them left out, and what that should lead to. */
export interface Mutant {
  /** What it does that it must not. */
  readonly rule: string;
  readonly rules: Rules;
  /** What it breaks. */
  readonly broken: RegExp;
  /** It shows itself to a visitor only, or to an owner. */
  readonly needs?: "request" | "deploy";
  /** A few hundred seeds of the simulation find it too. */
  readonly inStorm?: boolean;
}

type DecideRoute = Rules["decideRoute"];

/** Shows the row to one kind of command as something else than it is. */
function misled(
  kinds: readonly RouteCommand["kind"][],
  change: (row: RouteRow, command: RouteCommand) => RouteRow,
): DecideRoute {
  return (row, command) => {
    if (!kinds.includes(command.kind)) return PRODUCTION.decideRoute(row, command);
    const decision = PRODUCTION.decideRoute(change(row, command), command);
    const { generation, fence } = decision.row;
    const kept = {
      generation: Math.max(generation, row.generation),
      fence: Math.max(fence, row.fence),
    };
    return { ...decision, row: { ...decision.row, ...kept } };
  };
}

const generationOf = (command: RouteCommand): number =>
  "generation" in command ? command.generation : 0;

/** Keeps what the row had, whatever the decision says. */
function keeps(
  kind: RouteCommand["kind"],
  change: (before: RouteRow) => Partial<RouteRow>,
): DecideRoute {
  return (row, command) => {
    const decision = PRODUCTION.decideRoute(row, command);
    if (command.kind !== kind) return decision;
    return { ...decision, row: { ...decision.row, ...change(row) } };
  };
}

const SWAPPED: Partial<Record<Effect, Effect>> = {
  unstage_destination: "thaw_source",
  thaw_source: "unstage_destination",
};

const swap = (state: State): State => {
  const effect = state.effect && SWAPPED[state.effect];
  return state.phase === "aborting" && effect ? { ...state, effect } : state;
};

export const MUTANTS: readonly Mutant[] = [
  {
    rule: "an event is applied whatever its generation",
    inStorm: true,
    broken: /which never heard of generation 2/,
    rules: {
      ...PRODUCTION,
      decideRoute: misled(["tombstone"], (row, command) =>
        row.state === "active" ? { ...row, generation: generationOf(command) - 1 } : row,
      ),
    },
  },
  {
    rule: "a freeze does not look at the fence",
    inStorm: true,
    broken: /stays frozen for ever/,
    rules: {
      ...PRODUCTION,
      decideRoute: misled(["freeze"], (row) => ({ ...row, fence: 0 })),
    },
  },
  {
    rule: "a thaw does not look at who froze",
    broken: /two containers may write/,
    rules: {
      ...PRODUCTION,
      decideRoute: misled(["thaw"], (row, command) =>
        row.state === "frozen" ? { ...row, frozenBy: generationOf(command) } : row,
      ),
    },
  },
  {
    rule: "the source is thawed before the destination is fenced",
    inStorm: true,
    broken: /two containers may write/,
    rules: {
      ...PRODUCTION,
      next: (state, event) => {
        const after = PRODUCTION.next(swap(state), event === "lease_over" ? "done" : event);
        return after && swap(after);
      },
    },
  },
  {
    rule: "a container stops before the proxies have acknowledged",
    inStorm: true,
    broken: /a request in flight .* is cut off/,
    needs: "request",
    rules: { ...PRODUCTION, stopNeedsAcks: false },
  },
  {
    rule: "a freeze is over before its container has stopped",
    inStorm: true,
    broken: /two containers may write/,
    rules: { ...PRODUCTION, freezeWaitsForStop: false },
  },
  {
    rule: "a commit does not compare before it sets",
    inStorm: true,
    broken: /which has closed it/,
    rules: {
      ...PRODUCTION,
      decideMigration: (status, command) =>
        PRODUCTION.decideMigration(
          status === "aborted" && command.decision === "committed" ? "open" : status,
          command,
        ),
    },
  },
  {
    rule: "a commit does not look at the boot lease",
    broken: /which has closed it/,
    rules: {
      ...PRODUCTION,
      decideMigration: (status, command) =>
        PRODUCTION.decideMigration(status, { ...command, expired: false }),
    },
  },
  {
    rule: "a generation is used again when its move was aborted",
    broken: /it can never be moved/,
    rules: {
      ...PRODUCTION,
      open: (placement, request) => {
        const nextGeneration = placement.generation + 1;
        return PRODUCTION.open({ ...placement, nextGeneration }, request);
      },
    },
  },
  {
    rule: "a boot does not look at the fence",
    broken: /which has closed it/,
    rules: {
      ...PRODUCTION,
      mayBoot: (row, generation) => row.state === "staged" && row.generation === generation,
    },
  },
  {
    rule: "a stage does not look at the generation",
    inStorm: true,
    broken: /is not fenced from a move that is over/,
    rules: {
      ...PRODUCTION,
      decideRoute: misled(["stage"], (row) =>
        row.state === "tombstone" || row.state === "none"
          ? { ...row, fence: 0, generation: 0 }
          : row,
      ),
    },
  },
  {
    rule: "an abort leaves no fence at the destination",
    inStorm: true,
    broken: /is not fenced from a move that is over/,
    rules: { ...PRODUCTION, decideRoute: keeps("unstage", ({ fence }) => ({ fence })) },
  },
  {
    rule: "a boot lease ends without a fence",
    broken: /two containers may write/,
    rules: { ...PRODUCTION, decideRoute: keeps("lease_ended", ({ fence }) => ({ fence })) },
  },
  {
    rule: "an abort does not wait until the boot lease has ended",
    broken: /two containers may write/,
    rules: { ...PRODUCTION, abortWaitsLease: false },
  },
  {
    rule: "a boot does not ask whether its move is open",
    broken: /two containers may write/,
    rules: { ...PRODUCTION, bootAsks: false },
  },
  {
    rule: "an overlap commits whatever was deployed since its copy",
    needs: "deploy",
    inStorm: true,
    broken: /lack what was acknowledged/,
    rules: { ...PRODUCTION, sealComparesReleases: false },
  },
  {
    rule: "a release comes in after the seal",
    needs: "deploy",
    broken: /lack/,
    rules: {
      ...PRODUCTION,
      mayDeploy: (row, generation) => PRODUCTION.mayDeploy({ ...row, sealedBy: null }, generation),
    },
  },
];
