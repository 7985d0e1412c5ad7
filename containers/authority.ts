import { clusters } from "~encore/clients";

import { outbound } from "../shared/outbound";
import type { ContainerRef } from "./drivers/driver";
import { learnControlKey } from "./trust";

/** Requests may be held while it is asked: shorter than the hold budget (design section 4). */
const ask = outbound("clusters", { timeoutMs: 2_000 });
/** One long poll: what was written and told nobody is found at its end. */
const TAIL_WAIT_MS = 5_000;
const askTail = outbound("clusters tail", { timeoutMs: TAIL_WAIT_MS + 10_000 });
export const TAIL_LIMIT = 500;

/** Where the authority says that a repl is. */
export interface Home {
  readonly replId: string;
  readonly name: string;
  readonly owner: string;
  readonly clusterId: string;
  readonly generation: number;
}

/** Null when the authority knows no such repl. Rejects when it cannot be asked. */
export async function homeOf(replId: string): Promise<Home | null> {
  const found = await ask(() => clusters.lookup({ replId }));
  return found.found ? found : null;
}

export async function isHome({ clusterId, replId, generation }: ContainerRef): Promise<boolean> {
  const home = await homeOf(replId);
  return home?.clusterId === clusterId && home.generation === generation;
}

/** What the authority has decided, having been asked to abort. */
export async function askForAbort(
  migrationId: string,
  traceparent: string,
): Promise<"committed" | "aborted"> {
  const decided = await ask(() =>
    clusters.decide({ migrationId, decision: "aborted", traceparent }),
  );
  return decided.status;
}

type FoundMigration = Awaited<ReturnType<typeof clusters.getDecision>>;

/** How a migration stands, and what it moves. */
export async function migrationOf(migrationId: string): Promise<FoundMigration> {
  return await ask(() => clusters.getDecision({ migrationId }));
}

type TailAnswer = Awaited<ReturnType<typeof clusters.tail>>;
export type LogEntry = TailAnswer["items"][number];

/** Entries after `after`; waits for one unless `isQuick`. */
export async function readLog(after: number, isQuick: boolean): Promise<readonly LogEntry[]> {
  const waitMs = isQuick ? 0 : TAIL_WAIT_MS;
  const answer = await askTail(() => clusters.tail({ after, waitMs, limit: TAIL_LIMIT }));
  await learnControlKey(answer.controlKey);
  return answer.items;
}
