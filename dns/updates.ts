/** Dynamic updates (RFC 2136): from a signed message to a change of the zone, whole or not at all. */
import log from "encore.dev/log";

import { changeZone, refusal, scopeOf } from "./changes";
import type { Challenges } from "./core/challenge";
import { RCODE, TYPE } from "./core/codes";
import type { Draft } from "./core/draft";
import type { Message } from "./core/message";
import { formatName, type Name } from "./core/names";
import { mayUpdate } from "./core/policy";
import { formatRdata } from "./core/rdata";
import {
  applyUpdate,
  prerequisitesFail,
  readUpdate,
  type Seen,
  type Update,
  type UpdateRecord,
} from "./core/update";
import { instance } from "./instance";
import type { HeldKey } from "./keys";
import type { ZoneState } from "./store";

/** What takes an address away, or makes an alias: other records may lead there. */
const BREAKS_POINTERS: readonly number[] = [TYPE.A, TYPE.AAAA, TYPE.CNAME, TYPE.ANY];

/** Carry an update out; the response code. NOERROR is answered by this instance already. */
export async function updateZone(message: Message, key: HeldKey): Promise<number> {
  const update = readUpdate(message);
  if (typeof update === "number") return update;
  const { zone } = update;
  const isAllowed = update.changes.every(({ name, type }) => {
    return mayUpdate(key.policy, zone, name, type);
  });
  if (!isAllowed) return RCODE.REFUSED;
  let rcode: number = RCODE.REFUSED;
  const edit = (draft: Draft, _state: ZoneState, challenges: Challenges) => {
    rcode = prerequisitesFail(update, seenBy(draft, challenges));
    if (rcode === RCODE.NOERROR) rcode = applyUpdate({ draft, challenges }, update);
    if (rcode !== RCODE.NOERROR) return refusal("the update says so");
    // From here on only what the zone may not become stands against it.
    rcode = RCODE.REFUSED;
    return undefined;
  };
  const outcome = await changeZone({ zone, scope: scopeOfUpdate(update), edit });
  const fields = { zone: formatName(zone), key: formatName(key.name) };
  if (!("code" in outcome)) {
    log.info("zone updated", { ...fields, records: update.changes.length });
    return RCODE.NOERROR;
  }
  if (outcome.code === "not_found") return RCODE.NOTAUTH;
  log.info("update refused", { ...fields, rcode, reason: outcome.reason });
  return rcode;
}

function scopeOfUpdate({ zone, prerequisites, changes }: Update) {
  const at = ({ name, type, value }: UpdateRecord) => {
    return { name, type, values: value === "" ? [] : [value] };
  };
  const mayBreak = changes.some(({ type }) => BREAKS_POINTERS.includes(type));
  return scopeOf(zone, [...prerequisites, ...changes].map(at), mayBreak);
}

/** The draft, and what is answered at its names besides: addresses of repls, DNS-01 values. */
function seenBy(draft: Draft, challenges: Challenges): Seen {
  const { catalog } = instance();
  const derived = (name: Name) => {
    return catalog.zoneOf(name)?.origin === draft.origin ? catalog.derived(name) : undefined;
  };
  return {
    types: (name) => {
      const ofChallenge = challenges.has(name) ? [TYPE.TXT] : [];
      const own = draft.types(name).flatMap((type) => {
        return type === TYPE.ALIAS ? [TYPE.A, TYPE.AAAA] : [type];
      });
      return [...own, ...(derived(name)?.keys() ?? []), ...ofChallenge];
    },
    values: (name, type) => {
      const rrset = derived(name)?.get(type);
      const values = rrset?.rdatas.map((rdata) => formatRdata(type, rdata));
      const own = draft.get(name, type)?.values ?? values ?? [];
      if (type !== TYPE.TXT) return own;
      return [...own, ...challenges.values(name).map((value) => `"${value}"`)];
    },
  };
}
