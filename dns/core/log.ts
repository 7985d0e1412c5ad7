/** What an entry of the placement log changes in the answers. */
import type { Change } from "./catalog";
import type { Repl } from "./platform";

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

/** What becomes of a row of changes: each repl and cluster once. What is gone may be there again. */
export interface Outcome {
  readonly goneRepls: string[];
  readonly repls: Repl[];
  readonly goneClusters: string[];
  readonly clusters: { readonly id: string; readonly ingress: readonly string[] }[];
}

/** @throws Error for a change that does not come from the log */
export function outcomeOf(changes: readonly Change[]): Outcome {
  const goneRepls = new Set<string>();
  const repls = new Map<string, Repl>();
  const goneClusters = new Set<string>();
  const clusters = new Map<string, { id: string; ingress: readonly string[] }>();
  for (const change of changes) {
    switch (change.kind) {
      case "repl": {
        // The same rule as everywhere: never back to an older generation.
        const known = repls.get(change.id);
        if (!known || known.generation <= change.generation) repls.set(change.id, change);
        break;
      }
      case "repl_gone":
        repls.delete(change.id);
        goneRepls.add(change.id);
        break;
      case "cluster":
        clusters.set(change.id, change);
        break;
      case "cluster_gone":
        clusters.delete(change.id);
        goneClusters.add(change.id);
        break;
      default:
        throw new Error(`Cannot copy a "${change.kind}" change: it does not come from the log`);
    }
  }
  return {
    goneRepls: [...goneRepls],
    repls: [...repls.values()],
    goneClusters: [...goneClusters],
    clusters: [...clusters.values()],
  };
}
