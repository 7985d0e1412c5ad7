import {
  checkAddress,
  checkApiUrl,
  checkClusterId,
  checkListen,
  checkPort,
  checkPublicKey,
  type Fault,
} from "./names";

export type ClusterState = "active" | "cordoned";

/** A cluster as the rest of the platform knows it. */
export interface ClusterRecord {
  id: string;
  state: ClusterState;
  /** Addresses that the name servers answer for repls that live here. */
  ingress: string[];
  /** The port that visitors and other clusters' proxies use on `ingress`. */
  httpPort: number;
  /** What this cluster's proxy binds: `127.0.1.1:8080`, `[::1]:8080`. */
  listen: string[];
  /** Where its control API is; null for a cluster that the reader's own process serves. */
  apiUrl: string | null;
  /** Whose signature its answers and requests have; set exactly when `apiUrl` is. */
  publicKey: string | null;
  removed: boolean;
}

/** What an operator may change of a cluster; what is absent stays. */
export interface ClusterChange {
  readonly state?: ClusterState;
  readonly ingress?: string[];
  readonly listen?: string[];
  readonly publicKey?: string;
}

export function applyChange(cluster: ClusterRecord, change: ClusterChange): ClusterRecord {
  return { ...cluster, ...change };
}

/** The first fault of a cluster's id and addresses. */
export function checkCluster(cluster: ClusterRecord): Fault {
  if (cluster.ingress.length === 0) {
    return `Cannot use cluster "${cluster.id}" without an ingress address: visitors need one`;
  }
  return (
    checkClusterId(cluster.id) ??
    first(cluster.ingress, checkAddress) ??
    checkPort(cluster.httpPort) ??
    first(cluster.listen, checkListen) ??
    (cluster.apiUrl === null ? undefined : checkApiUrl(cluster.apiUrl)) ??
    checkKey(cluster) ??
    repeated(cluster.listen)
  );
}

function checkKey({ id, apiUrl, publicKey }: ClusterRecord): Fault {
  if (publicKey !== null && apiUrl === null) {
    return `Cannot pin a public key of cluster "${id}": it has no API URL to be asked at`;
  }
  if (apiUrl !== null && publicKey === null) {
    return (
      `Cannot use cluster "${id}" at "${apiUrl}" without its public key: ` +
      "commands to it could not be told from forgeries; it is in its deployment-key.pub"
    );
  }
  return publicKey === null ? undefined : checkPublicKey(publicKey);
}

/** Whether two registrations say the same, so that repeating one is no error. The state is no part of it. */
export function isSameRegistration(a: ClusterRecord, b: ClusterRecord): boolean {
  return (
    a.httpPort === b.httpPort &&
    a.apiUrl === b.apiUrl &&
    a.publicKey === b.publicKey &&
    isSameList(a.ingress, b.ingress) &&
    isSameList(a.listen, b.listen)
  );
}

function isSameList(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((item, index) => item === b[index]);
}

function first(items: readonly string[], check: (item: string) => Fault): Fault {
  for (const item of items) {
    const fault = check(item);
    if (fault !== undefined) return fault;
  }
  return undefined;
}

function repeated(listen: readonly string[]): Fault {
  const twice = listen.find((item, index) => listen.indexOf(item) !== index);
  return twice === undefined ? undefined : `Cannot listen on "${twice}" twice`;
}
