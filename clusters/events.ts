/** Events that no try can handle, of all services and clusters (docs/decisions/0012). */
import { APIError, api } from "encore.dev/api";
import type { MaxLen } from "encore.dev/validate";
import { containers, dns } from "~encore/clients";

import { outbound } from "../shared/outbound";
import { commandsOf, everywhere, type Unreachable } from "./homes";

const TIMEOUT_MS = 5_000;
/** Named beside clusters that do not answer. */
const NAMES = "dns";

/** An event that a subscription could not handle, and what it said. */
export interface DeadEvent {
  /** The same for the same event of the same subscription. */
  id: string;
  subscription: string;
  /** JSON; "" when it was too long to be kept. */
  payload: string;
  error: string;
  /** How often it has come. */
  times: number;
  /** ISO 8601. */
  firstAt: string;
  lastAt: string;
  /** The clusters that have it; empty: the name servers. Clusters of one deployment share theirs. */
  clusterIds: string[];
}

interface DeadEventList {
  /** Newest first. */
  items: DeadEvent[];
  /** So many at least were dropped, the oldest first, since there were too many. */
  dropped: number;
  /** Who did not answer, and why. */
  unreachable: Unreachable[];
}

interface ReplayRequest {
  id: string & MaxLen<64>;
}

interface ReplayResponse {
  id: string;
  /** `dead`: it still cannot be handled, and is kept. */
  outcome: "handled" | "dead";
  /** Why; "" when it was handled. */
  error: string;
  unreachable: Unreachable[];
}

const askNames = outbound("dns", { timeoutMs: TIMEOUT_MS });

type OfCluster = Parameters<typeof containers.listDeadEvents>[0];
type Replay = Parameters<typeof containers.replayDeadEvent>[0];
type Answer = Awaited<ReturnType<typeof containers.replayDeadEvent>>;

/** What the name servers answer, or that they did not. */
async function fromNames<T>(ask: () => Promise<T>): Promise<T | Unreachable> {
  try {
    return await askNames(ask);
  } catch (error) {
    return { clusterId: NAMES, reason: (error as Error).message };
  }
}

/** List the events that could not be handled, of all clusters and of the name servers. */
export const listDeadEvents = api(
  { expose: true, auth: true, method: "GET", path: "/v1/events/dead" },
  async (): Promise<DeadEventList> => {
    const [names, { items: lists, unreachable }] = await Promise.all([
      fromNames(() => dns.listDeadEvents()),
      everywhere(async (clusterId) => {
        const send = commandsOf(clusterId, TIMEOUT_MS);
        const list = send("listDeadEvents", (of: OfCluster) => containers.listDeadEvents(of));
        return [{ clusterId, ...(await list({ clusterId })) }];
      }),
    ]);
    const found = new Map<string, DeadEvent>();
    for (const { clusterId, items } of lists) {
      for (const event of items) {
        const { clusterIds = [] } = found.get(event.id) ?? {};
        found.set(event.id, { ...event, clusterIds: [...clusterIds, clusterId] });
      }
    }
    let dropped = Math.max(0, ...lists.map((list) => list.dropped));
    if ("reason" in names) unreachable.push(names);
    else {
      for (const event of names.items) found.set(event.id, { ...event, clusterIds: [] });
      dropped += names.dropped;
    }
    const items = [...found.values()].sort((a, b) => (a.lastAt < b.lastAt ? 1 : -1));
    return { items, dropped, unreachable };
  },
);

/** Handle a dead event as if it had just come, wherever it is. It goes when that succeeds. */
export const replayDeadEvent = api(
  { expose: true, auth: true, method: "POST", path: "/v1/events/dead/:id/replay" },
  async ({ id }: ReplayRequest): Promise<ReplayResponse> => {
    const { items: answers, unreachable } = await everywhere(async (clusterId) => {
      const send = commandsOf(clusterId, TIMEOUT_MS);
      const replay = send("replayDeadEvent", (order: Replay) => containers.replayDeadEvent(order));
      return [await replay({ clusterId, id })];
    });
    const ofNames = await fromNames<Answer>(() => dns.replayDeadEvent({ id }));
    if ("reason" in ofNames) unreachable.push(ofNames);
    else answers.push(ofNames);
    const dead = answers.find(({ outcome }) => outcome === "dead");
    if (dead) return { id, outcome: "dead", error: dead.error, unreachable };
    if (answers.some(({ outcome }) => outcome === "handled")) {
      return { id, outcome: "handled", error: "", unreachable };
    }
    if (unreachable.length > 0) {
      const names = unreachable.map(({ clusterId }) => clusterId).join(", ");
      throw APIError.unavailable(`Cannot replay event "${id}": no answer from ${names}`);
    }
    throw APIError.notFound(`No dead event "${id}"`);
  },
);
