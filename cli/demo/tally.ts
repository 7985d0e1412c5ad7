/** What visitors count. Pure: it is told, and tells. */

export interface Failed {
  /** Which kind of visitor, such as `pinned`. */
  readonly kind: string;
  readonly what: string;
  /** ISO 8601. */
  readonly at: string;
}

export interface Report {
  readonly requests: number;
  readonly failed: number;
  /** The first of them. */
  readonly failures: readonly Failed[];
  readonly byKind: Readonly<Record<string, number>>;
  readonly byCluster: Readonly<Record<string, number>>;
  /** Answered by another cluster than the one whose address was dialled. */
  readonly forwarded: number;
  /** Until the response's head, in milliseconds. */
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly longestMs: number;
  /** WebSockets that were asked to come again, and did. */
  readonly reconnects: number;
  readonly echoes: number;
  readonly events: number;
}

export interface Served {
  readonly kind: string;
  /** The cluster that says it served; empty when it does not say. */
  readonly cluster: string;
  /** The cluster that was dialled; empty when an address is not one cluster's. */
  readonly dialled: string;
  /** Null for requests that take their time by themselves. */
  readonly headMs: number | null;
}

const KEPT_FAILURES = 20;

export class Tally {
  private readonly headMs: number[] = [];
  private readonly failures: Failed[] = [];
  private readonly byKind = new Map<string, number>();
  private readonly byCluster = new Map<string, number>();
  private requests = 0;
  private failed = 0;
  private forwarded = 0;
  private reconnects = 0;
  private echoes = 0;
  private events = 0;

  served({ kind, cluster, dialled, headMs }: Served): void {
    this.count(kind);
    if (cluster !== "") this.byCluster.set(cluster, (this.byCluster.get(cluster) ?? 0) + 1);
    if (cluster !== "" && dialled !== "" && cluster !== dialled) this.forwarded += 1;
    if (headMs !== null) this.headMs.push(headMs);
  }

  /** A request that failed by the platform's doing (design section 4). */
  fail(failed: Failed): void {
    this.count(failed.kind);
    this.failed += 1;
    if (this.failures.length < KEPT_FAILURES) this.failures.push(failed);
  }

  reconnected(): void {
    this.reconnects += 1;
  }

  echoed(): void {
    this.echoes += 1;
  }

  heardEvents(count: number): void {
    this.events += count;
  }

  report(): Report {
    const sorted = [...this.headMs].sort((a, b) => a - b);
    return {
      requests: this.requests,
      failed: this.failed,
      failures: [...this.failures],
      byKind: Object.fromEntries(this.byKind),
      byCluster: Object.fromEntries([...this.byCluster].sort(([a], [b]) => (a < b ? -1 : 1))),
      forwarded: this.forwarded,
      p50Ms: percentile(sorted, 0.5),
      p99Ms: percentile(sorted, 0.99),
      longestMs: sorted.at(-1) ?? 0,
      reconnects: this.reconnects,
      echoes: this.echoes,
      events: this.events,
    };
  }

  private count(kind: string): void {
    this.requests += 1;
    this.byKind.set(kind, (this.byKind.get(kind) ?? 0) + 1);
  }
}

/** The nearest rank: the smallest value that so large a part of `sorted` does not exceed. */
export function percentile(sorted: readonly number[], part: number): number {
  return sorted[Math.max(0, Math.ceil(sorted.length * part) - 1)] ?? 0;
}
