import { withSpan } from "../shared/trace";
import type { Registry, Residents } from "./authority";
import { type Resident, step } from "./core/evacuation";
import { chooseMode } from "./core/mode";
import type { Log } from "./drive";
import type * as store from "./store-evacuations";
import type { EvacuationRow, NewMove, Note, Progress } from "./store-evacuations";
import type { Survey, Surveyor } from "./survey";

/** A look at a cluster may take a fifth of the time. */
const REST_FACTOR = 4;
const MIN_REST_MS = 100;
/** Without a move that ends here: what others do, and what was to be tried again. */
const MAX_REST_MS = 2_000;

/** Where the progress of evacuations is kept. */
export type EvacuationJournal = Pick<
  typeof store,
  "begin" | "claim" | "note" | "progress" | "release"
>;

export interface EvacuatorOptions {
  readonly journal: EvacuationJournal;
  readonly registry: Registry;
  readonly survey: Surveyor;
  readonly leaseOwner: string;
  readonly log: Log;
  readonly newId: () => string;
  /** Milliseconds. */
  readonly now: () => number;
  /** Migrations were written. */
  readonly begun: () => void;
}

export interface Evacuator {
  /** Look now: an evacuation was started or resumed. */
  kick(): void;
  /** A migration has come further, which may be one of an evacuation. */
  moved(): void;
  /** Looks, unless it has just looked. Called on a timer. */
  tick(): Promise<void>;
  /** Lets go, so that another process can go on at once. */
  stop(): Promise<void>;
}

/** Carries on the evacuations that it has claimed; any number of processes may do so. */
export function createEvacuator(options: EvacuatorOptions): Evacuator {
  const { journal, leaseOwner, log, now } = options;
  let stopped = false;
  let looking: Promise<void> | undefined;
  let soon: NodeJS.Timeout | undefined;
  let hasWork = false;
  let earliestMs = Number.NEGATIVE_INFINITY;
  let latestMs = Number.NEGATIVE_INFINITY;

  const lookAtAll = async (): Promise<void> => {
    const rows = await journal.claim(leaseOwner);
    hasWork = rows.length > 0;
    for (const row of rows) {
      try {
        await look(row, options);
      } catch (error) {
        log.warn("cannot go on with an evacuation", {
          evacuationId: row.id,
          clusterId: row.clusterId,
          reason: String(error),
        });
      }
    }
  };

  const run = (): Promise<void> => {
    if (stopped) return Promise.resolve();
    const startedMs = now();
    looking ??= lookAtAll()
      .catch((error: unknown) => {
        log.warn("cannot claim evacuations", { reason: String(error) });
      })
      .finally(() => {
        looking = undefined;
        const restMs = Math.max(MIN_REST_MS, REST_FACTOR * (now() - startedMs));
        earliestMs = now() + Math.min(restMs, MAX_REST_MS);
        latestMs = now() + MAX_REST_MS;
      });
    return looking;
  };

  const kick = (): void => {
    if (stopped || soon) return;
    soon = setTimeout(
      () => {
        soon = undefined;
        // What is under way may have seen the world as it was before.
        if (looking) void looking.then(kick);
        else void run();
      },
      Math.max(0, earliestMs - now()),
    );
  };

  return {
    kick,
    moved: () => {
      if (hasWork) kick();
    },
    tick: async () => {
      if (now() >= latestMs) await run();
    },
    stop: async () => {
      stopped = true;
      clearTimeout(soon);
      await looking;
      await journal.release(leaseOwner).catch((error: unknown) => {
        log.warn("cannot release evacuations", { reason: String(error) });
      });
    },
  };
}

/**
 * One look at one cluster, and what follows from it. The own rows are read before the authority's: what
 * comes in or goes out in between is then seen twice, and never overlooked. Nothing is over that was not
 * seen empty after it was seen cordoned: until then something may come in.
 */
async function look(
  row: EvacuationRow,
  options: EvacuatorOptions,
  wasCordoned = false,
): Promise<void> {
  const { journal, registry, leaseOwner, log } = options;
  const progress = await journal.progress(row);
  const { state, items } = await registry.residents(row.clusterId);
  if (row.state !== "running") {
    return journal.note(row, leaseOwner, { ...row, remaining: items.length });
  }
  if (state === "active") {
    await registry.cordon(row.clusterId);
    log.info("a cluster is cordoned for its evacuation", { clusterId: row.clusterId });
    return look(row, options, true);
  }
  const residents = toResidents(items, await options.survey(row.clusterId), progress);
  const next = step({ limits: row, residents, ...progress });
  const seen: Note = { state: "running", reason: null, remaining: items.length };
  switch (next.kind) {
    case "begin": {
      const refused = await begin(row, next.replIds, items, options);
      return journal.note(row, leaseOwner, { ...seen, reason: refused });
    }
    case "wait":
      return journal.note(row, leaseOwner, { ...seen, reason: next.reason });
    case "stop":
      log.warn("an evacuation stops", { clusterId: row.clusterId, reason: next.reason });
      return journal.note(row, leaseOwner, { ...seen, state: "stopped", reason: next.reason });
    case "end":
      if (!wasCordoned) return look(row, options, true);
      log.info("an evacuation has ended", { clusterId: row.clusterId, state: next.state });
      return journal.note(row, leaseOwner, {
        ...seen,
        state: next.state,
        reason: next.reason === "" ? null : next.reason,
      });
  }
}

/** How each would be moved, as far as its cluster has told. */
export function toResidents(
  items: Residents["items"],
  survey: Survey,
  { open }: Pick<Progress, "open">,
): Resident[] {
  return items.map(({ replId, policy, isMoving }) => {
    const found = survey.get(replId);
    return {
      replId,
      mode: found ? chooseMode(null, policy, found) : null,
      bytes: found?.fileBytes ?? null,
      isMoving: isMoving || open.has(replId),
    };
  });
}

/** Begins moves; answers why it could not. */
async function begin(
  row: EvacuationRow,
  replIds: readonly string[],
  items: Residents["items"],
  { journal, registry, leaseOwner, log, newId, begun }: EvacuatorOptions,
): Promise<string | null> {
  const { chosen, reason } = await registry.chooseHomes({
    from: row.clusterId,
    to: row.to,
    replIds,
  });
  if (reason !== "") return `no cluster takes what moves out: ${reason}`;
  const names = new Map(items.map((item) => [item.replId, item]));
  const moves = await Promise.all(
    chosen.map(({ replId, clusterId: to }): Promise<NewMove> => {
      const { name = "", owner = "" } = names.get(replId) ?? {};
      const attributes = { evacuationId: row.id, replId, to };
      return withSpan("migration", { parent: row.traceparent, attributes }, async (traceparent) => {
        return { id: newId(), replId, name, owner, to, traceparent };
      });
    }),
  );
  const count = await journal.begin(row, leaseOwner, moves);
  if (count > 0) {
    log.info("an evacuation begins moves", { clusterId: row.clusterId, count });
    begun();
  }
  return null;
}
