import type { Endpoint } from "../core/ports";

/** One running incarnation. Another generation of the same repl is another container. */
export interface ContainerRef {
  readonly clusterId: string;
  readonly replId: string;
  readonly generation: number;
}

export interface ContainerSpec {
  readonly ref: ContainerRef;
  /** Where it runs and what it may write to. */
  readonly directory: string;
  /** Its output is appended here. */
  readonly logFile: string;
  /** A shell command. */
  readonly command: string;
  /** All that it sees besides what the driver adds; the platform's own environment never is. */
  readonly env: Readonly<Record<string, string>>;
  /** The port it is asked to listen on. */
  readonly port: number;
  /** The user and group it runs as; null for the platform's own. */
  readonly uid: number | null;
  readonly startTimeoutMs: number;
}

/** What must be written down before it runs, so that a restarted platform finds it again. */
export interface Incarnation {
  readonly pid: number;
  /** Tells a process from a later one with the same pid. */
  readonly identity: string;
}

export interface Started {
  /** Where its traffic goes: what the proxy dials. */
  readonly upstream: Endpoint;
}

/** A container that a former platform process started, as the database remembers it. */
export interface Remembered extends Incarnation {
  readonly ref: ContainerRef;
  readonly upstream: Endpoint;
}

export interface Exit {
  /** For people: `exit code 1`, `signal SIGSEGV`. */
  readonly reason: string;
}

export interface DriverEvents {
  /** A container that was started or adopted, and ended without `stop`. */
  readonly onExit: (ref: ContainerRef, exit: Exit) => void;
  /** Its main process handed over to another one of its own; adoption needs the new one. */
  readonly onIncarnation: (ref: ContainerRef, incarnation: Incarnation) => void;
}

export interface Capabilities {
  /** What keeps apps apart: nothing, or a user of its own for each. */
  readonly isolation: "none" | "user";
  readonly limits: readonly string[];
  /** Whether a server that ignores $PORT is found. */
  readonly portScan: boolean;
}

/**
 * What a place that can run containers must do: a process table, a Docker engine, a test double.
 *
 * Every method is idempotent, so that a caller that crashed may repeat the call. What waits takes a
 * signal or a time. `contract.test.ts` holds each driver to this.
 */
export interface ContainerDriver {
  readonly kind: "process" | "memory";

  capabilities(): Capabilities;

  /**
   * Starts the container, or finds it started; resolves once its upstream accepts connections. No
   * request is sent, so no handler of the app runs. Rejects with a reason for its owner when it
   * ended or did not listen in time, or when `signal` aborted; then nothing of it is left.
   */
  start(
    spec: ContainerSpec,
    onSpawned: (incarnation: Incarnation) => Promise<void>,
    signal: AbortSignal,
  ): Promise<Started>;

  /** SIGTERM, after `graceMs` SIGKILL; resolves when nothing of it runs. Ended ones are no error. */
  stop(ref: ContainerRef, graceMs: number): Promise<void>;

  /** Takes over a container of a former platform process. False when it is not that one any more. */
  adopt(remembered: Remembered): Promise<boolean>;

  /** Whether it runs, as far as the driver knows. */
  isRunning(ref: ContainerRef): boolean;

  /** Whether its upstream accepts a connection now. */
  probe(ref: ContainerRef): Promise<boolean>;

  /** Everything that runs with our marker, known or not: orphans are found here. */
  list(): Promise<readonly ContainerRef[]>;

  /** Stops watching; what runs goes on. */
  close(): void;
}

/** How a container is recognised by whoever finds it. */
export function markerOf({ clusterId, replId, generation }: ContainerRef): string {
  return `${clusterId}/${replId}/${generation}`;
}

export function parseMarker(marker: string): ContainerRef | null {
  const match = /^([a-z][a-z0-9-]*)\/([a-z0-9-]+)\/(\d+)$/.exec(marker);
  if (!match) return null;
  const [, clusterId = "", replId = "", generation] = match;
  return { clusterId, replId, generation: Number(generation) };
}
