/** What the main thread and the answering threads say to each other. */
import type { CatalogOptions } from "./core/catalog";
import type { LoggedQuery } from "./core/query-log";
import type { RateLimits } from "./core/rate-limit";
import type { FeedInput } from "./feed";

export interface ListenAddress {
  readonly host: string;
  /** 0: any free port, the same one for UDP and TCP. */
  readonly port: number;
}

/** `127.0.0.1:5300`, `[::1]:5300`. */
export const formatAddress = ({ host, port }: ListenAddress): string =>
  host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;

/** What a server is called, and how it tells askers from those who only look like them. */
export interface Guard {
  /** For NSID and class CH; "" for none. */
  readonly identity: string;
  /** Of cookies: the first makes them, all know them. */
  readonly secrets: readonly Uint8Array[];
  /** Nothing: every query is answered. */
  readonly rateLimits: RateLimits | undefined;
}

/** DNS over TLS (RFC 7858) and HTTPS (RFC 8484). */
export interface EncryptedOptions {
  /** Directory with `cert.pem` and `key.pem`; "" for none. */
  readonly certificate: string;
  readonly tls: readonly ListenAddress[];
  readonly https: readonly ListenAddress[];
}

/** What of it is answered now, and if nothing is, why. */
export interface EncryptedState {
  readonly tls: readonly ListenAddress[];
  readonly https: readonly ListenAddress[];
  readonly fault: string | null;
}

/** What every answering thread is started with. */
export interface ThreadInput {
  readonly catalog: CatalogOptions;
  readonly guard: Guard;
  readonly feed: FeedInput;
  /** Where the thread counts; its successor goes on there. */
  readonly counters: SharedArrayBuffer;
  /** One query in so many is logged; 0 for none. */
  readonly logOneIn: number;
  /** What rate limiting knows, the same for all. */
  readonly limits: SharedArrayBuffer;
}

/** A worker of a socket that the main thread opened. */
export interface UdpInput extends ThreadInput {
  readonly fd: number;
  readonly isV6: boolean;
}

export interface StreamInput extends ThreadInput {
  readonly encrypted: EncryptedOptions;
}

/** A signed message: the worker has neither keys nor a database. */
export interface Asked {
  readonly id: number;
  readonly transport: "udp" | "tcp";
  /** Who asks. */
  readonly address: string;
  readonly query: Uint8Array;
}

/** Each is answered by `done` with the same `id`, after it took effect. */
export type ToWorker =
  | {
      /** Over TCP, and over UDP where it has no workers of its own. */
      readonly kind: "listen";
      readonly id: number;
      readonly addresses: readonly ListenAddress[];
      readonly hasUdp: boolean;
    }
  /** Done at the thread's next look. */
  | { readonly kind: "look"; readonly id: number }
  | { readonly kind: "close"; readonly id: number; readonly graceMs: number }
  | {
      /** Messages for who asked; with none he gets no more. Done when they are on their way. */
      readonly kind: "answer";
      readonly id: number;
      readonly to: number;
      readonly messages: readonly Uint8Array[];
    };

export type FromWorker =
  | { readonly kind: "done"; readonly id: number; readonly fault: string | null }
  | { readonly kind: "asked"; readonly asked: Asked }
  | { readonly kind: "logged"; readonly query: LoggedQuery }
  | { readonly kind: "listening"; readonly addresses: readonly ListenAddress[] }
  | { readonly kind: "encrypted"; readonly state: EncryptedState };
