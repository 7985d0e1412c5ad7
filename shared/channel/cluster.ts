import { isHosted } from "../hosting";
import { outbound } from "../outbound";
import { noKey, type Receiver, sendCommand } from "./send";
import { config, deploymentKey } from "./settings";

/** Where a cluster's `containers` is, as the registry says. */
export interface ClusterAddress {
  readonly clusterId: string;
  /** Null: this application's own service. */
  readonly apiUrl: string | null;
  readonly publicKey: string | null;
}

/** Whom to send signed commands; undefined when the cluster is reached by typed calls. */
function receiverOf({ clusterId, apiUrl, publicKey }: ClusterAddress): Receiver | undefined {
  const isServedHere = isHosted("containers") && config().localClusters.includes(clusterId);
  if (apiUrl === null || isServedHere) return undefined;
  if (publicKey === null) throw noKey(clusterId);
  return { clusterId, apiUrl, publicKey };
}

/**
 * A command of one cluster, by its name and by the typed call that carries it out where the cluster is
 * this application's own; elsewhere the command is sent, signed. Rejects as the typed call does, and
 * with `unavailable` or `deadline_exceeded` when it is not known what became of it.
 */
export type Command = <Fields extends object, Result>(
  name: string,
  local: (fields: Fields) => Promise<Result>,
) => (fields: Fields) => Promise<Result>;

/** The commands of clusters, wherever they are. `find` asks the registry. */
export function createCommands(
  find: (clusterId: string) => Promise<ClusterAddress>,
): (clusterId: string, timeoutMs: number) => Command {
  const guardOf = guards();
  return (clusterId, timeoutMs) => {
    const guarded = guardOf(clusterId, timeoutMs);
    return (name, local) => (fields) =>
      guarded(async (signal) => {
        const receiver = receiverOf(await find(clusterId));
        if (!receiver) return await local(fields);
        const sender = { id: "control", key: deploymentKey() };
        return await sendCommand(sender, receiver, { name, fields, signal });
      });
  };
}

type Guard = ReturnType<typeof outbound>;

/** One guard for each cluster and time limit, so that a cluster that is down costs no other anything. */
function guards(): (clusterId: string, timeoutMs: number) => Guard {
  const made = new Map<string, Guard>();
  return (clusterId, timeoutMs) => {
    const key = `${clusterId}/${timeoutMs}`;
    const guard = made.get(key) ?? outbound(`cluster "${clusterId}"`, { timeoutMs });
    made.set(key, guard);
    return guard;
  };
}
