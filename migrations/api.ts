import { randomUUID } from "node:crypto";

import { APIError, api } from "encore.dev/api";
import type { Max, MaxLen, Min } from "encore.dev/validate";

import { untilDrained } from "../shared/hosting";
import { currentTraceparent, withSpan } from "../shared/trace";
import { authority, type Located } from "./authority";
import { untilChanged } from "./changes";
import { isTerminal, type Migration, type Mode } from "./core/migration";
import { abort, kick } from "./kick";
import * as store from "./store";

interface StartMigrationRequest {
  replId: string & MaxLen<63>;
  /** The cluster to move to; or `undo`. */
  to?: string & MaxLen<31>;
  /** Move it back to the cluster that it came from. Fast while its files are kept there. */
  undo?: boolean;
  /** Chosen from what the repl does when absent. */
  mode?: Mode;
  /** Cut off requests that do not finish within 2 s of a freeze, instead of giving up. */
  cut?: boolean;
}

interface MigrationRequest {
  id: string;
}

interface WatchMigrationRequest {
  id: string;
  /** How many steps the caller has seen. */
  after?: number & Min<0>;
  waitMs?: number & (Min<0> & Max<30000>);
}

interface ListMigrationsRequest {
  /** Only those of this repl. */
  replId?: string;
  /** True: only those that are not finished. */
  open?: boolean;
}

interface MigrationList {
  /** Newest first, at most 200. */
  items: Migration[];
}

/** How long the answer to a start waits for the authority to open the migration or refuse it. */
const OPEN_WAIT_MS = 3_000;
/** What `watch` waits without being told. */
const WATCH_WAIT_MS = 20_000;

/** Move a repl to another cluster. Answers as soon as the move is under way. */
export const startMigration = api(
  { expose: true, auth: true, method: "POST", path: "/v1/migrations" },
  async ({ replId, to: wanted, undo, mode, cut }: StartMigrationRequest): Promise<Migration> => {
    const repl = await authority.lookup(replId);
    if (!repl) throw APIError.notFound(`Cannot move repl "${replId}": there is no such repl`);
    const to = await destinationOf(repl, wanted, undo ?? false);
    if (repl.clusterId === to) {
      throw APIError.failedPrecondition(
        `Cannot move repl "${replId}": it lives in "${to}" already`,
      );
    }
    const id = randomUUID();
    await withSpan("migration", { attributes: { id, replId, to } }, async () => {
      const created = await store.insert({
        id,
        replId,
        name: repl.name,
        owner: repl.owner,
        from: repl.clusterId,
        to,
        mode: mode ?? null,
        cut: cut ?? false,
        traceparent: currentTraceparent(),
      });
      if (!created) throw await alreadyMoving(replId);
    });
    kick();
    const migration = await waitFor(id, OPEN_WAIT_MS, ({ generation, phase }) => {
      return generation !== null || isTerminal(phase);
    });
    if (migration.phase === "rolled_back" && migration.generation === null) {
      throw APIError.failedPrecondition(migration.reason ?? `Cannot move repl "${replId}"`);
    }
    return migration;
  },
);

/** Get one migration. */
export const getMigration = api(
  { expose: true, auth: true, method: "GET", path: "/v1/migrations/:id" },
  async ({ id }: MigrationRequest): Promise<Migration> => find(id),
);

/** Get one migration once it has more than `after` steps, or is finished, or the time is over. */
export const watchMigration = api(
  { expose: true, auth: true, method: "GET", path: "/v1/migrations/:id/watch" },
  async ({ id, after, waitMs }: WatchMigrationRequest): Promise<Migration> =>
    waitFor(id, waitMs ?? WATCH_WAIT_MS, ({ steps, phase }) => {
      return steps.length > (after ?? 0) || isTerminal(phase);
    }),
);

/** List migrations, newest first. */
export const listMigrations = api(
  { expose: true, auth: true, method: "GET", path: "/v1/migrations" },
  async ({ replId, open }: ListMigrationsRequest): Promise<MigrationList> => {
    return { items: await store.list(replId ?? null, open ?? null) };
  },
);

/** Undo a migration that is not committed yet. */
export const abortMigration = api(
  { expose: true, auth: true, method: "POST", path: "/v1/migrations/:id/abort" },
  async ({ id }: MigrationRequest): Promise<Migration> => {
    const migration = await find(id);
    const { status } = await authority.decide({
      migrationId: id,
      decision: "aborted",
      notAfter: null,
      traceparent: currentTraceparent(),
    });
    if (status === "committed") {
      throw APIError.failedPrecondition(
        `Cannot abort migration ${id}: it is committed; move the repl back instead`,
      );
    }
    if (isTerminal(migration.phase)) return migration;
    await store.requestAbort(id);
    abort(id);
    return find(id);
  },
);

/** Stays pending until this service has drained, so that the process is not ended before. */
export const lifeline = api(
  { expose: false, method: "POST", path: "/v1/internal/migrations/lifeline" },
  async (): Promise<void> => untilDrained("migrations"),
);

async function find(id: string): Promise<Migration> {
  const isUuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(id);
  const migration = isUuid ? await store.find(id) : null;
  if (!migration) throw APIError.notFound(`No migration "${id}"`);
  return migration;
}

/** The migration as soon as it is `enough`, or as it is when the time is over. */
async function waitFor(
  id: string,
  waitMs: number,
  enough: (migration: Migration) => boolean,
): Promise<Migration> {
  const endsAt = performance.now() + waitMs;
  for (;;) {
    const changed = untilChanged(id, endsAt - performance.now());
    const migration = await find(id);
    if (enough(migration) || !(await changed.promise)) return migration;
  }
}

async function destinationOf(
  { replId, generation }: Located,
  to: string | undefined,
  undo: boolean,
): Promise<string> {
  if ((to !== undefined) === undo) {
    throw APIError.invalidArgument(`Cannot move repl "${replId}": give either "to" or "undo"`);
  }
  if (to !== undefined) return to;
  const from = await store.findOrigin(replId, generation);
  if (from !== null) return from;
  throw APIError.failedPrecondition(
    `Cannot move repl "${replId}" back: it was not moved to where it is`,
  );
}

async function alreadyMoving(replId: string): Promise<APIError> {
  const open = await store.findOpen(replId);
  return APIError.failedPrecondition(
    `Cannot move repl "${replId}": migration ${open?.id ?? "another"} is open`,
  );
}
