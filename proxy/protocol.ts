/** What the main thread and a cluster's worker say to each other. */
import type { HoldBounds } from "./core/hold";
import type { Cause, Found, LookupQuery, WakeOutcome } from "./questions";
import type { ProxySpan, ProxyStats } from "./proxy";
import type { Delta, Hit } from "./table";

export interface WorkerInput {
  readonly clusterId: string;
  readonly zone: string;
  readonly hopSecret: string;
  readonly bodyLimit: number;
  readonly holdBounds: HoldBounds;
  /** Empty: none; `-`: standard output; else a file. */
  readonly accessLog: string;
}

export type ToWorker =
  | { readonly kind: "apply"; readonly delta: Delta }
  /** The right to dial containers until then, by the clock that all threads share. */
  | { readonly kind: "lease"; readonly untilMs: number }
  | { readonly kind: "listen"; readonly addresses: readonly string[] }
  | { readonly kind: "woke"; readonly replId: string; readonly outcome: WakeOutcome }
  /** Null: the authority cannot be reached. */
  | { readonly kind: "found"; readonly key: string; readonly placement: Found | null }
  /** All routes read since the worker asked have been sent before this. */
  | { readonly kind: "reread" }
  | { readonly kind: "stats"; readonly id: number }
  /** `visitors`: other clusters' proxies are served on, until a drain of all. */
  | { readonly kind: "drain"; readonly who: "visitors" | "all"; readonly deadlineMs: number };

export type FromWorker =
  | { readonly kind: "acknowledge"; readonly version: number; readonly busy: readonly string[] }
  | { readonly kind: "wake"; readonly replId: string; readonly cause: Cause }
  | { readonly kind: "lookup"; readonly key: string; readonly query: LookupQuery }
  | { readonly kind: "reread" }
  | { readonly kind: "sampled"; readonly span: ProxySpan }
  | { readonly kind: "hits"; readonly hits: readonly Hit[] }
  /** The addresses bound, and why the others are not. */
  | {
      readonly kind: "listening";
      readonly addresses: readonly string[];
      readonly faults: readonly string[];
    }
  | { readonly kind: "stats"; readonly id: number; readonly stats: ProxyStats }
  | { readonly kind: "drained" };
