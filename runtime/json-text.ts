/**
 * Values as Encore writes them in JSON. It differs from `JSON.stringify` in numbers: a whole number
 * outside 32 bits has become a float on its way out of JavaScript, and shows it (`1700000000000.0`).
 */

const MAX_DEPTH = 128;
const UINT32_MAX = 4_294_967_295;
const INT32_MIN = -2_147_483_648;

/** A number as Rust prints it: shortest digits, and `.0` on whole floats. */
export function numberText(value: number): string {
  if (!Number.isFinite(value)) {
    throw new Error("Failed to convert js number to serde_json::Number");
  }
  if (Number.isInteger(value) && value >= INT32_MIN && value <= UINT32_MAX) {
    return Object.is(value, -0) ? "-0.0" : String(value);
  }
  const [digits = "", exponentText = "0"] = value.toExponential().split("e");
  const exponent = Number(exponentText);
  if (exponent >= 16 || exponent < -5) return `${digits}e${exponent}`;
  const plain = plainDecimal(digits, exponent);
  return plain.includes(".") ? plain : `${plain}.0`;
}

function plainDecimal(mantissa: string, exponent: number): string {
  const sign = mantissa.startsWith("-") ? "-" : "";
  const digits = mantissa.replace(/[-.]/g, "");
  if (exponent < 0) return `${sign}0.${"0".repeat(-exponent - 1)}${digits}`;
  const whole = digits.slice(0, exponent + 1).padEnd(exponent + 1, "0");
  const rest = digits.slice(exponent + 1);
  return rest === "" ? sign + whole : `${sign}${whole}.${rest}`;
}

export function isDecimal(value: unknown): value is { toString(): string } {
  return (
    typeof value === "object" &&
    value !== null &&
    (value as { __encore_decimal?: boolean }).__encore_decimal === true
  );
}

/** The JSON of a value, as Encore stores it in a jsonb column or sends it as a message. */
export function jsonText(value: unknown, depth = 0): string {
  if (depth > MAX_DEPTH) throw new Error(`The value is nested deeper than ${MAX_DEPTH} levels`);
  switch (typeof value) {
    case "string":
      return JSON.stringify(value);
    case "number":
      return numberText(value);
    case "boolean":
      return String(value);
    case "bigint":
      return `"${value}"`;
    case "object":
      return value === null ? "null" : objectText(value, depth);
    default:
      throw new Error(`A value of type ${typeof value} has no JSON`);
  }
}

function objectText(value: object, depth: number): string {
  // Milliseconds are left out where there are none.
  if (value instanceof Date) return JSON.stringify(value.toISOString().replace(".000Z", "Z"));
  if (Array.isArray(value)) return `[${value.map((item) => jsonText(item, depth + 1)).join(",")}]`;
  // oxlint-disable-next-line typescript/no-base-to-string -- a Decimal has a toString of its own
  if (isDecimal(value)) return JSON.stringify(value.toString());
  let members = "";
  for (const key of Object.keys(value)) {
    const member = (value as Record<string, unknown>)[key];
    if (member === undefined) continue;
    members += `${members === "" ? "" : ","}${JSON.stringify(key)}:${jsonText(member, depth + 1)}`;
  }
  return `{${members}}`;
}

/** A token that is a string, or a whole number long enough to lose digits in a double. */
const STRING_OR_LONG_INTEGER = /"(?:[^"\\]|\\.)*"|(?<![\d.eE+-])-?\d{16,20}(?![\d.eE])/g;
const MARK = "\u0000bigint\u0000";
const I64_MIN = -(2n ** 63n);
const U64_MAX = 2n ** 64n - 1n;

/** JSON.parse, but a whole number that a double cannot hold comes back as a bigint. */
export function parseJson(text: string): unknown {
  let long = false;
  const marked = text.replace(STRING_OR_LONG_INTEGER, (token) => {
    if (token.startsWith('"') || Number.isSafeInteger(Number(token))) return token;
    const exact = BigInt(token);
    if (exact < I64_MIN || exact > U64_MAX) return token;
    long = true;
    return JSON.stringify(MARK + token);
  });
  if (!long) return JSON.parse(text);
  return JSON.parse(marked, (_key, value: unknown) =>
    typeof value === "string" && value.startsWith(MARK) ? BigInt(value.slice(MARK.length)) : value,
  );
}
