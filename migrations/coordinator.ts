import { type Control, createControl } from "./control";
import { drive, type Journal, type Log } from "./drive";
import type { Outside } from "./effects";
import type { Pass } from "./gate";
import type { MigrationRow, Unpublished } from "./store";

/** Each is a loop that mostly waits; a drain may wait a minute. */
const MAX_RUNNING = 256;
/** Events that were not sent, sent again in one sweep. */
const MAX_REPUBLISH = 100;
/** Yielding makes room for others; see `drive`. */
const YIELD_MS = 5_000;
/** After a fault of our own, so that it is not repeated in a tight loop. */
const AFTER_FAULT_MS = 500;

export interface CoordinatorOptions {
  readonly journal: Journal;
  readonly outside: Outside;
  /** Names this process among those that share the database. */
  readonly leaseOwner: string;
  readonly log: Log;
  /** To be passed before the requests of a repl are held. */
  readonly freezeGate: () => Pass;
  random(): number;
  announce(migrationId: string): void;
}

export interface Coordinator {
  /** Look for work now: a migration was written. */
  kick(): void;
  /** The migration was aborted at the authority: if it runs here, turn round now. */
  abort(migrationId: string): void;
  /** Renews the leases, and looks for work that nobody does. Called on a timer. */
  tick(): Promise<void>;
  /**
   * Lets go of everything, so that another process can go on at once; of moves that hold requests when
   * these are let through, or after `deadlineMs`.
   */
  stop(deadlineMs: number): Promise<void>;
}

interface Running {
  readonly control: Control;
  readonly over: Promise<void>;
}

/** Claims open migrations and drives each to its end; any number of processes may do so. */
export function createCoordinator(options: CoordinatorOptions): Coordinator {
  const { journal, leaseOwner, log } = options;
  const running = new Map<string, Running>();
  let stopped = false;
  let sweeping: Promise<void> | undefined;
  let sweepAgain = false;

  const warn = (message: string) => (error: unknown) =>
    log.warn(message, { reason: String(error) });

  const run = async (row: MigrationRow, control: Control): Promise<void> => {
    let delayMs: number | undefined;
    try {
      const letGo = (await drive(row, { ...options, control }))?.letGo;
      if (letGo === "stopping") delayMs = 0;
      if (letGo === "yield") delayMs = YIELD_MS;
    } catch (error) {
      log.warn("cannot go on with a migration", { migrationId: row.id, reason: String(error) });
      delayMs = AFTER_FAULT_MS;
    } finally {
      running.delete(row.id);
    }
    // When this fails too, the lease runs out by itself.
    if (delayMs !== undefined) await journal.release(row.id, leaseOwner, delayMs).catch(ignore);
  };

  const claim = async (): Promise<void> => {
    const room = MAX_RUNNING - running.size;
    if (stopped || room <= 0) return;
    for (const row of await journal.claim(leaseOwner, room)) {
      // Claimed from ourselves, when this process was too busy to renew: its loop goes on.
      if (running.has(row.id)) continue;
      const control = createControl();
      if (stopped) control.raise("stopping");
      const over = Promise.resolve().then(() => run(row, control));
      running.set(row.id, { control, over });
    }
  };

  const sweep = (): Promise<void> => {
    sweepAgain = sweeping !== undefined;
    sweeping ??= claim()
      .catch(warn("cannot claim migrations"))
      .finally(() => {
        sweeping = undefined;
        if (sweepAgain) void sweep();
      });
    return sweeping;
  };

  const renew = async (): Promise<void> => {
    const mine = [...running];
    if (mine.length === 0) return;
    const held = new Map((await journal.renew(leaseOwner)).map((row) => [row.id, row]));
    for (const [id, { control }] of mine) {
      const lease = held.get(id);
      if (!lease && running.get(id)?.control === control) control.raise("lost");
      if (lease?.abortRequested) control.raise("abort");
    }
  };

  return {
    kick: () => void sweep(),
    abort: (migrationId) => running.get(migrationId)?.control.raise("abort"),
    tick: async () => {
      await renew().catch(warn("cannot renew the leases of migrations"));
      if (stopped) return;
      await sweep();
      await republish(options).catch(warn("cannot publish repl.moved again"));
    },
    stop: async (deadlineMs) => {
      stopped = true;
      await sweeping;
      for (const { control } of running.values()) control.raise("stopping");
      const all = Promise.all([...running.values()].map(({ over }) => over));
      await Promise.race([all, expiry(deadlineMs)]);
    },
  };
}

/** The row is the outbox: an event that is not known to have been sent is sent again. */
async function republish({ journal, outside }: CoordinatorOptions): Promise<void> {
  for (const moved of await journal.findUnpublished(MAX_REPUBLISH)) {
    await outside.publish(eventOf(moved));
    await journal.recordPublished(moved.id);
  }
}

function eventOf(moved: Unpublished): Parameters<Outside["publish"]>[0] {
  const { id: migrationId, seq, replId, from, to, generation, traceparent } = moved;
  return { seq, replId, migrationId, from, to, generation, traceparent };
}

function expiry(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms).unref());
}

function ignore(): void {
  return undefined;
}
