import type { ValidationRule } from "../app-model";
import { basic, type Type, type WireLocation } from "./types";

const WIRE_TYPES: Readonly<Record<string, WireLocation>> = {
  Header: "header",
  Query: "query",
  Cookie: "cookie",
  HttpStatus: "status",
};

/** A type that a package of Encore's gives meaning to; null for any other. */
export function encoreType(pkg: string, name: string, args: readonly Type[]): Type | null {
  switch (pkg) {
    case "encore.dev/api": {
      const location = Object.hasOwn(WIRE_TYPES, name) ? WIRE_TYPES[name] : undefined;
      return location === undefined ? null : wireType(location, args);
    }
    case "encore.dev/pubsub": {
      const base = args[0] ?? basic("string");
      return name === "Attribute"
        ? { kind: "wire", location: "attribute", name: null, base }
        : null;
    }
    case "encore.dev/types":
      return name === "Decimal" ? basic("decimal") : null;
    case "encore.dev/validate": {
      const rule = validationRule(name, args);
      return rule === null ? null : { kind: "rule", rule };
    }
    default:
      return null;
  }
}

/** `Header<"X-Key">`, `Header<number>` or `Header<number, "X-Key">`. */
function wireType(location: WireLocation, args: readonly Type[]): Type {
  if (location === "status") return { kind: "wire", location, name: null, base: basic("number") };
  const [first, second] = args;
  const ownName = textOf(first);
  if (second === undefined && ownName !== null) {
    return { kind: "wire", location, name: ownName, base: basic("string") };
  }
  return { kind: "wire", location, name: textOf(second), base: first ?? basic("string") };
}

function textOf(type: Type | undefined): string | null {
  return type?.kind === "literal" && typeof type.value === "string" ? type.value : null;
}

const NUMBER_RULES = { Min: "min", Max: "max", MinLen: "minLen", MaxLen: "maxLen" } as const;
const TEXT_RULES = {
  MatchesRegexp: "matchesRegexp",
  StartsWith: "startsWith",
  EndsWith: "endsWith",
} as const;

function validationRule(name: string, args: readonly Type[]): ValidationRule | null {
  const arg = args[0]?.kind === "literal" ? args[0].value : null;
  if (Object.hasOwn(NUMBER_RULES, name) && typeof arg === "number") {
    return { rule: NUMBER_RULES[name as keyof typeof NUMBER_RULES], value: arg };
  }
  if (Object.hasOwn(TEXT_RULES, name) && typeof arg === "string") {
    return { rule: TEXT_RULES[name as keyof typeof TEXT_RULES], value: arg };
  }
  if (name === "IsEmail") return { rule: "isEmail" };
  return name === "IsURL" ? { rule: "isURL" } : null;
}
