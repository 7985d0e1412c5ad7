import type { ValidationRule } from "../app-model";
import { basic, type Type, type WireLocation } from "./types";

const WIRE_TYPES: Readonly<Record<string, WireLocation>> = {
  Header: "header",
  Query: "query",
  Cookie: "cookie",
  HttpStatus: "status",
};

/**
 * A type that a package of Encore's gives meaning to; null for any other. A text says what is wrong
 * with its arguments.
 */
export function encoreType(pkg: string, name: string, args: readonly Type[]): Type | string | null {
  switch (pkg) {
    case "encore.dev/api": {
      const location = Object.hasOwn(WIRE_TYPES, name) ? WIRE_TYPES[name] : undefined;
      return location === undefined ? null : wireType(name, location, args);
    }
    case "encore.dev/pubsub":
      return name === "Attribute" ? wireType(name, "attribute", args) : null;
    case "encore.dev/types":
      return name === "Decimal" ? basic("decimal") : null;
    case "encore.dev/validate":
      return ruleType(name, args[0]);
    default:
      return null;
  }
}

/** `Header<"X-Key">`, `Header<number>` or `Header<number, "X-Key">`. */
function wireType(
  label: string,
  location: WireLocation,
  [first, second]: readonly Type[],
): Type | string {
  if (location === "status") {
    if (first !== undefined) return "HttpStatus takes no type argument: write HttpStatus";
    return { kind: "wire", location, name: null, base: basic("number") };
  }
  if (second === undefined) {
    const name = textOf(first);
    const base = name === null ? (first ?? basic("string")) : basic("string");
    return { kind: "wire", location, name, base };
  }
  const name = textOf(second);
  if (name === null) return `the name in ${label}<type, name> must be a string literal`;
  return { kind: "wire", location, name, base: first ?? basic("string") };
}

function textOf(type: Type | undefined): string | null {
  return type?.kind === "literal" && typeof type.value === "string" ? type.value : null;
}

const NUMBER_RULES = { Min: "min", Max: "max" } as const;
const LENGTH_RULES = { MinLen: "minLen", MaxLen: "maxLen" } as const;
const TEXT_RULES = {
  MatchesRegexp: "matchesRegexp",
  StartsWith: "startsWith",
  EndsWith: "endsWith",
} as const;

function ruleType(name: string, argument: Type | undefined): Type | string | null {
  const rule = validationRule(name, argument?.kind === "literal" ? argument.value : null);
  return rule === null || typeof rule === "string" ? rule : { kind: "rule", rule };
}

function validationRule(
  name: string,
  value: string | number | boolean | null,
): ValidationRule | string | null {
  if (name === "IsEmail") return { rule: "isEmail" };
  if (name === "IsURL") return { rule: "isURL" };
  if (Object.hasOwn(NUMBER_RULES, name)) {
    if (typeof value !== "number") return `${name} needs a number literal, such as ${name}<1>`;
    return { rule: NUMBER_RULES[name as keyof typeof NUMBER_RULES], value };
  }
  if (Object.hasOwn(LENGTH_RULES, name)) {
    if (typeof value !== "number" || value < 0 || !Number.isInteger(value)) {
      return `${name} needs a whole number from 0, such as ${name}<1>`;
    }
    return { rule: LENGTH_RULES[name as keyof typeof LENGTH_RULES], value };
  }
  if (!Object.hasOwn(TEXT_RULES, name)) return null;
  if (typeof value !== "string") return `${name} needs a string literal, such as ${name}<"a">`;
  return { rule: TEXT_RULES[name as keyof typeof TEXT_RULES], value };
}
