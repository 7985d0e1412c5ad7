// What is asked of the split application, running as two processes: "front" with the gateway, and
// "back" without one, which hosts back and side. The answers of the real Encore runtime to the same
// requests are in split-golden.json.
import { createHash, createHmac, type Hash } from "node:crypto";
import { type IncomingMessage, type OutgoingHttpHeaders, request as httpRequest } from "node:http";

export interface Claim {
  readonly caller: string;
  readonly userId?: string;
  readonly authData?: string;
  readonly version?: string;
  readonly key?: string;
  readonly keyId?: number;
  readonly agoMs?: number;
  /** Set, or with null taken away, after it was signed. */
  readonly after?: Readonly<Record<string, string | null>>;
}

export interface Case {
  readonly to: "front" | "back";
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
  readonly sign?: Claim;
}

type Cases = Readonly<Record<string, Case>>;
type Keys = readonly { type: "key"; id: number; key: string }[] | null;

/** What both processes have in their infra config as `auth`, unless a case's set says otherwise. */
export const KEYS: Keys = [{ type: "key", id: 7, key: "split-test-key" }];
const OTHER_KEYS: Keys = [{ type: "key", id: 7, key: "another" }];
export const METADATA = {
  app_id: "split",
  env_name: "test",
  env_type: "development",
  cloud: "local",
};

/** By set: the keys of each process; null is none, and `back: false` leaves that process out. */
export const SETS: Readonly<Record<string, { front: Keys; back: Keys | false }>> = {
  keys: { front: KEYS, back: KEYS },
  "no keys": { front: null, back: null },
  "front without keys": { front: null, back: KEYS },
  "back without keys": { front: KEYS, back: null },
  "other keys": { front: KEYS, back: OTHER_KEYS },
  "back is gone": { front: KEYS, back: false },
};

type Headers = Record<string, string>;
const get = (to: Case["to"], path: string, headers: Headers = {}): Case => ({
  to,
  method: "GET",
  path,
  headers,
});
const post = (to: Case["to"], path: string, body: unknown, headers: Headers = {}): Case => ({
  to,
  method: "POST",
  path,
  headers: { "content-type": "application/json", ...headers },
  body: typeof body === "string" ? body : JSON.stringify(body),
});
const bearer = { authorization: "Bearer ada" };
const service = { caller: "api:front.ask" };
const stock = "/v1/back/stock/x?count=1";
const note = { "x-note": "n" };
const origin = { origin: "https://a.example" };

const calls: Cases = {
  "call: parameters and results": get("front", "/v1/front/ask/x"),
  "call: encoded path": get("front", "/v1/front/ask/a%2Fb%20c%C3%A9"),
  "call: APIError with details": get("front", "/v1/front/caught/none"),
  "call: APIError without": get("front", "/v1/front/caught/busy"),
  "call: unexpected error": get("front", "/v1/front/caught/broken"),
  "call: unexpected error, not caught": get("front", "/v1/front/ask/broken"),
  "call: APIError, not caught": get("front", "/v1/front/ask/none"),
  "call: auth needed": get("front", "/v1/front/caught/secret"),
  "call: with the user": get("front", "/v1/front/me", bearer),
  "call: with another user": get("front", "/v1/front/as/eve"),
  "call: there and back": get("front", "/v1/front/round"),
};

const forwarded: Cases = {
  "hosted: front": get("front", "/v1/front/hosted"),
  "hosted: back": get("front", "/v1/back/hosted"),
  "gateway: typed": get("front", "/v1/back/open/a", origin),
  "gateway: encoded path": get("front", "/v1/back/open/a%2Fb"),
  "gateway: invalid utf-8": get("front", "/v1/back/open/%FF"),
  "gateway: body": post("front", "/v1/back/orders", { item: "a" }),
  "gateway: bad body": post("front", "/v1/back/orders", "{"),
  "gateway: body too long": post("front", "/v1/back/orders", { item: "x".repeat(3_000_000) }),
  "gateway: known error": get("front", "/v1/back/fails/known"),
  "gateway: unexpected error": get("front", "/v1/back/fails/x", origin),
  "gateway: no user": get("front", "/v1/back/secret"),
  "gateway: user": get("front", "/v1/back/secret", bearer),
  "gateway: auth handler refuses": get("front", "/v1/back/secret", { authorization: "Basic x" }),
  "gateway: auth handler fails": get("front", "/v1/back/open/a", {
    authorization: "Bearer broken",
  }),
  "gateway: private": get("front", stock, note),
  "gateway: private, bad parameters": get("front", stock),
  "gateway: private, bad body": post("front", "/v1/back/stock", "{"),
  "gateway: raw": post("front", "/v1/back/raw/a/b?c=d", "x".repeat(100_000), { "x-a": "1" }),
  "gateway: raw delete": { to: "front", method: "DELETE", path: "/v1/back/raw/a", headers: {} },
  "gateway: raw head": { to: "front", method: "HEAD", path: "/v1/back/raw/a", headers: {} },
  "gateway: options": { to: "front", method: "OPTIONS", path: "/v1/back/open/a", headers: origin },
  "gateway: head": { to: "front", method: "HEAD", path: "/v1/back/open/a", headers: {} },
  "gateway: wrong method": post("front", "/v1/back/open/a", "{}"),
  "gateway: no such path": get("front", "/v1/nowhere"),
};

const direct: Cases = {
  "direct: typed": get("back", "/v1/back/open/a", origin),
  "direct: trailing slash": get("back", "/v1/back/open/a/"),
  "direct: body": post("back", "/v1/back/orders", { item: "a" }),
  "direct: bad body": post("back", "/v1/back/orders", "{"),
  "direct: known error": get("back", "/v1/back/fails/known"),
  "direct: private": get("back", stock, note),
  "direct: private, bad parameters": get("back", stock),
  "direct: user": get("back", "/v1/back/secret", bearer),
  "direct: options": { to: "back", method: "OPTIONS", path: "/v1/back/open/a", headers: origin },
  "direct: options of a raw": {
    to: "back",
    method: "OPTIONS",
    path: "/v1/back/raw/a",
    headers: origin,
  },
  "direct: head": { to: "back", method: "HEAD", path: "/v1/back/open/a", headers: {} },
  "direct: wrong method": post("back", "/v1/back/open/a", "{}"),
  "direct: no such path": get("back", "/v1/nowhere"),
  "direct: another process's service": get("back", "/v1/front/hosted"),
  "direct: raw": post("back", "/v1/back/raw/a?b=c", "abc", { "x-a": "1", "x-forwarded-for": "::1" }),
  "direct: Encore's other paths": get("back", "/__encore/nothing"),
};

const signed = (path: string, sign: Claim, headers: Headers = note): Case => ({
  ...get("back", path, headers),
  sign,
});
const claims: Cases = {
  "claim: a service": signed(stock, service),
  "claim: a service, at the gateway": { ...signed(stock, service), to: "front" },
  "claim: a service, for its own process": {
    ...get("front", "/v1/front/end"),
    sign: service,
  },
  "claim: a message": signed(stock, { caller: "pubsub:t:s:1" }),
  "claim: the application": signed(stock, { caller: "app:" }),
  "claim: the gateway": signed(stock, { caller: "gateway:api-gateway" }),
  "claim: nonsense": signed(stock, { caller: "nonsense" }),
  "claim: known error": signed("/v1/back/stock/none?count=1", service),
  "claim: unexpected error": signed("/v1/back/stock/broken?count=1", service),
  "claim: a user": signed("/v1/back/secret", { ...service, userId: "eve" }, {}),
  "claim: a user, at the gateway": {
    ...signed("/v1/back/secret", { ...service, userId: "eve" }, {}),
    to: "front",
  },
  "claim: a user with data": signed(
    "/v1/back/whoami",
    { ...service, userId: "eve", authData: '{"userID":"eve","name":"Zoë"}' },
    {},
  ),
  "claim: a user with data, where the gateway is": {
    ...get("front", "/v1/front/known"),
    sign: {
      ...service,
      userId: "eve",
      authData: '{"userID":"eve","name":"e","since":"1970-01-01T00:00:00Z"}',
    },
  },
  "claim: a user with data that is none": signed(
    "/v1/back/whoami",
    { ...service, userId: "eve", authData: "{" },
    {},
  ),
  "claim: wrong key": signed(stock, { ...service, key: "guessed" }),
  "claim: wrong key, at the gateway": {
    ...signed(stock, { ...service, key: "guessed" }),
    to: "front",
  },
  "claim: wrong key, open endpoint": signed("/v1/back/open/a", { ...service, key: "guessed" }, {}),
  "claim: unknown key": signed(stock, { ...service, keyId: 8 }),
  "claim: old": signed(stock, { ...service, agoMs: 125_000 }),
  "claim: a little old": signed(stock, { ...service, agoMs: 100_000 }),
  "claim: of tomorrow": signed(stock, { ...service, agoMs: -125_000 }),
  "claim: another user afterwards": signed(stock, { ...service, after: { userid: "eve" } }),
  "claim: another day": signed(stock, { ...service, after: { date: "Mon, 01 Jan 2024 00:00:00 GMT" } }),
  "claim: no date": signed(stock, { ...service, after: { date: null } }),
  "claim: no signature": signed(stock, { ...service, after: { "svc-auth": null } }),
  "claim: bad signature": signed(stock, { ...service, after: { "svc-auth": "nonsense" } }),
  "claim: no method": signed(stock, { ...service, after: { "svc-auth-method": null } }),
  "claim: noop": signed(stock, { ...service, after: { "svc-auth-method": "noop" } }),
  "claim: noop at the gateway": {
    ...signed(stock, { ...service, after: { "svc-auth-method": "noop" } }),
    to: "front",
  },
  "claim: another version": signed(stock, { ...service, version: "2" }),
  "claim: another version alone": get("back", "/v1/back/open/a", { "x-encore-meta-version": "2" }),
  "claim: another version, at the gateway": get("front", "/v1/back/open/a", {
    "x-encore-meta-version": "2",
  }),
  "claim: caller without anything": get("back", stock, {
    ...note,
    "x-encore-meta-caller": "api:front.ask",
  }),
  "claim: user without a caller": get("back", "/v1/back/secret", { "x-encore-meta-userid": "eve" }),
  "claim: user at the gateway": get("front", "/v1/back/secret", { "x-encore-meta-userid": "eve" }),
  "claim: raw sees no metadata": post("back", "/v1/back/raw/a", "", {
    "x-encore-meta-userid": "eve",
  }),
};

const all: Cases = { ...calls, ...forwarded, ...direct, ...claims };
const some = (...names: string[]): Cases =>
  Object.fromEntries(names.map((name) => [name, all[name] as Case]));

const unsigned = some(
  "call: parameters and results",
  "call: there and back",
  "gateway: typed",
  "gateway: user",
  "gateway: private",
  "direct: private",
  "claim: a service",
  "claim: a service, at the gateway",
  "claim: noop",
  "claim: noop at the gateway",
  "claim: caller without anything",
);

/** By set and name. */
export const CASES: Readonly<Record<string, Cases>> = {
  keys: all,
  "no keys": unsigned,
  "front without keys": unsigned,
  "back without keys": unsigned,
  "other keys": some("call: parameters and results", "gateway: typed", "claim: a service"),
  "back is gone": some(
    "call: parameters and results",
    "call: APIError with details",
    "gateway: typed",
    "gateway: body",
    "gateway: raw",
  ),
};
/** Signs as Encore does; written apart from the runtime's own code, so that one checks the other. */
function metadata(sign: Claim): Headers {
  const { caller, userId, authData, version = "1", key = "split-test-key", keyId = 7 } = sign;
  const meta = {
    authdata: authData && Buffer.from(authData).toString("latin1"),
    caller,
    userid: userId,
    version,
  };
  const now = new Date(Date.now() - (sign.agoMs ?? 0));
  const sha3 = (data: Buffer): Hash => createHash("sha3-256").update(data);
  const lines = Object.entries(meta).filter(([, value]) => value !== undefined);
  const payload = sha3(
    Buffer.from(lines.map(([k, v]) => `x-encore-meta-${k}=${v}\n`).join(""), "latin1"),
  ).digest();
  const size = Buffer.from([payload.length, 0, 0, 0]);
  const op = sha3(Buffer.concat([Buffer.from("internal-apicall\0"), size, payload])).digest("hex");
  const day = now.toISOString().slice(0, 10).replaceAll("-", "");
  const cred = [day, METADATA.app_id, METADATA.env_name, keyId].join("/");
  const hmac = (k: Buffer, data: string): Buffer =>
    createHmac("sha3-256", k).update(data).digest();
  const steps = [day, METADATA.app_id, METADATA.env_name, "encore_request"];
  const start: Buffer = Buffer.from(`ENCORE1${key}`);
  const signing = steps.reduce((before, step) => hmac(before, step), start);
  const scheme = "ENCORE1-HMAC-SHA3-256";
  const time = now.toISOString().replace(/\.\d+/, "");
  const sig = hmac(signing, [scheme, time, cred, op].join("\n")).toString("hex");
  const named: Record<string, string | null | undefined> = {
    ...meta,
    "svc-auth": `${scheme} cred="${cred}", op=${op}, sig=${sig}`,
    "svc-auth-method": "encore-auth",
    date: now.toUTCString(),
    ...sign.after,
  };
  const entries = Object.entries(named).filter(([, value]) => typeof value === "string");
  return Object.fromEntries(
    entries.map(([name, value]) => [`x-encore-meta-${name}`, value as string]),
  );
}

const COMPARED = /^(content-type|allow|access-control-.*|vary|server|cache-control|set-cookie)$/;

export interface Answer {
  readonly status: number | undefined;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly body: unknown;
}

/** Asks one case; gives what of the answer can be compared. */
export function ask(
  bases: Readonly<Record<Case["to"], string>>,
  { to, method, path, headers, body, sign }: Case,
): Promise<Answer> {
  const sent: OutgoingHttpHeaders = { ...headers, ...(sign && metadata(sign)) };
  if (body !== undefined) sent["content-length"] = Buffer.byteLength(body);
  return new Promise((resolve, reject) => {
    const request = httpRequest(bases[to] + path, { method, headers: sent, agent: false });
    request.on("error", reject);
    request.on("response", (response) => void read(response).then(resolve, reject));
    request.end(body);
  });

  async function read(response: IncomingMessage): Promise<Answer> {
      const text = (await response.toArray()).map(String).join("");
      const named = Object.entries(response.headers).filter(([name]) => COMPARED.test(name));
      return {
        status: response.statusCode,
        headers: Object.fromEntries(named.map(comparableHeader).toSorted()),
        body: comparable(text, new URL(bases[to]).host),
      };
  }
}

/** Encore lists some allowed headers twice. */
function comparableHeader([name, value]: [string, unknown]): [string, unknown] {
  if (name !== "access-control-allow-headers") return [name, value];
  return [name, [...new Set(String(value).split(","))].toSorted().join()];
}

/** Without what differs from run to run, and the decoders' positions. */
function comparable(text: string, host: string): unknown {
  const plain = text.replaceAll(host, "<host>").replace(/ at line \d+ column \d+/, "");
  try {
    return JSON.parse(plain);
  } catch {
    return plain;
  }
}
