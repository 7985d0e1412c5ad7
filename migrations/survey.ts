import type { Surveyed, SurveyPage } from "./cluster-client";

/** What runs and what it weighs changes slowly, and only the order of the moves depends on it. */
const FRESH_MS = 30_000;
/** The order is not worth a longer wait: a source that is slow shall be left all the more. */
const PATIENCE_MS = 2_000;
/** Read within seconds, folder by folder. */
const PAGE = 200;

export interface SurveyorOptions {
  readonly ask: (page: SurveyPage) => Promise<{ readonly items: readonly Surveyed[] }>;
  /** Milliseconds. */
  readonly now: () => number;
  readonly warn: (clusterId: string, error: unknown) => void;
}

export type Survey = ReadonlyMap<string, Surveyed>;

/** Answers what is known of a cluster's repls; nothing of those that it has not told of in time. */
export type Surveyor = (clusterId: string) => Promise<Survey>;

interface Known {
  found: Map<string, Surveyed>;
  startedAt: number;
  running: Promise<void> | undefined;
}

export function createSurveyor({ ask, now, warn }: SurveyorOptions): Surveyor {
  const known = new Map<string, Known>();

  const read = async (clusterId: string, into: Map<string, Surveyed>): Promise<void> => {
    for (let after = ""; ;) {
      const { items } = await ask({ clusterId, after, limit: PAGE });
      for (const item of items) into.set(item.replId, item);
      const last = items.at(-1);
      if (!last) return;
      after = last.replId;
    }
  };

  /** The first survey fills what is answered page by page; a later one replaces it when it is whole. */
  const refresh = async (clusterId: string, entry: Known): Promise<void> => {
    const found = entry.found.size === 0 ? entry.found : new Map<string, Surveyed>();
    try {
      await read(clusterId, found);
      entry.found = found;
    } catch (error) {
      warn(clusterId, error);
    } finally {
      entry.running = undefined;
    }
  };

  return async (clusterId) => {
    const entry = known.get(clusterId) ?? {
      found: new Map<string, Surveyed>(),
      startedAt: Number.NEGATIVE_INFINITY,
      running: undefined,
    };
    known.set(clusterId, entry);
    const isFirst = entry.startedAt === Number.NEGATIVE_INFINITY;
    if (!entry.running && now() - entry.startedAt >= FRESH_MS) {
      entry.startedAt = now();
      entry.running = refresh(clusterId, entry);
    }
    if (isFirst && entry.running) await Promise.race([entry.running, expiry(PATIENCE_MS)]);
    return entry.found;
  };
}

function expiry(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms).unref());
}
