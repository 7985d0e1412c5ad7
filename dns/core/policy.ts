/** What the holder of a key may do: in which zones, at which names, with which types. */
import { typeCode } from "./codes";
import { formatName, labelsOf, type Name, parseName } from "./names";

export interface Policy {
  /** Names of zones, or `*` for all. */
  readonly zones: readonly string[];
  /** Whole names in which `*` stands for one label or more: `_acme-challenge.*`, `*.dyn.example.org`. */
  readonly names: readonly string[];
  /** Types, or `*` for all. */
  readonly types: readonly string[];
  readonly mayTransfer: boolean;
  readonly mayUpdate: boolean;
}

export const mayTransfer = ({ mayTransfer: may, zones }: Policy, zone: Name): boolean =>
  may && isZone(zones, zone);

export function mayUpdate(policy: Policy, zone: Name, name: Name, type: number): boolean {
  if (!policy.mayUpdate || !isZone(policy.zones, zone)) return false;
  const isType = policy.types.some((text) => text === "*" || typeCode(text) === type);
  return (
    isType && policy.names.some((pattern) => matches(labelsOfPattern(pattern), labelsOf(name)))
  );
}

const isZone = (zones: readonly string[], zone: Name): boolean =>
  zones.some((text) => text === "*" || text === formatName(zone));

/** A pattern's labels, folded; `*` stays what it is. Empty when it is no pattern. */
export function labelsOfPattern(pattern: string): readonly string[] {
  const name = parseName(pattern.toLowerCase());
  return name.ok ? labelsOf(name.value) : [];
}

/** Each `*` takes at least one label; at most 127 labels and a few stars, so trying is cheap. */
function matches(pattern: readonly string[], labels: readonly string[]): boolean {
  const [first, ...rest] = pattern;
  if (first === undefined) return labels.length === 0;
  if (labels.length === 0) return false;
  if (first !== "*") return first === labels[0] && matches(rest, labels.slice(1));
  if (rest.length === 0) return true;
  return labels.some((_label, index) => index > 0 && matches(rest, labels.slice(index)));
}

/** More than one star means trying many ways: a pattern has one (and a bare `*` is one). */
export function faultOfPattern(pattern: string): string | undefined {
  const labels = labelsOfPattern(pattern);
  if (labels.length === 0) return `"${pattern}": expected a name, in which one label may be "*"`;
  if (labels.filter((label) => label === "*").length <= 1) return undefined;
  return `"${pattern}" has more than one "*"`;
}
