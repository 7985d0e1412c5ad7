/** The keys that sign transfers and updates, as the database has them: at most a second old. */
import { createHmac } from "node:crypto";

import log from "encore.dev/log";

import { outbound } from "../shared/outbound";
import { fold, type Name, parseName } from "./core/names";
import type { Policy } from "./core/policy";
import { type Algorithm, ALGORITHMS, type Hmac, type Key } from "./core/tsig";
import { loadSealKey, open, seal } from "./seal";
import { config } from "./settings";
import { type KeyRow, listKeys } from "./store-keys";

/** A flood of signed messages reads the keys so often, and a key that is removed ends so soon. */
const FRESH_MS = 1_000;
const READ_TIMEOUT_MS = 2_000;

export interface HeldKey extends Key {
  readonly policy: Policy;
}

export const hmac: Hmac = (algorithm, secret, data) =>
  createHmac(algorithm.slice("hmac-".length), secret).update(data).digest();

let sealKey: Buffer | undefined;

/** Made at the first use: who has no keys needs no file for them. */
function ownSealKey(): Buffer {
  const { sealKey: setting, sealKeyFile } = config();
  return (sealKey ??= loadSealKey(setting, sealKeyFile));
}

const labelOf = (name: string): string => `tsig ${name}`;

export const sealSecret = (name: string, secret: Uint8Array): string =>
  seal(ownSealKey(), labelOf(name), secret);

function held(row: KeyRow): HeldKey | undefined {
  const name = parseName(row.name);
  if (!name.ok || !(row.algorithm in ALGORITHMS)) return undefined;
  try {
    const secret = open(ownSealKey(), labelOf(row.name), row.sealed);
    return { name: fold(name.value), algorithm: row.algorithm as Algorithm, secret, policy: row };
  } catch (error) {
    log.error(error, "cannot open a key: it was sealed with another STELE_DNS_SEAL_KEY", {
      key: row.name,
    });
    return undefined;
  }
}

const fromDatabase = outbound("the dns database", { timeoutMs: READ_TIMEOUT_MS });

export class KeyRing {
  readonly #read: () => Promise<readonly KeyRow[]>;
  readonly #now: () => number;
  #keys: ReadonlyMap<Name, HeldKey> | undefined;
  #readAt = -Infinity;
  #reading: Promise<void> | undefined;

  constructor(read: () => Promise<readonly KeyRow[]>, now: () => number) {
    this.#read = read;
    this.#now = now;
  }

  /** The key of a name. Rejects only when the keys could never be read; else older ones count. */
  async find(name: Name): Promise<HeldKey | undefined> {
    if (this.#now() - this.#readAt > FRESH_MS) {
      await (this.#reading ??= this.#refresh());
    }
    return this.#keys?.get(name);
  }

  /** Something has changed here: read again before the next answer. */
  forget(): void {
    this.#readAt = -Infinity;
  }

  async #refresh(): Promise<void> {
    const startedAt = this.#now();
    try {
      const keys = (await this.#read()).map(held).filter((key) => key !== undefined);
      this.#keys = new Map(keys.map((key) => [key.name, key]));
      this.#readAt = startedAt;
    } catch (error) {
      if (!this.#keys) throw error;
    } finally {
      this.#reading = undefined;
    }
  }
}

let ring: KeyRing | undefined;

/** The keys of this process. */
export const keyRing = (): KeyRing =>
  (ring ??= new KeyRing(
    () => fromDatabase(() => listKeys()),
    () => performance.now(),
  ));
