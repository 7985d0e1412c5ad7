/** DNS-01: TXT values that a certificate authority looks for (RFC 8555 section 8.4). */
import { APIError, api } from "encore.dev/api";
import type { Max, MaxLen, Min } from "encore.dev/validate";

import { need, needDone, toAscii } from "./checks";
import { CHALLENGE_LABEL } from "./core/view";
import { firstLabel, fold, formatName, parseName } from "./core/names";
import { faultOfChallengeValue } from "./core/rules";
import { instance } from "./instance";
import { registry } from "./state";
import * as store from "./store-challenges";
import { zones } from "./zones";

/** A certificate order takes minutes; what is forgotten for an hour is not wanted. */
const CHALLENGE_SECONDS = 3_600;
/** A little longer than an instance that died is taken to live. */
const WAIT_MS = 12_000;

interface PutChallengeRequest {
  /** `_acme-challenge.…`, in a zone of ours. */
  name: string;
  /** A TXT value that the certificate authority looks for. */
  value?: string;
  /** Several of them; together with `value` if both are given. */
  values?: string[] & MaxLen<50>;
  /** How long they stay, in seconds; an hour when absent. */
  ttlSeconds?: number & (Min<1> & Max<86400>);
  /** How long to wait until all instances answer them; 12 s when absent. */
  waitMs?: number & (Min<0> & Max<30000>);
}

interface DeleteChallengeRequest {
  name: string;
  value?: string;
  values?: string[] & MaxLen<50>;
  /** How long to wait until no instance answers them; 12 s when absent. */
  waitMs?: number & (Min<0> & Max<30000>);
}

/** How far a change has come. It stands, and comes to all instances, in any case. */
interface Outcome {
  /** Revision of the zones that shows it. */
  revision: number;
  /** Every living instance answers by it. */
  everywhere: boolean;
  /** The living instances that had not said so within the wait. */
  missing: string[];
}

/** Add DNS-01 values beside the others of their name. Returns when all instances answer them. */
export const putChallenge = api(
  { expose: true, auth: true, method: ["PUT", "POST"], path: "/v1/dns/challenges" },
  async (request: PutChallengeRequest): Promise<Outcome> => {
    const what = `put a challenge at "${request.name}"`;
    const at = await challengePlace(what, request.name);
    const values = readValues(what, request);
    for (const value of values) {
      const fault = faultOfChallengeValue(value);
      if (fault !== undefined) throw APIError.invalidArgument(`Cannot ${what}: ${fault}`);
    }
    const ttlSeconds = request.ttlSeconds ?? CHALLENGE_SECONDS;
    const outcome = await store.putChallenge({ ...at, values }, ttlSeconds);
    return answeredEverywhere(needDone(what, outcome), request.waitMs);
  },
);

/** Take DNS-01 values away; one that is not there is no error. Returns as `putChallenge` does. */
export const deleteChallenge = api(
  { expose: true, auth: true, method: "DELETE", path: "/v1/dns/challenges" },
  async (request: DeleteChallengeRequest): Promise<Outcome> => {
    const what = `delete a challenge at "${request.name}"`;
    const at = await challengePlace(what, request.name);
    const revision = await store.deleteChallenge(at.name, readValues(what, request));
    return answeredEverywhere(revision, request.waitMs);
  },
);

/** Each value once. */
function readValues(
  what: string,
  { value, values = [] }: { value?: string; values?: readonly string[] },
): string[] {
  const all = new Set(value === undefined ? values : [value, ...values]);
  if (all.size > 0) return [...all];
  throw APIError.invalidArgument(`Cannot ${what}: expected a value, in "value" or "values"`);
}

async function answeredEverywhere(revision: number, waitMs = WAIT_MS): Promise<Outcome> {
  await zones().reach(revision);
  const missing = await registry().waitForAll({ revision, seq: 0 }, waitMs);
  return { revision, everywhere: missing.length === 0, missing };
}

async function challengePlace(what: string, text: string): Promise<{ zone: string; name: string }> {
  const name = fold(need(what, parseName(toAscii(text))));
  if (firstLabel(name) !== CHALLENGE_LABEL) {
    throw APIError.invalidArgument(
      `Cannot ${what}: the name must begin with "${CHALLENGE_LABEL}" (RFC 8555 8.4)`,
    );
  }
  const { catalog } = instance();
  // Another process may have made the zone a moment ago.
  if (!catalog.zoneOf(name)) await zones().refresh();
  const zone = catalog.zoneOf(name);
  if (!zone) throw APIError.invalidArgument(`Cannot ${what}: it lies in no zone of ours`);
  return { zone: formatName(zone.origin), name: formatName(name) };
}
