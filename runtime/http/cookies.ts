/** What an application sets for `Cookie<"name">` in a response. */
interface CookieValue {
  readonly value: unknown;
  readonly expires?: Date;
  readonly sameSite?: string;
  readonly domain?: string;
  readonly path?: string;
  readonly maxAge?: number;
  readonly secure?: boolean;
  readonly httpOnly?: boolean;
  readonly partitioned?: boolean;
}

/** One `Set-Cookie` line, its attributes in the order in which Encore writes them. */
export function serializeCookie(name: string, given: unknown): string {
  const cookie = isCookieValue(given) ? given : { value: given };
  const parts = [`${name}=${String(cookie.value)}`];
  if (cookie.httpOnly) parts.push("HttpOnly");
  if (cookie.sameSite) parts.push(`SameSite=${cookie.sameSite}`);
  if (cookie.partitioned) parts.push("Partitioned");
  if (cookie.secure) parts.push("Secure");
  if (cookie.path) parts.push(`Path=${cookie.path}`);
  if (cookie.domain) parts.push(`Domain=${cookie.domain}`);
  if (cookie.maxAge !== undefined) parts.push(`Max-Age=${cookie.maxAge}`);
  if (cookie.expires) parts.push(`Expires=${cookie.expires.toUTCString()}`);
  return parts.join("; ");
}

/** The cookies of a request. The first of a name counts. */
export function parseCookies(header: string | undefined): Record<string, string> {
  const cookies: Record<string, string> = {};
  for (const part of (header ?? "").split(";")) {
    const equals = part.indexOf("=");
    if (equals < 0) continue;
    const name = part.slice(0, equals).trim();
    if (name === "" || name === "__proto__" || Object.hasOwn(cookies, name)) continue;
    cookies[name] = part.slice(equals + 1).trim();
  }
  return cookies;
}

function isCookieValue(value: unknown): value is CookieValue {
  return typeof value === "object" && value !== null && "value" in value;
}
