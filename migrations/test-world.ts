import type { Authority } from "./authority";
import type { ClusterClient, CommandResult, Copied } from "./cluster-client";
import type { Mode } from "./core/migration";
import type { Policy } from "./core/mode";
import type { Journal } from "./drive";
import type { Outside } from "./effects";
import type { Facts, MigrationRow } from "./store";
import type { Moved } from "./core/moved-event";

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
  /** It boots, and is not heard of any more. */
  readonly destinationLost?: boolean;
  /** What the source has when it is asked before the commit; the destination has copied the first. */
  readonly release?: number;
  /** Called before and after each command and each question; may hang, which is a crash, or throw. */
  readonly interfere?: (name: string, when: "before" | "after") => Promise<void> | void;
  /** What each round of the copy has to report; the last is said again. */
  readonly rounds?: readonly Partial<Copied>[];
  /** Answers of `freeze` that are `busy` before one is not. */
  readonly busyFreezes?: number;
}

export interface TestWorld {
  readonly outside: Outside;
  readonly source: TestCluster;
  readonly destination: TestCluster;
  readonly decision: () => "open" | "committed" | "aborted" | "unknown";
  readonly events: Moved[];
  /** Every command that was carried out. */
  readonly commands: string[];
  /** What must never be, and was. */
  readonly faults: string[];
  /** The deadline that the last freeze was told. */
  readonly freezeMs: () => number;
  /** Somebody else decides, if it is not decided. */
  decide(decision: "committed" | "aborted"): "committed" | "aborted";
}

const GENERATION = 2;
const done: CommandResult = { outcome: "done", reason: "" };

const COPIED: Copied = {
  ...done,
  bytes: 1,
  changedFiles: 1,
  changedBytes: 1,
  unsettledBytes: 0,
  ms: 1,
  special: [],
};

function refused(reason: string): CommandResult {
  return { outcome: "refused", reason };
}

/** What the parts of a world share. */
interface Stage {
  readonly options: TestWorldOptions;
  readonly source: TestCluster;
  readonly destination: TestCluster;
  readonly commands: string[];
  readonly faults: string[];
  readonly authority: TestAuthority;
  freezeMs: number;
}

interface TestAuthority {
  decision: "open" | "committed" | "aborted" | "unknown";
}

/** Carries out a command, or hangs or fails around it. */
async function around<T>(stage: Stage, name: string, work: () => T): Promise<T> {
  const { options, source, destination, commands, faults } = stage;
  await options.interfere?.(name, "before");
  commands.push(name);
  const result = work();
  if (destination.running && source.running && source.route === "frozen") {
    faults.push(`${name}: both run, though the source is frozen`);
  }
  await options.interfere?.(name, "after");
  return result;
}

function expectDecision(stage: Stage, name: string, decision: "committed" | "aborted"): void {
  if (stage.authority.decision !== decision) stage.faults.push(`${name}: not ${decision}`);
}

function decideOnce(
  authority: TestAuthority,
  wanted: "committed" | "aborted",
): "committed" | "aborted" {
  const { decision } = authority;
  if (decision === "committed" || decision === "aborted") return decision;
  authority.decision = wanted;
  return wanted;
}

function testAuthority(stage: Stage): Authority {
  const { authority, options } = stage;
  const seq = (): number | null => (authority.decision === "committed" ? 7 : null);
  const opened = {
    policy: options.policy ?? "auto",
    fromCluster: "east",
    fromGeneration: 1,
    generation: GENERATION,
  };
  return {
    lookup: () => Promise.reject(new Error("a coordinator looks nothing up")),
    open: () =>
      around(stage, "open", () => {
        if (authority.decision === "aborted") throw new TestRefusal("it was aborted");
        if (authority.decision === "unknown") authority.decision = "open";
        return opened;
      }),
    decide: ({ decision }) =>
      around(stage, `decide ${decision}`, () => ({
        status: decideOnce(authority, decision),
        seq: seq(),
      })),
    getDecision: () =>
      around(stage, "getDecision", () => ({ status: authority.decision, seq: seq() })),
  };
}

type DestinationCommand = "stage" | "copyFiles" | "boot" | "verify" | "activate" | "unstage";

function destinationClient(stage: Stage): Pick<ClusterClient, DestinationCommand> {
  const { source, destination, faults } = stage;
  let copies = 0;
  const isStaged = (): boolean => destination.route === "staged" && GENERATION > destination.fence;
  return {
    stage: () =>
      around(stage, "stage", () => {
        if (GENERATION <= destination.fence) return refused("closed");
        if (destination.route === "none") {
          Object.assign(destination, { route: "staged", generation: GENERATION });
        }
        return done;
      }),
    copyFiles: ({ final }) =>
      around(stage, final ? "copy delta" : "copy", () => {
        if (!isStaged()) return { ...COPIED, ...refused("not staged") };
        if (final && source.running) faults.push("the delta was copied while the source ran");
        destination.hasFiles = true;
        const { rounds = [] } = stage.options;
        return { ...COPIED, ...rounds[Math.min(copies++, rounds.length - 1)] };
      }),
    boot: () =>
      around(stage, "boot", () => {
        if (!isStaged()) return refused("not staged");
        destination.running = true;
        return done;
      }),
    verify: () =>
      around(stage, "verify", () => {
        const told = { leaseLeftMs: 60_000, release: 1 };
        if (!isStaged() || !destination.running) return { ...refused("not booted"), ...told };
        return { ...done, ...told };
      }),
    activate: () =>
      around(stage, "activate", () => {
        expectDecision(stage, "activate", "committed");
        if (!destination.hasFiles) faults.push("activated without its files");
        destination.route = "active";
        return done;
      }),
    unstage: () =>
      around(stage, "unstage", () => {
        expectDecision(stage, "unstage", "aborted");
        destination.fence = GENERATION;
        if (destination.route === "staged") {
          Object.assign(destination, { route: "none", running: false, hasFiles: false });
        }
        return done;
      }),
  };
}

type SourceCommand = Exclude<keyof ClusterClient, DestinationCommand>;

function sourceClient(stage: Stage): Pick<ClusterClient, SourceCommand> {
  const { source, destination, faults, options } = stage;
  let busyLeft = options.busyFreezes ?? 0;
  return {
    inspect: () =>
      around(stage, "inspect", () => ({
        running: source.running,
        filesChanged: options.filesChanged ?? false,
      })),
    survey: async () => ({ items: [] }),
    freeze: ({ deadlineMs }) =>
      around(stage, "freeze", () => {
        stage.freezeMs = deadlineMs;
        const wasRunning = source.running;
        const isHome = source.route === "active" || source.route === "frozen";
        if (GENERATION <= source.fence || !isHome) {
          return { outcome: "refused", wasRunning, reason: source.route } as const;
        }
        if (busyLeft-- > 0) return { outcome: "busy", wasRunning, reason: "1 request" } as const;
        Object.assign(source, { route: "frozen", running: false });
        return { outcome: "frozen", wasRunning, reason: "" } as const;
      }),
    seal: ({ release }) =>
      around(stage, "seal", () => {
        const has = options.release ?? 1;
        return has === release ? done : refused(`release ${has} came after ${release}`);
      }),
    tombstone: () =>
      around(stage, "tombstone", () => {
        expectDecision(stage, "tombstone", "committed");
        Object.assign(source, { route: "tombstone", generation: GENERATION });
        return done;
      }),
    thaw: ({ restart }) =>
      around(stage, "thaw", () => {
        if (destination.fence < GENERATION && !options.destinationLost)
          faults.push("thawed before the destination was fenced");
        source.fence = GENERATION;
        if (source.route === "frozen") {
          Object.assign(source, { route: "active", running: restart });
        }
        return done;
      }),
    drainOld: () =>
      around(stage, "drain", () => {
        if (source.route !== "tombstone") faults.push("drained before the tombstone");
        source.running = false;
        return true;
      }),
    cleanup: () =>
      around(stage, "cleanup", () => {
        if (source.route !== "tombstone") faults.push("cleaned before the tombstone");
        source.hasFiles = false;
        return done;
      }),
  };
}

/** A repl of generation 1 in "east", to be moved to "west" with generation 2. */
export function createTestWorld(options: TestWorldOptions): TestWorld {
  const home = { route: "active", generation: 1, fence: 0, hasFiles: true } as const;
  const empty = { route: "none", generation: 0, fence: 0, hasFiles: false } as const;
  const stage: Stage = {
    options,
    source: { ...home, running: options.running },
    destination: { ...empty, running: false },
    commands: [],
    faults: [],
    authority: { decision: "unknown" },
    freezeMs: 0,
  };
  const client: ClusterClient = { ...destinationClient(stage), ...sourceClient(stage) };
  const events: Moved[] = [];
  const { source, destination, commands, faults, authority } = stage;
  return {
    source,
    destination,
    commands,
    faults,
    events,
    decision: () => authority.decision,
    freezeMs: () => stage.freezeMs,
    decide: (decision) => decideOnce(authority, decision),
    outside: {
      authority: testAuthority(stage),
      client: () => client,
      publish: (event) =>
        around(stage, "publish", () => {
          events.push(event);
        }),
      isRefusal: (error) => error instanceof TestRefusal,
      now: () => Date.now(),
      elapsed: () => performance.now(),
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
    freezeMs: null,
    seq: null,
    traceparent: "",
    evacuationId: null,
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
