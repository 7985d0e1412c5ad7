/** What an entry of the placement log changes in the answers. */
import type { Change } from "./catalog";

/** The part of a log entry that names depend on. */
export interface LogEntry {
  readonly seq: number;
  readonly kind: string;
  readonly replId: string | null;
  readonly name: string | null;
  readonly owner: string | null;
  readonly clusterId: string | null;
  readonly generation: number | null;
  readonly cluster: {
    readonly id: string;
    readonly ingress: readonly string[];
    readonly removed: boolean;
  } | null;
  readonly traceparent: string;
}

/** The change that an entry makes, or undefined when answers do not depend on it. */
export function changeOf(entry: LogEntry): Change | undefined {
  switch (entry.kind) {
    case "created":
    case "moved":
      return placed(entry);
    case "deleted":
      return entry.replId === null ? undefined : { kind: "repl_gone", id: entry.replId };
    case "cluster":
      return described(entry);
    default:
      return undefined;
  }
}

function placed({ replId: id, name, owner, clusterId, generation }: LogEntry): Change | undefined {
  if (id === null || name === null || owner === null) return undefined;
  if (clusterId === null || generation === null) return undefined;
  return { kind: "repl", id, name, owner, clusterId, generation };
}

function described({ cluster }: LogEntry): Change | undefined {
  if (!cluster) return undefined;
  const { id, ingress, removed } = cluster;
  return removed ? { kind: "cluster_gone", id } : { kind: "cluster", id, ingress: [...ingress] };
}
