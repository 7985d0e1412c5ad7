/** Changes of zones: decided on what the database holds, written together, answered at the end. */
import { isAlias, isApp, isDerived } from "./checks";
import { Challenges } from "./core/challenge";
import { Draft, targetsOf } from "./core/draft";
import { faultOfDraft } from "./core/integrity";
import { formatName, type Name, parentOf } from "./core/names";
import type { Refusal, Scope, ZoneState } from "./store";
import * as store from "./store";
import { zones } from "./zones";

export interface Edit {
  readonly zone: Name;
  readonly scope: store.Scope;
  /** Changes the draft and the DNS-01 values, or says why not. */
  readonly edit: (draft: Draft, state: ZoneState, challenges: Challenges) => Refusal | undefined;
  /** Another base of the serial, for what the draft has become. */
  readonly rebase?: (draft: Draft, state: ZoneState) => number;
  /** Only judge it. */
  readonly isDry?: boolean;
}

export const refusal = (reason: string): Refusal => ({ code: "invalid", reason });

/** Change a zone as a whole or not at all. When this returns, this instance answers it. */
export async function changeZone({
  zone,
  scope,
  edit,
  rebase,
  isDry,
}: Edit): Promise<Refusal | Draft> {
  let draft: Draft | undefined;
  const outcome = await store.changeZone(formatName(zone), scope, (state) => {
    draft = new Draft(zone, state.rows);
    const challenges = new Challenges(state.challenges);
    const hasChallenge = (name: Name): boolean => challenges.has(name);
    const refused = edit(draft, state, challenges);
    if (refused) return refused;
    const fault =
      challenges.fault() ?? faultOfDraft(draft, { hasChallenge, isDerived, isAlias, isApp });
    if (fault !== undefined) return refusal(fault);
    if (isDry) return { rows: [] };
    const base = rebase?.(draft, state);
    const changes = { rows: draft.changes(), challenges: challenges.changes() };
    return base === undefined ? changes : { ...changes, base };
  });
  if (typeof outcome !== "number") return outcome;
  await zones().reach(outcome);
  return draft!;
}

/** What must be seen to put records at a name: what is there, and where the records lead. */
export function scopeOf(zone: Name, at: readonly RecordsAt[], withPointers: boolean): Scope {
  const names = new Set<string>();
  for (const { name, type, values } of at) {
    names.add(formatName(name));
    for (const target of targetsOf(type, values)) {
      // With the names above, since a delegation may lie in between.
      for (let above = target; above.length > zone.length; above = parentOf(above)) {
        names.add(formatName(above));
      }
    }
  }
  return { names: [...names], withPointers };
}

interface RecordsAt {
  readonly name: Name;
  readonly type: number;
  readonly values: readonly string[];
}
