import type { Authority } from "./authority";
import type { ClusterClient, CommandResult } from "./cluster-client";
import type { Mode } from "./core/migration";
import type { Policy } from "./core/mode";
import type { Journal } from "./drive";
import type { Outside } from "./effects";
import type { Facts, MigrationRow } from "./store";
import type { ReplMoved } from "./topics";

/** A cluster, as far as one repl is concerned: the rules of `containers`, without containers. */
export interface TestCluster {
  route: "none" | "staged" | "active" | "frozen" | "tombstone";
  generation: number;
  fence: number;
  running: boolean;
  hasFiles: boolean;
}

export interface TestWorldOptions {
  /** Whether the repl runs at the source. */
  readonly running: boolean;
  readonly filesChanged?: boolean;
  readonly policy?: Policy;
  /** Called before and after each command and each question; may hang, which is a crash, or throw. */
  readonly interfere?: (name: string, when: "before" | "after") => Promise<void> | void;
  /** Answers of `freeze` that are `busy` before one is not. */
  readonly busyFreezes?: number;
}

export interface TestWorld {
  readonly outside: Outside;
  readonly source: TestCluster;
  readonly destination: TestCluster;
  readonly decision: () => "open" | "committed" | "aborted" | "unknown";
  readonly events: ReplMoved[];
  /** Every command that was carried out. */
  readonly commands: string[];
  /** What must never be, and was. */
  readonly faults: string[];
  /** Somebody else decides, if it is not decided. */
  decide(decision: "committed" | "aborted"): "committed" | "aborted";
}

const GENERATION = 2;
const done: CommandResult = { outcome: "done", reason: "" };

function refused(reason: string): CommandResult {
  return { outcome: "refused", reason };
}

/** A repl of generation 1 in "east", to be moved to "west" with generation 2. */
export function createTestWorld(options: TestWorldOptions): TestWorld {
  const source: TestCluster = {
    route: "active",
    generation: 1,
    fence: 0,
    running: options.running,
    hasFiles: true,
  };
  const destination: TestCluster = {
    route: "none",
    generation: 0,
    fence: 0,
    running: false,
    hasFiles: false,
  };
  const commands: string[] = [];
  const faults: string[] = [];
  const events: ReplMoved[] = [];
  let decision: "open" | "committed" | "aborted" | "unknown" = "unknown";
  let busyLeft = options.busyFreezes ?? 0;

  const around = async <T>(name: string, work: () => T): Promise<T> => {
    await options.interfere?.(name, "before");
    commands.push(name);
    const result = work();
    if (destination.running && source.running && source.route === "frozen") {
      faults.push(`${name}: both run, though the source is frozen`);
    }
    await options.interfere?.(name, "after");
    return result;
  };

  const decide = (wanted: "committed" | "aborted"): "committed" | "aborted" => {
    if (decision === "committed" || decision === "aborted") return decision;
    decision = wanted;
    return decision;
  };
  const seq = (): number | null => (decision === "committed" ? 7 : null);

  const authority: Authority = {
    lookup: () => Promise.reject(new Error("a coordinator looks nothing up")),
    open: () =>
      around("open", () => {
        if (decision === "aborted") throw new TestRefusal("it was aborted");
        if (decision === "unknown") decision = "open";
        return {
          policy: options.policy ?? "auto",
          fromCluster: "east",
          fromGeneration: 1,
          generation: GENERATION,
        };
      }),
    decide: (request) =>
      around(`decide ${request.decision}`, () => ({
        status: decide(request.decision),
        seq: seq(),
      })),
    getDecision: () => around("getDecision", () => ({ status: decision, seq: seq() })),
  };

  const staged = (): boolean => destination.route === "staged" && GENERATION > destination.fence;

  const client: ClusterClient = {
    inspect: () =>
      around("inspect", () => ({
        running: source.running,
        filesChanged: options.filesChanged ?? false,
      })),
    stage: () =>
      around("stage", () => {
        if (GENERATION <= destination.fence) return refused("closed");
        if (destination.route === "none") {
          Object.assign(destination, { route: "staged", generation: GENERATION });
        }
        return done;
      }),
    copyFiles: ({ final }) =>
      around(final ? "copy delta" : "copy", () => {
        if (!staged()) return refused("not staged");
        if (final && source.running) faults.push("the delta was copied while the source ran");
        destination.hasFiles = true;
        return done;
      }),
    freeze: () =>
      around("freeze", () => {
        const wasRunning = source.running;
        if (GENERATION <= source.fence) {
          return { outcome: "refused", wasRunning, reason: "closed" } as const;
        }
        if (source.route !== "active" && source.route !== "frozen") {
          return { outcome: "refused", wasRunning, reason: source.route } as const;
        }
        if (busyLeft-- > 0) return { outcome: "busy", wasRunning, reason: "1 request" } as const;
        Object.assign(source, { route: "frozen", running: false });
        return { outcome: "frozen", wasRunning, reason: "" } as const;
      }),
    boot: () =>
      around("boot", () => {
        if (!staged()) return refused("not staged");
        destination.running = true;
        return done;
      }),
    verify: () =>
      around("verify", () => {
        const leaseUntil = new Date(Date.now() + 60_000).toISOString();
        if (!staged() || !destination.running) return { ...refused("not booted"), leaseUntil };
        return { ...done, leaseUntil };
      }),
    activate: () =>
      around("activate", () => {
        if (decision !== "committed") faults.push("activated without a commit");
        if (!destination.hasFiles) faults.push("activated without its files");
        destination.route = "active";
        return done;
      }),
    tombstone: () =>
      around("tombstone", () => {
        if (decision !== "committed") faults.push("a tombstone without a commit");
        Object.assign(source, { route: "tombstone", generation: GENERATION });
        return done;
      }),
    unstage: () =>
      around("unstage", () => {
        if (decision !== "aborted") faults.push("unstaged without an abort");
        destination.fence = GENERATION;
        if (destination.route === "staged") {
          Object.assign(destination, { route: "none", running: false, hasFiles: false });
        }
        return done;
      }),
    thaw: ({ restart }) =>
      around("thaw", () => {
        if (destination.fence < GENERATION) faults.push("thawed before the destination was fenced");
        source.fence = GENERATION;
        if (source.route === "frozen") {
          Object.assign(source, { route: "active", running: restart });
        }
        return done;
      }),
    drainOld: () =>
      around("drain", () => {
        if (source.route !== "tombstone") faults.push("drained before the tombstone");
        source.running = false;
        return true;
      }),
    cleanup: () =>
      around("cleanup", () => {
        if (source.route !== "tombstone") faults.push("cleaned before the tombstone");
        source.hasFiles = false;
        return done;
      }),
  };

  return {
    source,
    destination,
    commands,
    faults,
    events,
    decision: () => decision,
    decide,
    outside: {
      authority,
      client: () => client,
      publish: (event) =>
        around("publish", () => {
          events.push(event);
        }),
      isRefusal: (error) => error instanceof TestRefusal,
      now: () => Date.now(),
    },
  };
}

/** An answer of the authority that says no for good. */
export class TestRefusal extends Error {}

/** The row of a migration that was just asked for. */
export function newRow(mode: Mode | null = null): MigrationRow {
  return {
    id: "00000000-0000-4000-8000-000000000001",
    replId: "abcdefgh2345",
    name: "hello",
    owner: "demo",
    from: "east",
    to: "west",
    requestedMode: mode,
    mode: null,
    cut: false,
    phase: "requested",
    attempts: 0,
    reason: null,
    abortRequested: false,
    fromGeneration: null,
    generation: null,
    frozenAt: null,
    seq: null,
    traceparent: "",
    resumed: false,
  };
}

type StoredRow = MigrationRow & Omit<Facts, keyof MigrationRow>;

/** The store, in memory, with one migration in it. */
export interface TestJournal extends Journal {
  readonly row: StoredRow;
  /** As if the time of every lease had passed. */
  expireLeases(): void;
}

export function createTestJournal(row: MigrationRow): TestJournal {
  const stored: StoredRow = { ...row };
  let owner: string | undefined;
  let isHeld = false;
  const isOver = (): boolean => stored.phase === "completed" || stored.phase === "rolled_back";
  return {
    row: stored,
    expireLeases: () => {
      isHeld = false;
    },
    claim: async (leaseOwner) => {
      if (isHeld || isOver()) return [];
      const resumed = owner !== undefined;
      owner = leaseOwner;
      isHeld = true;
      return [{ ...stored, resumed }];
    },
    renew: async (leaseOwner) =>
      owner === leaseOwner && isHeld
        ? [{ id: stored.id, abortRequested: stored.abortRequested }]
        : [],
    release: async (_id, leaseOwner) => {
      if (owner === leaseOwner) isHeld = false;
    },
    advance: async ({ leaseOwner, from, to, facts }) => {
      if (owner !== leaseOwner || stored.phase !== from) return false;
      Object.assign(stored, facts, { phase: to, attempts: 0 });
      return true;
    },
    recordTry: async (_id, leaseOwner, attempts, frozenAt) => {
      if (owner !== leaseOwner) return false;
      Object.assign(stored, { attempts, frozenAt });
      return true;
    },
    findUnpublished: async () => [],
    recordPublished: async () => undefined,
  };
}
