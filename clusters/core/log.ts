/** What is written to the placement log, and read from it by every cluster and name server. */

export type LogKind = "created" | "moved" | "deleted" | "cluster" | "hostname";

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
  removed: boolean;
}

/** One change, in commit order. Fields that its kind has no use for are null. */
export interface LogEntry {
  seq: number;
  kind: LogKind;
  replId: string | null;
  name: string | null;
  owner: string | null;
  /** The home after the change, or the cluster that a `cluster` entry is about. */
  clusterId: string | null;
  fromClusterId: string | null;
  /** Fencing token of the repl after the change; a reader ignores lower ones than it holds. */
  generation: number | null;
  migrationId: string | null;
  cluster: ClusterRecord | null;
  hostname: string | null;
  /** For `hostname`: false when the name was taken away. */
  present: boolean | null;
  /** When it was written, ISO 8601. */
  at: string;
  /** W3C trace context of what caused it, or an empty string. */
  traceparent: string;
}
