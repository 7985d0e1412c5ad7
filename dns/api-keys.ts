/** TSIG keys: who may transfer and update zones (RFC 8945), and the secondaries that are told of changes. */
import { randomBytes } from "node:crypto";

import { APIError, api } from "encore.dev/api";
import type { MaxLen } from "encore.dev/validate";

import { address as readAddress } from "../shared/settings";
import { need, toAscii } from "./checks";
import { typeName } from "./core/codes";
import { fold, formatName, parseName } from "./core/names";
import { faultOfPattern } from "./core/policy";
import { readType, readZoneName } from "./core/rules";
import { type Algorithm, ALGORITHMS } from "./core/tsig";
import { keyRing, sealSecret } from "./keys";
import { formatAddress } from "./protocol";
import { secondaries } from "./secondaries";
import * as store from "./store-keys";

/** Shorter ones can be guessed; longer ones than HMAC's block are hashed first (RFC 8945 8). */
const MIN_SECRET_OCTETS = 16;
const MAX_SECRET_OCTETS = 128;

/** A key's name and what its holder may do. The secret is shown once, when it is made. */
export interface DnsKey {
  name: string;
  algorithm: "hmac-sha256" | "hmac-sha384" | "hmac-sha512";
  /** May transfer the zones (AXFR, IXFR). */
  transfer: boolean;
  /** May update them (RFC 2136), at the names and of the types below. */
  update: boolean;
  /** `*` for all. */
  zones: string[];
  /** Whole names in which one `*` stands for labels: `_acme-challenge.*`. */
  names: string[];
  /** `*` for all. */
  types: string[];
  /** ISO 8601. */
  createdAt: string;
}

interface KeyList {
  items: DnsKey[];
}

interface AddKeyRequest {
  name: string;
  /** `hmac-sha256` when absent. */
  algorithm?: "hmac-sha256" | "hmac-sha384" | "hmac-sha512";
  /** In base64; made when absent. */
  secret?: string & MaxLen<256>;
  transfer?: boolean;
  update?: boolean;
  zones: string[] & MaxLen<100>;
  names?: string[] & MaxLen<100>;
  types?: string[] & MaxLen<100>;
}

/** A key as it is given out. */
export interface NewKey {
  name: string;
  algorithm: "hmac-sha256" | "hmac-sha384" | "hmac-sha512";
  /** In base64. */
  secret: string;
}

/** Add a key. Its secret is answered here and never again. */
export const addKey = api(
  { expose: true, auth: true, method: "POST", path: "/v1/dns/keys" },
  async (request: AddKeyRequest): Promise<NewKey> => {
    const what = `add the key "${request.name}"`;
    const name = formatName(fold(need(what, parseName(request.name))));
    const algorithm = request.algorithm ?? "hmac-sha256";
    const secret = readSecret(what, algorithm, request.secret);
    const isAdded = await store.addKey({
      name,
      algorithm,
      sealed: sealSecret(name, secret),
      mayTransfer: request.transfer ?? false,
      mayUpdate: request.update ?? false,
      zones: request.zones.map((zone) => (zone === "*" ? zone : readZone(what, zone))),
      names: (request.names ?? []).map((pattern) => readPattern(what, pattern)),
      types: (request.types ?? []).map((type) => {
        return type === "*" ? type : typeName(need(what, readType(type)));
      }),
    });
    if (!isAdded) throw APIError.alreadyExists(`Cannot ${what}: there is one of that name`);
    keyRing().forget();
    return { name, algorithm, secret: secret.toString("base64") };
  },
);

function readSecret(what: string, algorithm: Algorithm, text: string | undefined): Buffer {
  if (text === undefined) return randomBytes(ALGORITHMS[algorithm]);
  const secret = Buffer.from(text, "base64");
  const isBase64 = secret.toString("base64").replace(/=+$/, "") === text.replace(/=+$/, "");
  if (isBase64 && secret.length >= MIN_SECRET_OCTETS && secret.length <= MAX_SECRET_OCTETS) {
    return secret;
  }
  throw APIError.invalidArgument(
    `Cannot ${what}: the secret has ${secret.length} octets, expected 16 to 128 in base64`,
  );
}

const readZone = (what: string, text: string): string =>
  formatName(need(what, readZoneName(toAscii(text))));

function readPattern(what: string, pattern: string): string {
  const fault = faultOfPattern(pattern);
  if (fault !== undefined) throw APIError.invalidArgument(`Cannot ${what}: ${fault}`);
  return pattern.toLowerCase().replace(/\.$/, "");
}

/** List the keys, without their secrets. */
export const listKeys = api(
  { expose: true, auth: true, method: "GET", path: "/v1/dns/keys" },
  async (): Promise<KeyList> => ({ items: (await store.listKeys()).map(toKey) }),
);

function toKey({ sealed: _sealed, mayTransfer, mayUpdate, ...row }: store.KeyRow): DnsKey {
  const algorithm = row.algorithm as Algorithm;
  const { name, zones, names, types } = row;
  const createdAt = row.createdAt.toISOString();
  return {
    name,
    algorithm,
    transfer: mayTransfer,
    update: mayUpdate,
    zones,
    names,
    types,
    createdAt,
  };
}

interface KeyRequest {
  name: string;
}

/** Remove a key: nothing that it signs is answered from now on, elsewhere within a second. */
export const removeKey = api(
  { expose: true, auth: true, method: "DELETE", path: "/v1/dns/keys/:name" },
  async ({ name: text }: KeyRequest): Promise<void> => {
    const what = `remove the key "${text}"`;
    const name = formatName(fold(need(what, parseName(text))));
    const refused = await store.removeKey(name);
    if (refused === "in use") {
      throw APIError.failedPrecondition(`Cannot ${what}: a secondary is told of changes with it`);
    }
    if (refused === "unknown") throw APIError.notFound(`No key "${name}"`);
    keyRing().forget();
  },
);

/** A name server that is told of each change of a zone. */
export interface Secondary {
  zone: string;
  /** `192.0.2.1:53` */
  address: string;
  /** The key that signs what it is told. */
  key: string;
  /** The serial that it has confirmed to the instance that answers here; null before the first. */
  heardSerial: number | null;
}

interface SecondaryList {
  items: Secondary[];
}

interface SecondaryRequest {
  zone: string;
  /** `192.0.2.1:53` */
  address: string;
}

interface PutSecondaryRequest {
  zone: string;
  /** `192.0.2.1:53` */
  address: string;
  key: string;
}

/** Tell a name server of each change of a zone from now on (NOTIFY, RFC 1996). */
export const putSecondary = api(
  { expose: true, auth: true, method: "PUT", path: "/v1/dns/zones/:zone/secondaries/:address" },
  async ({ zone: zoneText, address: at, key }: PutSecondaryRequest): Promise<Secondary> => {
    const what = `add the secondary "${at}"`;
    const address = readSecondary(what, at);
    const zone = readZone(what, zoneText);
    const keyName = formatName(fold(need(what, parseName(key))));
    if (!(await store.putSecondary({ zone, address, keyName }))) {
      throw APIError.notFound(`Cannot ${what}: no zone "${zone}" or no key "${keyName}"`);
    }
    secondaries().forget();
    return { zone, address, key: keyName, heardSerial: null };
  },
);

/** List the name servers that are told of changes. */
export const listSecondaries = api(
  { expose: true, auth: true, method: "GET", path: "/v1/dns/secondaries" },
  async (): Promise<SecondaryList> => {
    const rows = await store.listSecondaries();
    return {
      items: rows.map((row) => {
        const { zone, address, keyName } = row;
        return { zone, address, key: keyName, heardSerial: secondaries().heard(row) };
      }),
    };
  },
);

/** Tell a name server no more. */
export const removeSecondary = api(
  { expose: true, auth: true, method: "DELETE", path: "/v1/dns/zones/:zone/secondaries/:address" },
  async ({ zone: zoneText, address: at }: SecondaryRequest): Promise<void> => {
    const what = `remove the secondary "${at}"`;
    const [zone, address] = [readZone(what, zoneText), readSecondary(what, at)];
    if (!(await store.removeSecondary(zone, address))) {
      throw APIError.notFound(`No secondary "${address}" of "${zone}"`);
    }
    secondaries().forget();
  },
);

function readSecondary(what: string, text: string): string {
  try {
    return formatAddress(readAddress(text));
  } catch (error) {
    const expected = (error as Error).message;
    throw APIError.invalidArgument(`Cannot ${what}: expected ${expected}`);
  }
}
