/**
 * Tells secondaries of changes (RFC 1996). Each instance does so for itself, when its own answers
 * show the change: who comes then finds it, whichever instance he asks.
 */
import { randomInt } from "node:crypto";
import { isIPv6 } from "node:net";

import log from "encore.dev/log";

import { address as readAddress } from "../shared/settings";
import { readMessage } from "./core/message";
import { fold, type Name, parseName } from "./core/names";
import { isNotifyAnswer, notifyMessage } from "./core/notify";
import { readTsig, sign, TSIG_ERROR, verify } from "./core/tsig";
import { instance } from "./instance";
import { type HeldKey, hmac, keyRing } from "./keys";
import { exchange } from "./listen-notify";
import { listSecondaries, type SecondaryRow } from "./store-keys";

/** Changes that come together are told once; a secondary is told no more often. */
const GAP_MS = 200;
/** Waits between tries (RFC 1996 section 3.6); then it is left to the next change, and to REFRESH. */
const WAITS_MS = [1_000, 2_000, 4_000, 8_000, 16_000];
/** Secondaries that were added elsewhere are known so soon. */
const FRESH_MS = 5_000;

/** How it stands with a secondary, as this instance knows. */
interface Told {
  /** The serial it was last told of; undefined before the first time. */
  serial: number | undefined;
  /** The serial that it said it has heard of. */
  heard: number | null;
  isBusy: boolean;
}

export class Notifier {
  readonly #told = new Map<string, Told>();
  #rows: readonly SecondaryRow[] = [];
  #readAt = -Infinity;
  #timer: NodeJS.Timeout | undefined;
  #isStopped = false;
  #isFailing = false;

  /** Something has changed: look soon whom to tell. */
  schedule(): void {
    if (!this.#isStopped) this.#timer ??= setTimeout(() => void this.#look(), GAP_MS);
  }

  /** Secondaries have changed here. */
  forget(): void {
    this.#readAt = -Infinity;
    this.schedule();
  }

  stop(): void {
    this.#isStopped = true;
    clearTimeout(this.#timer);
  }

  /** The serial that a secondary has confirmed to this instance. */
  heard(row: SecondaryRow): number | null {
    return this.#told.get(keyOf(row))?.heard ?? null;
  }

  async #look(): Promise<void> {
    this.#timer = undefined;
    try {
      await this.#refresh();
      this.#isFailing = false;
    } catch (error) {
      // Those that are known are told all the same.
      if (!this.#isFailing) log.warn("cannot read the secondaries", { reason: String(error) });
      this.#isFailing = true;
    }
    for (const row of this.#rows) this.#tellIfNews(row);
  }

  async #refresh(): Promise<void> {
    if (performance.now() - this.#readAt < FRESH_MS) return;
    this.#readAt = performance.now();
    this.#rows = await listSecondaries();
    const known = new Set(this.#rows.map(keyOf));
    for (const key of this.#told.keys()) if (!known.has(key)) this.#told.delete(key);
  }

  #tellIfNews(row: SecondaryRow): void {
    const told = this.#told.get(keyOf(row)) ?? { serial: undefined, heard: null, isBusy: false };
    this.#told.set(keyOf(row), told);
    const serial = serialOf(row.zone);
    if (told.isBusy || serial === undefined || serial === told.serial) return;
    told.serial = serial;
    told.isBusy = true;
    void this.#tell(row, told).finally(() => {
      told.isBusy = false;
      // It may have changed meanwhile.
      this.schedule();
    });
  }

  async #tell(row: SecondaryRow, told: Told): Promise<void> {
    for (const waitMs of WAITS_MS) {
      if (this.#isStopped) return;
      try {
        // The newest serial at each try.
        told.serial = serialOf(row.zone) ?? told.serial;
        if (await notify(row, waitMs)) {
          told.heard = told.serial ?? null;
          instance().events.add("notify", "answered");
          return;
        }
      } catch (error) {
        log.warn("cannot notify a secondary", { ...row, reason: String(error) });
        await new Promise((resolve) => setTimeout(resolve, waitMs));
      }
    }
    instance().events.add("notify", "unanswered");
    log.warn("a secondary does not answer to NOTIFY", { ...row, tries: WAITS_MS.length });
  }
}

const keyOf = ({ zone, address, keyName }: SecondaryRow): string => `${zone} ${address} ${keyName}`;

function nameOf(text: string): Name {
  const name = parseName(text);
  return name.ok ? fold(name.value) : "";
}

function serialOf(zone: string): number | undefined {
  const name = nameOf(zone);
  return instance().catalog.zones.find((candidate) => candidate.name === name)?.serial;
}

/** One try: whether the secondary has answered in time. */
async function notify({ zone: text, address, keyName }: SecondaryRow, waitMs: number) {
  const zone = nameOf(text);
  const soa = instance().catalog.zoneOf(zone)?.soa;
  const key = await keyRing().find(nameOf(keyName));
  if (!soa || !key) throw new Error(`no zone "${text}" or no key "${keyName}"`);
  const to = readAddress(address);
  const isV6 = isIPv6(to.host);
  const from = instance().answerer.listening.find(({ host }) => isIPv6(host) === isV6)?.host;
  const id = randomInt(0x10000);
  const now = Math.floor(Date.now() / 1000);
  const signed = sign({ message: notifyMessage(id, zone, soa), key, now, hmac });
  const accept = (octets: Uint8Array): boolean => {
    const message = readMessage(octets);
    if (!message || !isNotifyAnswer(message, id, zone)) return false;
    return isSignedRight(octets, { message, key, requestMac: signed.mac });
  };
  return exchange({ from, to, octets: signed.message, waitMs }, accept);
}

interface Request {
  readonly message: NonNullable<ReturnType<typeof readMessage>>;
  readonly key: HeldKey;
  readonly requestMac: Uint8Array;
}

/** An answer without a signature proves nothing: some secondaries send it, so it only ends the tries. */
function isSignedRight(octets: Uint8Array, { message, key, requestMac }: Request): boolean {
  const tsig = readTsig(message);
  if (tsig === undefined) return true;
  if (tsig === "malformed") return false;
  const now = Math.floor(Date.now() / 1000);
  return verify({ octets, tsig, key, now, hmac, requestMac }) === TSIG_ERROR.NONE;
}

let notifier: Notifier | undefined;

/** The notifier of this process. */
export const secondaries = (): Notifier => (notifier ??= new Notifier());
