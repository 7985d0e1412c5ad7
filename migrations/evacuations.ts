/** Evacuations: everything shall move out of a cluster. */
import { randomUUID } from "node:crypto";

import { APIError, api } from "encore.dev/api";
import type { Max, MaxLen, Min } from "encore.dev/validate";

import { currentTraceparent } from "../shared/trace";
import { registry } from "./authority";
import {
  DEFAULT_CONCURRENT,
  DEFAULT_ERROR_BUDGET,
  DEFAULT_PER_MINUTE,
  etaMs,
  type EvacuationRequest,
  type EvacuationState,
  inOrder,
  MAX_FAILURES,
  MINUTE_MS,
  mayAsk,
  retryAtMs,
} from "./core/evacuation";
import type { Mode } from "./core/migration";
import { toResidents } from "./evacuator";
import { kickEvacuation } from "./kick";
import * as store from "./store-evacuations";
import { survey } from "./sweep";

interface StartEvacuationRequest {
  /** The cluster that everything moves out of. It is cordoned, and stays so. */
  clusterId: string & MaxLen<31>;
  /** Where to; the emptiest cluster for each repl when absent. */
  to?: string & MaxLen<31>;
  /** Moves at once; 8 when absent. A coordinator drives 256: there is room for those that people ask for. */
  maxConcurrent?: number & (Min<1> & Max<64>);
  /** Moves that may begin in any 60 s; 1200 when absent. */
  perMinute?: number & (Min<1> & Max<60000>);
  /** It stops when more than this part of the last 50 repls failed, in percent; 5 when absent. */
  errorBudget?: number & (Min<0> & Max<100>);
}

interface PlanRequest {
  clusterId: string & MaxLen<31>;
  to?: string & MaxLen<31>;
}

/** A repl that an evacuation would move. */
interface PlannedMove {
  replId: string;
  name: string;
  owner: string;
  /** As it would be moved now; null when its cluster does not tell what runs. */
  mode: Mode | null;
  /** Of its files. */
  bytes: number | null;
  to: string;
}

interface EvacuationPlan {
  clusterId: string;
  /** In the order of the moves. */
  items: PlannedMove[];
  /** Those that are being moved already. */
  moving: number;
  bytes: number;
}

/** A repl that an evacuation could not move so far. */
interface FailedMove {
  replId: string;
  name: string;
  owner: string;
  failures: number;
  /** Why the last move was rolled back. */
  reason: string;
  /** When the last one failed, ISO 8601. */
  at: string;
  /** When it is tried again; null when it is not. */
  retryAt: string | null;
}

/** Everything shall move out of a cluster. */
interface Evacuation {
  id: string;
  clusterId: string;
  /** Null: chosen for each repl. */
  to: string | null;
  state: EvacuationState;
  /** Why it stopped or ended as it did, or what it waits for. */
  reason: string | null;
  maxConcurrent: number;
  perMinute: number;
  errorBudget: number;
  /** Repls that were moved out. */
  moved: number;
  /** Migrations that are not finished. */
  underWay: number;
  /** Repls that lived there when it was looked last; null before the first look. */
  remaining: number | null;
  /** How long the rest takes by the pace of the last minute; null while there is none. */
  etaMs: number | null;
  /** Repls whose last move failed. */
  failed: FailedMove[];
  createdAt: string;
  finishedAt: string | null;
}

interface EvacuationId {
  id: string;
}

interface ListEvacuationsRequest {
  /** Only those of this cluster. */
  clusterId?: string;
  /** True: only those that have not ended. */
  open?: boolean;
}

interface EvacuationList {
  /** Newest first, at most 200. */
  items: Evacuation[];
}

/** Move everything out of a cluster. Answers at once. */
export const startEvacuation = api(
  { expose: true, auth: true, method: "POST", path: "/v1/evacuations" },
  async (request: StartEvacuationRequest): Promise<Evacuation> => {
    const { clusterId, to, maxConcurrent, perMinute, errorBudget } = request;
    await checkTarget(clusterId, to);
    const id = randomUUID();
    const created = await store.insert({
      id,
      clusterId,
      to: to ?? null,
      maxConcurrent: maxConcurrent ?? DEFAULT_CONCURRENT,
      perMinute: perMinute ?? DEFAULT_PER_MINUTE,
      errorBudget: errorBudget ?? DEFAULT_ERROR_BUDGET,
      traceparent: currentTraceparent(),
    });
    if (!created) {
      const [open] = await store.list({ clusterId, open: true });
      throw APIError.failedPrecondition(
        `Cannot evacuate cluster "${clusterId}": evacuation ${open?.id ?? "another"} is open`,
      );
    }
    await registry.cordon(clusterId);
    kickEvacuation();
    return find(id);
  },
);

/** What an evacuation would do, in which order. Changes nothing. */
export const planEvacuation = api(
  { expose: true, auth: true, method: "POST", path: "/v1/evacuations/plan" },
  async ({ clusterId, to }: PlanRequest): Promise<EvacuationPlan> => {
    await checkTarget(clusterId, to);
    const { items } = await registry.residents(clusterId);
    const names = new Map(items.map((item) => [item.replId, item]));
    const residents = toResidents(items, await survey(clusterId), { open: new Set() });
    const order = inOrder(residents.filter(({ isMoving }) => !isMoving));
    const replIds = order.map(({ replId }) => replId);
    const { chosen, reason } = await registry.chooseHomes({
      from: clusterId,
      to: to ?? null,
      replIds,
    });
    if (reason !== "") throw nowhere(clusterId, reason);
    const homes = new Map(chosen.map((home) => [home.replId, home.clusterId]));
    const planned = order.flatMap(({ replId, mode, bytes }): PlannedMove[] => {
      const { name = "", owner = "" } = names.get(replId) ?? {};
      const home = homes.get(replId);
      return home === undefined ? [] : [{ replId, name, owner, mode, bytes, to: home }];
    });
    return {
      clusterId,
      items: planned,
      moving: items.length - planned.length,
      bytes: planned.reduce((sum, { bytes }) => sum + (bytes ?? 0), 0),
    };
  },
);

/** List evacuations, newest first. */
export const listEvacuations = api(
  { expose: true, auth: true, method: "GET", path: "/v1/evacuations" },
  async ({ clusterId, open }: ListEvacuationsRequest): Promise<EvacuationList> => {
    const rows = await store.list({ clusterId, open });
    return { items: await Promise.all(rows.map(toView)) };
  },
);

/** Get one evacuation. */
export const getEvacuation = api(
  { expose: true, auth: true, method: "GET", path: "/v1/evacuations/:id" },
  async ({ id }: EvacuationId): Promise<Evacuation> => find(id),
);

/** Begin no more moves until it is resumed; those under way go on. */
export const pauseEvacuation = api(
  { expose: true, auth: true, method: "POST", path: "/v1/evacuations/:id/pause" },
  async ({ id }: EvacuationId): Promise<Evacuation> => ask(id, "pause"),
);

/** Go on with one that was paused or has stopped. What failed before is forgiven. */
export const resumeEvacuation = api(
  { expose: true, auth: true, method: "POST", path: "/v1/evacuations/:id/resume" },
  async ({ id }: EvacuationId): Promise<Evacuation> => ask(id, "resume"),
);

/** End it. Moves under way go on, and the cluster stays cordoned. */
export const cancelEvacuation = api(
  { expose: true, auth: true, method: "POST", path: "/v1/evacuations/:id/cancel" },
  async ({ id }: EvacuationId): Promise<Evacuation> => ask(id, "cancel"),
);

async function checkTarget(clusterId: string, to: string | undefined): Promise<void> {
  const { found } = await registry.residents(clusterId);
  if (!found) throw APIError.notFound(`No cluster "${clusterId}"`);
  if (to === clusterId) {
    throw APIError.invalidArgument(`Cannot evacuate cluster "${clusterId}" to itself`);
  }
  const { reason } = await registry.chooseHomes({ from: clusterId, to: to ?? null, replIds: [] });
  if (reason !== "") throw nowhere(clusterId, reason);
}

const nowhere = (clusterId: string, reason: string): APIError =>
  APIError.failedPrecondition(
    `Cannot evacuate cluster "${clusterId}": no cluster takes what moves out: ${reason}`,
  );

async function ask(id: string, asked: EvacuationRequest): Promise<Evacuation> {
  const { state, clusterId } = await find(id);
  const wanted = mayAsk(asked);
  if (state === wanted.to) return find(id);
  if (!(await store.setState(id, wanted.from, wanted.to))) {
    const now = await find(id);
    throw APIError.failedPrecondition(
      `Cannot ${asked} the evacuation of "${clusterId}": it is ${now.state}`,
    );
  }
  if (wanted.to === "running") kickEvacuation();
  return find(id);
}

async function find(id: string): Promise<Evacuation> {
  const isUuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(id);
  const [row] = isUuid ? await store.list({ id }) : [];
  if (!row) throw APIError.notFound(`No evacuation "${id}"`);
  return toView(row);
}

async function toView(row: store.ViewRow): Promise<Evacuation> {
  const { movedLately, resumedAt, createdAt, finishedAt, ...view } = row;
  const isOpen = finishedAt === null;
  const isRunning = row.state === "running";
  const paceMs = Math.min(MINUTE_MS, Date.now() - resumedAt.getTime());
  const remaining = row.remaining;
  const failed = await store.listFailed(row.id);
  return {
    ...view,
    etaMs: isRunning && remaining !== null ? etaMs(remaining, movedLately, paceMs) : null,
    failed: failed.map(({ lately, ...one }) => {
      return { ...one, retryAt: isOpen ? retryAtOf(lately, one.at) : null };
    }),
    createdAt: createdAt.toISOString(),
    finishedAt: finishedAt?.toISOString() ?? null,
  };
}

function retryAtOf(failures: number, at: string): string | null {
  if (failures >= MAX_FAILURES) return null;
  if (failures === 0) return at;
  return new Date(retryAtMs({ failures, lastAtMs: Date.parse(at) })).toISOString();
}
