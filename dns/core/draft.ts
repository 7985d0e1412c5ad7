/**
 * A zone's own records while they are changed: what was there, what shall be, and the difference.
 * Values are in canonical presentation form, as they are stored.
 */
import { TYPE } from "./codes";
import { fold, formatName, isWithin, type Name, parseName } from "./names";
import { parseRdata } from "./rdata";
import { targetOf } from "./zone";

/** Records of one type at a name, which has no place here. */
export interface Records {
  readonly ttl: number;
  readonly values: readonly string[];
}

/** An RRset as the store has it: its name absolute, without a trailing dot. */
export interface Row extends Records {
  readonly name: string;
  readonly type: number;
}

/** An NS, MX or SRV record's way to its host. */
export interface Pointer {
  readonly owner: Name;
  readonly type: number;
  readonly target: Name;
}

const POINTING: readonly number[] = [TYPE.NS, TYPE.MX, TYPE.SRV];

type Types = Map<number, Records>;

export class Draft {
  readonly origin: Name;
  readonly #before = new Map<Name, Types>();
  readonly #after = new Map<Name, Types>();
  readonly #changed = new Set<Name>();

  /** `rows` are what the zone holds, as far as the change must see it. */
  constructor(origin: Name, rows: readonly Row[]) {
    this.origin = origin;
    for (const { name: text, type, ttl, values } of rows) {
      const name = parseName(text);
      if (!name.ok || values.length === 0) continue;
      put(this.#before, fold(name.value), type, { ttl, values });
      put(this.#after, fold(name.value), type, { ttl, values });
    }
  }

  get(name: Name, type: number): Records | undefined {
    return this.#after.get(name)?.get(type);
  }

  /** Types with data at a name. */
  types(name: Name): number[] {
    return [...(this.#after.get(name)?.keys() ?? [])];
  }

  names(): IterableIterator<Name> {
    return this.#after.keys();
  }

  /** Put records in place of those of their type; none, or no values, takes them away. */
  set(name: Name, type: number, records: Records | undefined): void {
    this.#changed.add(name);
    if (records && records.values.length > 0) put(this.#after, name, type, records);
    else this.#after.get(name)?.delete(type);
  }

  /** Names whose data is not what it was. */
  changedNames(): Name[] {
    return [...this.#changed].filter((name) => this.#changesAt(name).length > 0);
  }

  /** What has to be written; a row without values is gone. */
  changes(): Row[] {
    return [...this.#changed].flatMap((name) => this.#changesAt(name));
  }

  /** Where NS, MX and SRV records lead, as far as that is in the zone. */
  *pointers(): Generator<Pointer> {
    for (const [owner, types] of this.#after) {
      for (const type of POINTING) {
        for (const target of targetsOf(type, types.get(type)?.values ?? [])) {
          if (isWithin(target, this.origin)) yield { owner, type, target };
        }
      }
    }
  }

  #changesAt(name: Name): Row[] {
    const before = this.#before.get(name) ?? new Map<number, Records>();
    const after = this.#after.get(name) ?? new Map<number, Records>();
    const rows: Row[] = [];
    for (const type of new Set([...before.keys(), ...after.keys()])) {
      const now = after.get(type);
      if (isSame(before.get(type), now)) continue;
      rows.push({ name: formatName(name), type, ttl: now?.ttl ?? 0, values: now?.values ?? [] });
    }
    return rows;
  }
}

function put(into: Map<Name, Types>, name: Name, type: number, records: Records): void {
  const types = into.get(name);
  if (types) types.set(type, records);
  else into.set(name, new Map([[type, records]]));
}

/** The order of an RRset's records says nothing (RFC 2181 section 5). */
function isSame(a: Records | undefined, b: Records | undefined): boolean {
  if (!a || !b) return a === b;
  if (a.ttl !== b.ttl || a.values.length !== b.values.length) return false;
  const values = new Set(a.values);
  return b.values.every((value) => values.has(value));
}

/** The names that records of a type lead to, folded; those of "no service" are left out. */
export function targetsOf(type: number, values: readonly string[]): Name[] {
  return values.flatMap((value) => {
    const rdata = parseRdata(type, value);
    const target = rdata.ok ? targetOf(type, rdata.value) : undefined;
    return target === undefined || target === "\0" ? [] : [fold(target)];
  });
}
