/** What endpoints do with what they are given: read it, or refuse it as the caller's mistake. */
import { domainToASCII } from "node:url";

import { APIError } from "encore.dev/api";

import { TYPE } from "./core/codes";
import type { Draft } from "./core/draft";
import { labelsOf, type Name, type Parsed } from "./core/names";
import { instance } from "./instance";
import { config } from "./settings";
import type { Refusal } from "./store";

const UNICODE = /\P{ASCII}/u;

/**
 * Letters of any language are A-labels on the wire (RFC 5891, UTS 46). In front of a label with an
 * underscore they stay, and are refused: names of services are UTF-8 (RFC 6763 section 4.1.1).
 */
export function toAscii(name: string): string {
  if (!UNICODE.test(name)) return name;
  const labels = name.split(".");
  const host = labels.findLastIndex((label) => label.startsWith("_")) + 1;
  const converted = labels.map((label, index) => {
    return index >= host && UNICODE.test(label) ? domainToASCII(label) || label : label;
  });
  return converted.join(".");
}

export function need<T>(what: string, read: Parsed<T>): T {
  if (!read.ok) throw APIError.invalidArgument(`Cannot ${what}: ${read.reason}`);
  return read.value;
}

/** What a change came to, unless it was refused. */
export function needDone<T extends number | Draft>(what: string, outcome: Refusal | T): T {
  if (!isRefusal(outcome)) return outcome;
  const message = `Cannot ${what}: ${outcome.reason}`;
  if (outcome.code === "not_found") throw APIError.notFound(message);
  if (outcome.code === "taken") throw APIError.alreadyExists(message);
  throw APIError.invalidArgument(message);
}

const isRefusal = (outcome: Refusal | number | Draft): outcome is Refusal =>
  typeof outcome === "object" && "code" in outcome;

/** Whether a name is a repl's, whatever the zone holds beside it. */
export function isDerived(name: Name): boolean {
  return instance().catalog.derived(name) !== undefined;
}

/** Whether a name is one of an app, and not only of those in whose names apps have theirs. */
export function isApp(name: Name): boolean {
  const labels = labelsOf(name);
  const depth = labels.length - config().zone.split(".").length;
  return isDerived(name) && (depth === 2 || (depth === 1 && labels[0]!.includes("--")));
}

export function isAlias(name: Name): boolean {
  return instance().catalog.zoneOf(name)?.node(name)?.has(TYPE.CNAME) ?? false;
}
