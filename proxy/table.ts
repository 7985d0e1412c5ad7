import type { ErrorCode } from "./core/errors";
import { type HostKey, normaliseHost, parseHost } from "./core/hostname";
import { LIMITS } from "./core/limits";
import type { Route, RouteState } from "./core/route";
import { Target } from "./upstream";

/** A row of `containers.route`. */
export interface RouteRow {
  readonly replId: string;
  readonly name: string;
  readonly owner: string;
  readonly state: RouteState;
  readonly generation: number;
  readonly peer: string;
  /** Empty: no container runs. */
  readonly host: string;
  readonly port: number;
  readonly version: number;
  /** What is left on an older container ends now. */
  readonly cut: boolean;
}

export interface HostnameRow {
  readonly hostname: string;
  /** Empty: removed. */
  readonly replId: string;
  readonly version: number;
}

export interface PeerRow {
  readonly peerId: string;
  readonly ingress: readonly string[];
  readonly httpPort: number;
  readonly removed: boolean;
  readonly version: number;
}

/** Everything with a version above the last one; `version` is what the table has reached then. */
export interface Delta {
  readonly version: number;
  readonly routes: readonly RouteRow[];
  readonly hostnames: readonly HostnameRow[];
  readonly peers: readonly PeerRow[];
}

/** What the proxy holds of one repl. */
export class Repl {
  row: RouteRow | undefined;
  route: Route | undefined;
  /** What the current route dials. */
  current: Target | undefined;
  /** What older routes dialled, while something is in flight there. */
  readonly retired = new Set<Target>();
  waking = false;
  releasing = false;
  /** The last start failed: no other one is tried before `wakeFaultUntil`. */
  wakeFault: ErrorCode | undefined;
  wakeFaultUntil = 0;
  inFlight = 0;
  /** Requests that its tombstone has forwarded, not told yet. */
  byTombstone = 0;

  constructor(readonly id: string) {}
}

/** How a repl was used lately. */
export interface Hit {
  readonly replId: string;
  readonly inFlight: number;
  /** Requests that its tombstone has forwarded since the last time. */
  readonly byTombstone: number;
}

export interface Resolved {
  readonly repl: Repl | undefined;
  readonly key: HostKey;
  readonly hostname: string;
}

export interface TableEvents {
  /** A repl's route is another one: look at its waiting requests again. */
  changed(repl: Repl): void;
  /** The set of busy repls changed. */
  busy(): void;
}

/** What a row is asked for by; one without a route has no name. */
function nameOf({ state, name, owner }: RouteRow): string {
  return state === "none" ? "" : `${name}.${owner}`;
}

/** The routes of one cluster, in memory. Rows come in any order; an older version never replaces. */
export class Table {
  version = 0;
  /** Repls with something in flight that their route would not dial. */
  readonly busy = new Set<string>();
  readonly peers = new Map<string, PeerRow>();
  private readonly repls = new Map<string, Repl>();
  private readonly names = new Map<string, Repl>();
  /** Names of repls that had a route here: where they live now, only the authority knows. */
  private readonly left = new Set<string>();
  private readonly hostnames = new Map<string, HostnameRow>();
  /** By Host as sent: what a name means is worked out once. */
  private readonly resolved = new Map<string, Resolved>();

  constructor(
    private readonly zone: string,
    private readonly events: TableEvents,
  ) {}

  get size(): number {
    return this.repls.size;
  }

  get(replId: string): Repl | undefined {
    return this.repls.get(replId);
  }

  ensure(replId: string): Repl {
    let repl = this.repls.get(replId);
    if (repl === undefined) {
      repl = new Repl(replId);
      this.repls.set(replId, repl);
      this.resolved.clear();
    }
    return repl;
  }

  resolve(host: string): Resolved {
    const known = this.resolved.get(host);
    if (known !== undefined) return known;
    const hostname = normaliseHost(host);
    const custom = this.hostnames.get(hostname);
    const key: HostKey =
      custom === undefined ? parseHost(hostname, this.zone) : { kind: "hostname", hostname };
    const repl = custom === undefined ? this.find(key) : this.repls.get(custom.replId);
    const resolved = { repl, key, hostname };
    if (this.resolved.size >= LIMITS.hostCacheEntries) this.resolved.clear();
    this.resolved.set(host, resolved);
    return resolved;
  }

  /** Whether a repl of that name was here once: one that is not found is not "there is none". */
  knew(host: string): boolean {
    const { key } = this.resolve(host);
    return key.kind === "name" && this.left.has(`${key.name}.${key.owner}`);
  }

  private find(key: HostKey): Repl | undefined {
    if (key.kind === "id") return this.repls.get(key.replId);
    return key.kind === "name" ? this.names.get(`${key.name}.${key.owner}`) : undefined;
  }

  apply(delta: Delta): void {
    for (const peer of delta.peers) {
      if ((this.peers.get(peer.peerId)?.version ?? 0) < peer.version) {
        this.peers.set(peer.peerId, peer);
      }
    }
    for (const row of delta.hostnames) this.applyHostname(row);
    const changed = delta.routes.filter((row) => this.applyRoute(row));
    this.version = Math.max(this.version, delta.version);
    for (const { replId } of changed) this.events.changed(this.ensure(replId));
  }

  private applyHostname(row: HostnameRow): void {
    if ((this.hostnames.get(row.hostname)?.version ?? 0) >= row.version) return;
    if (row.replId === "") this.hostnames.delete(row.hostname);
    else this.hostnames.set(row.hostname, row);
    this.resolved.clear();
  }

  private applyRoute(row: RouteRow): boolean {
    const repl = this.ensure(row.replId);
    if (repl.row !== undefined && repl.row.version >= row.version) return false;
    this.rename(repl, row);
    repl.row = row;
    repl.route = {
      state: row.state,
      generation: row.generation,
      peer: row.peer,
      awake: row.host !== "",
    };
    repl.wakeFault = undefined;
    this.aim(repl, row);
    return true;
  }

  private rename(repl: Repl, row: RouteRow): void {
    const before = repl.row === undefined ? "" : nameOf(repl.row);
    const after = nameOf(row);
    if (after === "") this.left.add(`${row.name}.${row.owner}`);
    if (before === after) return;
    if (before !== "" && this.names.get(before) === repl) this.names.delete(before);
    if (after !== "") this.names.set(after, repl);
    this.resolved.clear();
  }

  /** Points the repl at what the row dials, and retires what it dialled before. */
  private aim(repl: Repl, row: RouteRow): void {
    const dials = row.state === "active" && row.host !== "";
    const matches = (target: Target): boolean =>
      dials &&
      target.generation === row.generation &&
      target.host === row.host &&
      target.port === row.port;
    const before = repl.current;
    if (before === undefined || !matches(before)) {
      repl.current = dials ? this.revived(repl, row, matches) : undefined;
      if (before !== undefined) this.retire(repl, before);
    }
    if (row.cut || row.state === "frozen" || row.state === "none") {
      for (const target of repl.retired) target.cut();
    }
  }

  /** A freeze that was undone finds its old target again, with what is in flight there. */
  private revived(repl: Repl, row: RouteRow, matches: (target: Target) => boolean): Target {
    for (const target of repl.retired) {
      if (!matches(target)) continue;
      target.retired = false;
      target.cutting = false;
      this.unretire(repl, target);
      return target;
    }
    const { generation, host, port } = row;
    return new Target({ generation, host, port, peer: "" });
  }

  private retire(repl: Repl, target: Target): void {
    target.onUnused = () => this.unretire(repl, target);
    repl.retired.add(target);
    // Marked before: whoever is placed again while it retires must not come back here.
    target.retire();
    if (target.users.size === 0) this.unretire(repl, target);
    else if (!this.busy.has(repl.id)) this.busy.add(repl.id);
  }

  private unretire(repl: Repl, target: Target): void {
    target.onUnused = undefined;
    repl.retired.delete(target);
    if (repl.retired.size === 0 && this.busy.delete(repl.id)) this.events.busy();
  }
}
