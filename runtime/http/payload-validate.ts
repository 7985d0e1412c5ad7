import type { ValidationRule } from "../app-model";
import { numberText } from "../json-text";

/** Why the value breaks the rule, in Encore's words; null when it does not. */
export function ruleFault(rule: ValidationRule, value: unknown): string | null {
  switch (rule.rule) {
    case "and":
      return firstFault(rule.rules, value);
    case "or": {
      const faults = rule.rules.map((part) => ruleFault(part, value));
      return faults.includes(null) ? null : (faults[0] ?? null);
    }
    case "min":
    case "max":
      return boundFault(rule.rule, rule.value, value);
    case "minLen":
    case "maxLen":
      return lengthFault(rule.rule, rule.value, value);
    default:
      return textFault(rule, String(value));
  }
}

function firstFault(rules: readonly ValidationRule[], value: unknown): string | null {
  for (const rule of rules) {
    const fault = ruleFault(rule, value);
    if (fault !== null) return fault;
  }
  return null;
}

function boundFault(rule: "min" | "max", bound: number, value: unknown): string | null {
  const number = Number(value);
  if (rule === "min" ? number >= bound : number <= bound) return null;
  const shown = typeof value === "number" ? numberText(value) : String(value);
  return `value must be at ${rule === "min" ? "least" : "most"} ${bound} (got ${shown})`;
}

function lengthFault(rule: "minLen" | "maxLen", bound: number, value: unknown): string | null {
  // As in Rust, a string is as long as its UTF-8 bytes.
  const length = typeof value === "string" ? Buffer.byteLength(value) : (value as unknown[]).length;
  if (rule === "minLen") {
    return length >= bound ? null : `length too short (got ${length}, expected at least ${bound})`;
  }
  return length <= bound ? null : `length too long (got ${length}, expected at most ${bound})`;
}

type TextRule = Exclude<
  ValidationRule,
  { rule: "and" | "or" | "min" | "max" | "minLen" | "maxLen" }
>;

function textFault(rule: TextRule, value: string): string | null {
  switch (rule.rule) {
    case "matchesRegexp": {
      const shown = JSON.stringify(rule.value);
      return regexpOf(rule.value).test(value) ? null : `value does not match the regexp ${shown}`;
    }
    case "startsWith":
      return value.startsWith(rule.value)
        ? null
        : `value does not start with ${JSON.stringify(rule.value)}`;
    case "endsWith":
      return value.endsWith(rule.value)
        ? null
        : `value does not end with ${JSON.stringify(rule.value)}`;
    case "isEmail":
      return isEmail(value) ? null : "value is not an email";
    case "isURL":
      return isUrl(value) ? null : "value is not a url";
  }
}

const regexps = new Map<string, RegExp>();

function regexpOf(source: string): RegExp {
  let regexp = regexps.get(source);
  if (regexp === undefined) {
    regexp = new RegExp(source, "u");
    regexps.set(source, regexp);
  }
  return regexp;
}

const MAX_EMAIL_LENGTH = 254;

function isEmail(value: string): boolean {
  const atom = "[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+";
  const label = "[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?";
  const pattern = new RegExp(`^${atom}(?:\\.${atom})*@${label}(?:\\.${label})*$`);
  return value.length <= MAX_EMAIL_LENGTH && pattern.test(value);
}

function isUrl(value: string): boolean {
  return URL.canParse(value);
}
