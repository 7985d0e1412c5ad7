/** DNS-01: TXT values that a certificate authority looks for (RFC 8555 section 8.4). */
import { APIError, api } from "encore.dev/api";
import type { Max, Min } from "encore.dev/validate";

import { need, needDone } from "./checks";
import { CHALLENGE_LABEL } from "./core/catalog";
import { firstLabel, fold, formatName, parseName } from "./core/names";
import { faultOfChallengeValue } from "./core/rules";
import { instance } from "./instance";
import * as store from "./store";
import { zones } from "./zones";

/** A certificate order takes minutes; what is forgotten for an hour is not wanted. */
const CHALLENGE_SECONDS = 3_600;

interface PutChallengeRequest {
  /** `_acme-challenge.…`, in a zone of ours. */
  name: string;
  /** The TXT value that the certificate authority looks for. */
  value: string;
  /** How long it stays, in seconds; an hour when absent. */
  ttlSeconds?: number & (Min<1> & Max<86400>);
}

interface DeleteChallengeRequest {
  name: string;
  value: string;
}

/** Add a DNS-01 value beside the others of its name. Answered when this returns. */
export const putChallenge = api(
  { expose: true, auth: true, method: "POST", path: "/v1/dns/challenges" },
  async ({ name, value, ttlSeconds }: PutChallengeRequest): Promise<void> => {
    const what = `put a challenge at "${name}"`;
    const at = await challengePlace(what, name);
    const fault = faultOfChallengeValue(value);
    if (fault !== undefined) throw APIError.invalidArgument(`Cannot ${what}: ${fault}`);
    const outcome = await store.putChallenge({ ...at, value }, ttlSeconds ?? CHALLENGE_SECONDS);
    await zones().reach(needDone(what, outcome));
  },
);

/** Take a DNS-01 value away; one that is not there is no error. */
export const deleteChallenge = api(
  { expose: true, auth: true, method: "DELETE", path: "/v1/dns/challenges" },
  async ({ name, value }: DeleteChallengeRequest): Promise<void> => {
    const at = await challengePlace(`delete a challenge at "${name}"`, name);
    await zones().reach(await store.deleteChallenge(at.name, value));
  },
);

async function challengePlace(what: string, text: string): Promise<{ zone: string; name: string }> {
  const name = fold(need(what, parseName(text)));
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
