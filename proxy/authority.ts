import type { Found, LookupQuery } from "./questions";
import { LIMITS } from "./core/limits";
import type { Exchange } from "./exchange";
import type { Table } from "./table";

/** A question to the authority and, later, its answer. Whoever asks waits for it by its identity. */
export interface Ask {
  readonly key: string;
  answered: boolean;
  /** Undefined once answered: the authority cannot be reached. */
  placement: Found | undefined;
  expires: number;
}

function keyOf({ replId, name, owner, hostname }: LookupQuery): string {
  return `${replId}|${name}|${owner}|${hostname}`;
}

/** Questions to the authority: one at a time for each repl, answers kept for a second, "no" too. */
export class Authority {
  private readonly asks = new Map<string, Ask>();
  private running = 0;

  constructor(private readonly lookup: (key: string, query: LookupQuery) => void) {}

  /** The question as it stands: answered, or under way; undefined when too many are. */
  ask(query: LookupQuery, now: number): Ask | undefined {
    const key = keyOf(query);
    const known = this.asks.get(key);
    if (known !== undefined && (!known.answered || now < known.expires)) return known;
    if (this.running >= LIMITS.lookups) return undefined;
    const ask: Ask = { key, answered: false, placement: undefined, expires: 0 };
    this.asks.set(key, ask);
    this.running++;
    this.lookup(key, query);
    return ask;
  }

  /** Takes an answer; undefined when nobody asked. */
  answer(key: string, placement: Found | undefined, now: number): Ask | undefined {
    const ask = this.asks.get(key);
    if (ask === undefined || ask.answered) return undefined;
    this.running--;
    ask.answered = true;
    ask.placement = placement;
    // An authority that is away is asked again by the next request.
    ask.expires = placement === undefined ? 0 : now + LIMITS.lookupCacheMs;
    return ask;
  }

  /** The next question about it is a new one. */
  forget(query: LookupQuery): void {
    const key = keyOf(query);
    if (this.asks.get(key)?.answered === true) this.asks.delete(key);
  }

  /** Drops old answers. */
  tick(now: number): void {
    for (const [key, ask] of this.asks) {
      const isOld =
        ask.answered && (ask.expires <= now || this.asks.size > LIMITS.lookupCacheEntries);
      if (isOld) this.asks.delete(key);
    }
  }
}

/** By what is known of the repl: its id, or else the name that was asked for. */
export function queryFor({ repl, hop, head }: Exchange, table: Table): LookupQuery {
  const empty = { replId: "", name: "", owner: "", hostname: "" };
  const replId = repl?.id ?? hop?.replId;
  if (replId !== undefined) return { ...empty, replId };
  const { key } = table.resolve(head.host);
  switch (key.kind) {
    case "id":
      return { ...empty, replId: key.replId };
    case "name":
      return { ...empty, name: key.name, owner: key.owner };
    case "hostname":
      return { ...empty, hostname: key.hostname };
    case "none":
      return empty;
  }
}
