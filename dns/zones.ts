/** Keeps memory in step with the zones in the database, and makes the platform's own zone. */
import type { Change } from "./core/catalog";
import { TYPE } from "./core/codes";
import type { Instance } from "./instance";
import { instance } from "./instance";
import { config } from "./settings";
import * as store from "./store";

/** Resolvers keep name servers long, and addresses of repls short. */
const SERVER_TTL_SECONDS = 3_600;
/** How long a resolver may keep "there is no such name" (RFC 2308 section 4). */
const NEGATIVE_TTL_SECONDS = 60;

/** DNS-01 values that have ended are in the database for a day; who was away longer reads all anew. */
const TOO_LONG_AWAY_MS = 12 * 3_600_000;

export class ZoneReader {
  readonly #instance: Pick<Instance, "apply" | "snapshot">;
  readonly #read: typeof store.changesAfter;
  readonly #nowMs: () => number;
  #revision = 0;
  #levelAt: number | undefined;
  /** Called when answers show a later revision. */
  onRevision: () => void = () => undefined;
  #last: Promise<void> = Promise.resolve();
  #next: Promise<void> | undefined;

  constructor(
    into: Pick<Instance, "apply" | "snapshot">,
    read = store.changesAfter,
    nowMs = () => performance.now(),
  ) {
    this.#instance = into;
    this.#read = read;
    this.#nowMs = nowMs;
  }

  /** Answers show everything up to here. */
  get revision(): number {
    return this.#revision;
  }

  /** When they were last known to show everything. */
  get levelAt(): number | undefined {
    return this.#levelAt;
  }

  /** Whether answers show all of a database that knows this revision. */
  meets(revision: number): boolean {
    const isLevel = revision <= this.#revision;
    if (isLevel) this.#levelAt = this.#nowMs();
    return isLevel;
  }

  /** Bring everything that is committed now into the answers. Calls while one reads share the next. */
  refresh(): Promise<void> {
    this.#next ??= this.#last.then(() => {
      this.#next = undefined;
      return this.#readOnce();
    });
    this.#last = this.#next.catch(() => undefined);
    return this.#next;
  }

  /** Resolves when answers show a revision that was committed. */
  async reach(revision: number): Promise<void> {
    while (this.#revision < revision) await this.refresh();
  }

  /** Read all zones anew. They are given to `take` before anything else is read. */
  reload(take: (changes: readonly Change[]) => void): Promise<void> {
    const read = this.#last.then(async () => {
      const { changes, revision } = await this.#read(0);
      take(changes);
      this.#revision = revision;
      this.#levelAt = this.#nowMs();
      this.onRevision();
    });
    this.#last = read.catch(() => undefined);
    return read;
  }

  async #readOnce(): Promise<void> {
    const awayMs = this.#levelAt === undefined ? 0 : this.#nowMs() - this.#levelAt;
    const isAway = awayMs > TOO_LONG_AWAY_MS;
    const { changes, revision } = await this.#read(isAway ? 0 : this.#instance.snapshot.revision);
    if (isAway) this.#instance.apply({ changes, seq: 0, isAllZones: true });
    else if (changes.length > 0) this.#instance.apply({ changes, seq: 0 });
    const isLater = revision > this.#revision;
    this.#revision = Math.max(this.#revision, revision);
    this.#levelAt = this.#nowMs();
    if (isLater) this.onRevision();
  }
}

let reader: ZoneReader | undefined;

/** The reader of this process. */
export function zones(): ZoneReader {
  return (reader ??= new ZoneReader(instance()));
}

interface Server {
  readonly host: string;
  readonly address: string;
}

function servers(): Server[] {
  const { zone, nameServers } = config();
  return nameServers.map(({ host, address }) => {
    return { host: host.includes(".") ? host : `${host}.${zone}`, address };
  });
}

/** Names of the name servers that new zones have. */
export const nameServerHosts = (): string[] => servers().map(({ host }) => host);

/** A zone's first records: SOA and NS, and addresses of the name servers that lie in it. */
export function zoneSeed(zone: string): store.ZoneSeed {
  const known = servers();
  const inZone = known.filter(({ host }) => host.endsWith(`.${zone}`));
  const soa = `${known[0]!.host} hostmaster.${zone} 0 3600 600 604800 ${NEGATIVE_TTL_SECONDS}`;
  const hosts = [...new Set(inZone.map(({ host }) => host))];
  const addresses = hosts.flatMap((host) => {
    const ofHost = inZone.filter((server) => server.host === host).map(({ address }) => address);
    return [
      { name: host, type: TYPE.A, values: ofHost.filter((address) => !address.includes(":")) },
      { name: host, type: TYPE.AAAA, values: ofHost.filter((address) => address.includes(":")) },
    ].filter(({ values }) => values.length > 0);
  });
  const rrsets = [
    { name: zone, type: TYPE.SOA, values: [soa] },
    { name: zone, type: TYPE.NS, values: [...new Set(known.map(({ host }) => host))] },
    ...addresses,
  ];
  return { zone, rrsets: rrsets.map((rrset) => ({ ...rrset, ttl: SERVER_TTL_SECONDS })) };
}

/** The platform zone is there from the first start on; later its records are the operator's. */
export async function ensurePlatformZone(): Promise<void> {
  const { zone } = config();
  if (!(await store.zoneExists(zone))) await store.putZone(zoneSeed(zone));
}
