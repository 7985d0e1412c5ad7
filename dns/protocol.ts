/** What the main thread and the answering worker say to each other. */
import type { Batch, CatalogOptions } from "./core/catalog";

export interface ListenAddress {
  readonly host: string;
  /** 0: any free port, the same one for UDP and TCP. */
  readonly port: number;
}

/** `127.0.0.1:5300`, `[::1]:5300`. */
export const formatAddress = ({ host, port }: ListenAddress): string =>
  host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;

/** What a worker is started with. */
export interface WorkerInput {
  readonly catalog: CatalogOptions;
}

/** Each is answered by `done` with the same `id`, after it took effect. */
export type ToWorker =
  | { readonly kind: "apply"; readonly id: number; readonly batch: Batch }
  | { readonly kind: "listen"; readonly id: number; readonly addresses: readonly ListenAddress[] }
  | { readonly kind: "close"; readonly id: number; readonly graceMs: number };

export type FromWorker =
  | { readonly kind: "done"; readonly id: number; readonly fault: string | null }
  | { readonly kind: "listening"; readonly addresses: readonly ListenAddress[] }
  | { readonly kind: "counted"; readonly counters: Counters };

/** Totals since the worker started. */
export interface Counters {
  readonly udpQueries: number;
  readonly tcpQueries: number;
  /** What got no answer: too short, itself an answer, or not sent. */
  readonly dropped: number;
  readonly truncated: number;
  /** By response code. */
  readonly rcodes: Readonly<Record<number, number>>;
  readonly tcpConnections: number;
  readonly tcpRefused: number;
}

export const NO_COUNTERS: Counters = {
  udpQueries: 0,
  tcpQueries: 0,
  dropped: 0,
  truncated: 0,
  rcodes: {},
  tcpConnections: 0,
  tcpRefused: 0,
};
