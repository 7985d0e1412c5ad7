/** What the platform's public API answers, as far as the command line reads it. Instants are ISO strings. */

export interface Cluster {
  readonly id: string;
  readonly state: "active" | "cordoned";
  /** Addresses that DNS answers for what lives there. */
  readonly ingress: readonly string[];
  readonly httpPort: number;
  /** What its proxy binds. */
  readonly listen: readonly string[];
  readonly apiUrl: string | null;
  readonly repls: number;
}

export interface Repl {
  readonly id: string;
  readonly name: string;
  readonly owner: string;
  readonly policy: string;
  readonly data: { readonly mode: string };
  readonly clusterId: string;
  readonly generation: number;
  readonly createdAt: string;
  readonly host: string;
}

export interface Container {
  readonly clusterId: string;
  readonly replId: string;
  readonly generation: number;
  readonly state: string;
  readonly pid: number | null;
  readonly port: number | null;
  readonly startedAt: string | null;
  readonly reason: string | null;
}

export interface Deployed {
  readonly release: number;
  readonly command: string;
  readonly framework: string;
  readonly clusterId: string;
}

export interface LogPage {
  readonly items: ReadonlyArray<{ readonly at: string | null; readonly line: string }>;
  readonly next: number;
}

export interface MigrationStep {
  readonly phase: string;
  readonly at: string;
  /** How long the phase took. */
  readonly ms: number;
}

export interface Migration {
  readonly id: string;
  readonly replId: string;
  readonly from: string;
  readonly to: string;
  readonly mode: string | null;
  readonly phase: string;
  readonly generation: number | null;
  readonly outcome: "open" | "completed" | "rolled_back";
  readonly reason: string | null;
  /** What could not be moved and stays behind. */
  readonly leftOut: readonly string[];
  /** The phases that are over, in order. */
  readonly steps: readonly MigrationStep[];
  readonly holdMs: number | null;
  readonly createdAt: string;
  readonly committedAt: string | null;
  readonly finishedAt: string | null;
}

/** Everything shall move out of a cluster. */
export interface Evacuation {
  readonly id: string;
  readonly clusterId: string;
  readonly to: string | null;
  readonly state: "running" | "paused" | "stopped" | "cancelled" | "done" | "incomplete";
  readonly reason: string | null;
  readonly moved: number;
  /** Moves that have not come to their end. */
  readonly underWay: number;
  /** Apps that still live there; null before the first look. */
  readonly remaining: number | null;
  readonly etaMs: number | null;
  /** Apps whose last move failed. */
  readonly failed: ReadonlyArray<{
    readonly name: string;
    readonly owner: string;
    readonly failures: number;
    readonly reason: string;
  }>;
  readonly createdAt: string;
  readonly finishedAt: string | null;
}

export interface EvacuationPlan {
  readonly clusterId: string;
  /** In the order of the moves. */
  readonly items: ReadonlyArray<{
    readonly name: string;
    readonly owner: string;
    /** How it would be moved; null when that is not known. */
    readonly mode: string | null;
    readonly bytes: number | null;
    readonly to: string;
  }>;
  readonly moving: number;
  readonly bytes: number;
}

export interface ProxyInstance {
  readonly clusterId: string;
  readonly instanceId: string;
  readonly listening: readonly string[];
  readonly routes: number;
  readonly connections: number;
  readonly inFlight: number;
  readonly held: number;
  readonly heldBytes: number;
  readonly holdsRefused: number;
  readonly requests: number;
  readonly forwarded: number;
}

export interface DnsInstance {
  readonly instanceId: string;
  readonly seq: number;
  /** Since it last knew that it answers all of the log; null: not since its start. */
  readonly logAgeSeconds: number | null;
  /** False when it was not heard of for ten seconds. */
  readonly alive: boolean;
  readonly seenSecondsAgo: number;
  readonly listening: readonly string[];
  readonly queries: number;
}

export interface Zone {
  readonly name: string;
}

export interface Rrset {
  readonly name: string;
  readonly type: string;
  readonly ttl: number;
  readonly values: readonly string[];
}

/** A zone in master format. */
export interface ZoneFile {
  readonly zone: string;
  readonly serial: number;
  readonly text: string;
}

/** What the import of a zone file changed, in RRsets. */
export interface Imported {
  readonly serial: number;
  readonly added: number;
  readonly changed: number;
  readonly removed: number;
}

/** A TSIG key, without its secret. */
export interface DnsKey {
  readonly name: string;
  readonly algorithm: string;
  readonly transfer: boolean;
  readonly update: boolean;
  readonly zones: readonly string[];
  readonly names: readonly string[];
  readonly types: readonly string[];
}

export interface NewDnsKey {
  readonly name: string;
  readonly algorithm: string;
  /** In base64. */
  readonly secret: string;
}

/** A name server that is told of changes. */
export interface Secondary {
  readonly zone: string;
  readonly address: string;
  readonly key: string;
  readonly heardSerial: number | null;
}

export interface Domain {
  readonly hostname: string;
  readonly replId: string;
  /** What the hostname has to be a CNAME of, or an ALIAS in a zone of ours. */
  readonly target: string;
  /** The zone of ours that it lies in. */
  readonly zone: string | null;
  readonly status: "pending" | "verified" | "active" | "lapsed";
  /** Where a TXT record proves it, where no CNAME can stand. */
  readonly proofName: string;
  readonly proof: string;
  /** Addresses that it may have then. */
  readonly addresses: readonly string[];
  /** What the last look has found wrong; null when nothing. */
  readonly reason: string | null;
  readonly createdAt: string;
}

/** A cluster forwards who still comes there for an app that has moved. */
export interface Tombstone {
  readonly clusterId: string;
  readonly replId: string;
  readonly name: string;
  readonly owner: string;
  readonly generation: number;
  readonly to: string;
  readonly since: string;
  readonly hits: number;
  readonly lastHitAt: string | null;
  readonly goesAt: string;
}

export interface DeadEvent {
  readonly id: string;
  readonly subscription: string;
  /** JSON. */
  readonly payload: string;
  readonly error: string;
  readonly times: number;
  readonly firstAt: string;
  readonly lastAt: string;
  /** Empty: the name servers have it. */
  readonly clusterIds: readonly string[];
}

export interface DeadEventList {
  readonly items: readonly DeadEvent[];
  readonly dropped: number;
  readonly unreachable: readonly Unreachable[];
}

export interface ReplayedEvent {
  readonly id: string;
  readonly outcome: "handled" | "dead";
  readonly error: string;
}

/** A cluster that did not answer. */
export interface Unreachable {
  readonly clusterId: string;
  readonly reason: string;
}

export interface Items<T> {
  readonly items: readonly T[];
  /** Of lists from all clusters: those that did not answer. */
  readonly unreachable?: readonly Unreachable[];
}

/** One look-up on the way to an answer of the name server. */
export interface LookUp {
  readonly name: string;
  readonly zone: string;
  readonly serial: number;
  readonly how: "records" | "repl" | "challenge" | "wildcard" | "empty" | "delegation" | "nothing";
  readonly at: string;
  readonly types: readonly string[];
  readonly repl: {
    readonly id: string;
    readonly name: string;
    readonly owner: string;
    readonly clusterId: string;
    readonly generation: number;
  } | null;
  readonly target: string | null;
}

export interface Explained {
  readonly rcode: string;
  readonly result: "answer" | "nodata" | "nxdomain" | "referral" | "elsewhere" | "loop" | "refused";
  readonly steps: readonly LookUp[];
  readonly instanceId: string;
  readonly seq: number;
}

/** Queries for an app's names that an instance has answered. */
export interface AppQueries {
  readonly id: string;
  readonly name: string;
  readonly owner: string;
  readonly queries: number;
}
