/** What endpoints do with what they are given: read it, or refuse it as the caller's mistake. */
import { APIError } from "encore.dev/api";

import { TYPE } from "./core/codes";
import { isWithin, type Name, type Parsed } from "./core/names";
import { readZoneName } from "./core/rules";
import { instance } from "./instance";
import { config } from "./settings";
import type { Refusal } from "./store";

export function need<T>(what: string, read: Parsed<T>): T {
  if (!read.ok) throw APIError.invalidArgument(`Cannot ${what}: ${read.reason}`);
  return read.value;
}

export function needRevision(what: string, outcome: Refusal | number): number {
  if (typeof outcome === "number") return outcome;
  const message = `Cannot ${what}: ${outcome.reason}`;
  if (outcome.code === "not_found") throw APIError.notFound(message);
  if (outcome.code === "taken") throw APIError.alreadyExists(message);
  throw APIError.invalidArgument(message);
}

/** Whether a name is a repl's, whatever the zone holds beside it. */
export function isDerived(name: Name): boolean {
  const platform = readZoneName(config().zone);
  if (!platform.ok || !isWithin(name, platform.value)) return false;
  return instance().catalog.platform.node(name, platform.value) !== undefined;
}

export function isAlias(name: Name): boolean {
  return instance().catalog.zoneOf(name)?.node(name)?.has(TYPE.CNAME) ?? false;
}
