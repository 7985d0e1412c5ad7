import { isHosted } from "../hosting";
import { noKey, type OutgoingCommand, type Receiver, sendCommand } from "./send";
import { config, deploymentKey } from "./settings";

/** Where a cluster's `containers` is, as the registry says. */
export interface ClusterAddress {
  readonly clusterId: string;
  /** Null: this application's own service. */
  readonly apiUrl: string | null;
  readonly publicKey: string | null;
}

/** Whom to send signed commands; undefined when the cluster is reached by typed calls. */
export function receiverOf({ clusterId, apiUrl, publicKey }: ClusterAddress): Receiver | undefined {
  const isServedHere = isHosted("containers") && config().localClusters.includes(clusterId);
  if (apiUrl === null || isServedHere) return undefined;
  if (publicKey === null) throw noKey(clusterId);
  return { clusterId, apiUrl, publicKey };
}

/** Sends a command of the control plane to a cluster of another deployment. */
export async function command<Result>(
  receiver: Receiver,
  outgoing: OutgoingCommand,
): Promise<Result> {
  return await sendCommand({ id: "control", key: deploymentKey() }, receiver, outgoing);
}
