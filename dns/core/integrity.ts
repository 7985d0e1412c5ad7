/** What must hold in a zone after a change, each with the reason of the RFC. */
import { TYPE, typeName } from "./codes";
import { type Draft, type Pointer, type Row, targetsOf } from "./draft";
import { firstLabel, fold, formatName, isWithin, type Name, parentOf, parseName } from "./names";

/** What is known of names besides the zone's own records. */
export interface Surroundings {
  readonly hasChallenge: (name: Name) => boolean;
  /** Addresses of the name follow from a repl's. */
  readonly isDerived: (name: Name) => boolean;
  /** Whether a name is an alias in another zone of ours. */
  readonly isAlias: (name: Name) => boolean;
  /** It is a name of an app. */
  readonly isApp: (name: Name) => boolean;
}

/** Why the draft may not stand, or undefined. Looks at what changed, and at what leads there. */
export function faultOfDraft(draft: Draft, around: Surroundings): string | undefined {
  for (const row of draft.changes()) {
    const fault = row.values.length > 0 ? faultOfRow(draft, row, around) : faultOfLoss(draft, row);
    if (fault !== undefined) return fault;
  }
  const changed = new Set(draft.changedNames());
  for (const pointer of draft.pointers()) {
    if (!changed.has(pointer.target) && !changed.has(pointer.owner)) continue;
    const fault = faultOfPointer(draft, pointer, around);
    if (fault !== undefined) return fault;
  }
  return undefined;
}

function nameOf(row: Row): Name {
  const name = parseName(row.name);
  return name.ok ? fold(name.value) : "";
}

const SINGLE: readonly number[] = [TYPE.CNAME, TYPE.ALIAS, TYPE.SOA];
const ADDRESSES: readonly number[] = [TYPE.A, TYPE.AAAA];

function faultOfRow(draft: Draft, row: Row, around: Surroundings): string | undefined {
  const { type, values } = row;
  const name = nameOf(row);
  if (type === TYPE.DNAME) {
    return "DNAME would rename what repls are called below it (RFC 6672 2.3): not served";
  }
  if (SINGLE.includes(type) && values.length > 1) {
    return `${values.length} ${typeName(type)} records at "${row.name}": at most one (RFC 2181 10.1)`;
  }
  if (type === TYPE.SOA && name !== draft.origin) {
    return `SOA at "${row.name}": it stands at the zone's own name only (RFC 1035 3.3.13)`;
  }
  if (type === TYPE.NS && firstLabel(name) === "*") {
    return `NS at the wildcard "${row.name}" has no meaning that servers agree on (RFC 4592 4.2)`;
  }
  if (type === TYPE.DS && name === draft.origin) {
    return `DS at "${row.name}": it belongs to the zone above (RFC 4035 2.4)`;
  }
  if (type === TYPE.DS && !draft.types(name).includes(TYPE.NS)) {
    return `DS at "${row.name}", which is not delegated (RFC 4035 2.4)`;
  }
  if (type === TYPE.CNAME) return faultOfCname(draft, name, around);
  if (draft.types(name).includes(TYPE.CNAME)) {
    return `${typeName(type)} at "${row.name}" beside a CNAME, which must be alone at its name (RFC 1034 3.6.2)`;
  }
  if (type === TYPE.ALIAS) return faultOfAlias(draft, row, around);
  if (ADDRESSES.includes(type) && draft.types(name).includes(TYPE.ALIAS)) {
    return `${typeName(type)} at "${row.name}" beside an ALIAS, which is answered as addresses`;
  }
  return faultOfAliasTarget(row, draft.origin, around);
}

/** Its name is answered with the addresses of an app, which we know ourselves. */
function faultOfAlias(draft: Draft, row: Row, around: Surroundings): string | undefined {
  const name = nameOf(row);
  const other = draft.types(name).find((type) => ADDRESSES.includes(type));
  if (other !== undefined) {
    return `ALIAS beside ${typeName(other)} data of "${row.name}": it is answered as addresses`;
  }
  if (around.isDerived(name)) return `ALIAS at "${row.name}", which is a repl's name`;
  const target = targetsOf(row.type, row.values).find((each) => !around.isApp(each));
  if (target === undefined) return undefined;
  return `ALIAS to "${formatName(target)}", which is no app of ours: nothing else is resolved here`;
}

/** CNAME is alone at its name (RFC 1034 section 3.6.2, RFC 2181 section 10.1). */
function faultOfCname(draft: Draft, name: Name, around: Surroundings): string | undefined {
  const text = formatName(name);
  if (name === draft.origin) {
    return "CNAME at the zone's own name, beside SOA and NS (RFC 1912 2.4)";
  }
  const other = draft.types(name).find((type) => type !== TYPE.CNAME);
  if (other !== undefined) {
    return `CNAME beside ${typeName(other)} data of "${text}" (RFC 1034 3.6.2)`;
  }
  if (around.hasChallenge(name)) return `CNAME beside a challenge at "${text}" (RFC 1034 3.6.2)`;
  if (around.isDerived(name)) {
    return `CNAME at "${text}", which is a repl's name (RFC 1034 3.6.2)`;
  }
  return undefined;
}

/** A target in another zone of ours; those in this one are pointers of the draft. */
function faultOfAliasTarget({ type, values }: Row, origin: Name, around: Surroundings) {
  if (type !== TYPE.NS && type !== TYPE.MX && type !== TYPE.SRV) return undefined;
  const alias = targetsOf(type, values).find((target) => {
    return !isWithin(target, origin) && around.isAlias(target);
  });
  if (alias === undefined) return undefined;
  return `${typeName(type)} to "${formatName(alias)}", which is an alias (RFC 2181 10.3)`;
}

function faultOfLoss(draft: Draft, row: Row): string | undefined {
  const name = nameOf(row);
  const isNeeded = row.type === TYPE.SOA || row.type === TYPE.NS;
  if (name === draft.origin && isNeeded) {
    return `the zone must have its ${typeName(row.type)} (RFC 1035 5.2, RFC 2181 6.1)`;
  }
  if (row.type === TYPE.NS && draft.types(name).includes(TYPE.DS)) {
    return `"${row.name}" has DS data, which belongs to its NS (RFC 4035 2.4)`;
  }
  return undefined;
}

function faultOfPointer(draft: Draft, { owner, type, target }: Pointer, around: Surroundings) {
  const what = `${typeName(type)} at "${formatName(owner)}" to "${formatName(target)}"`;
  const types = draft.types(target);
  if (types.includes(TYPE.CNAME)) return `${what}, which is an alias (RFC 2181 10.3)`;
  if (type !== TYPE.NS) return undefined;
  const hasAddress = [...ADDRESSES, TYPE.ALIAS].some((type) => types.includes(type));
  if (hasAddress || around.isDerived(target)) return undefined;
  // Below another delegation the address is not ours to know.
  const cut = cutAbove(draft, target);
  if (cut !== undefined && cut !== owner) return undefined;
  return `${what}, which has no address in the zone (RFC 1912 2.8, RFC 9471 3)`;
}

/** The delegation that a name lies at or below, or undefined. */
function cutAbove(draft: Draft, name: Name): Name | undefined {
  for (let at = name; at !== draft.origin; at = parentOf(at)) {
    if (draft.get(at, TYPE.NS)) return at;
  }
  return undefined;
}
