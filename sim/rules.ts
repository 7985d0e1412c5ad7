import { decide as decideMigration } from "../clusters/core/decision";
import { commit, open } from "../clusters/core/placement";
import { decide as decideRoute, mayBoot, mayDeploy } from "../containers/core/route";
import { next } from "../migrations/core/migration";

/**
 * The production functions that the small world runs on. The mutants of `mutants.ts` replace one each:
 * what is explored is what the database and the coordinator carry out.
 */
export interface Rules {
  readonly open: typeof open;
  readonly commit: typeof commit;
  readonly decideMigration: typeof decideMigration;
  readonly decideRoute: typeof decideRoute;
  readonly mayBoot: typeof mayBoot;
  readonly mayDeploy: typeof mayDeploy;
  readonly next: typeof next;
  /** A container stops when every proxy has acknowledged, with nothing in flight (design section 4, rule 7). */
  readonly stopNeedsAcks: boolean;
  /** A freeze has been carried out when its container has stopped, and not before. */
  readonly freezeWaitsForStop: boolean;
  /** A boot lease begins with the authority's word that the move is open. */
  readonly bootAsks: boolean;
  /** A destination that does not answer an abort counts as stopped when no lease can be left. */
  readonly abortWaitsLease: boolean;
  /** An overlap commits when the source has no other release than the one that was copied. */
  readonly sealComparesReleases: boolean;
}

export const PRODUCTION: Rules = {
  open,
  commit,
  decideMigration,
  decideRoute,
  mayBoot,
  mayDeploy,
  next,
  stopNeedsAcks: true,
  freezeWaitsForStop: true,
  bootAsks: true,
  abortWaitsLease: true,
  sealComparesReleases: true,
};
