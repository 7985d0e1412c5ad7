/**
 * A custom domain's states, moved by what a look at it has shown.
 *
 *     pending ──proven──▶ verified ──leads here──▶ active ──ended, for three days──▶ lapsed
 *        ◀──proof gone──────┘                        ◀───────both again──────────────┘
 *
 * A CNAME to the domain's own target proves and leads at once. A name at which none can stand, as
 * that of a zone, is proven by a TXT record and leads here by addresses.
 */
export type DomainStatus = "pending" | "verified" | "active" | "lapsed";

/** What was found; null where nobody could tell. */
export interface Evidence {
  readonly aliases: readonly string[] | null;
  readonly proofs: readonly string[] | null;
  readonly addresses: readonly string[] | null;
}

/** What is expected. */
export interface Expected {
  readonly hostname: string;
  /** What its CNAME leads to. */
  readonly target: string;
  /** What its TXT record says. */
  readonly proof: string;
  /** Addresses of the clusters. */
  readonly addresses: readonly string[];
}

export interface DomainState {
  readonly status: DomainStatus;
  /** Since when an active one has not been as it must be. */
  readonly failingSinceMs: number | null;
}

export interface Look extends DomainState {
  /** What is wrong, or null. */
  readonly reason: string | null;
}

/** Somebody who moves his DNS, or forgets to pay for it, has so long to come back. */
export const LAPSE_MS = 3 * 24 * 3_600_000;

/** Where the TXT record stands. */
export const proofNameOf = (hostname: string): string => `_stele.${hostname}`;

/** What the TXT record says. */
export const proofOf = (token: string): string => `stele-domain=${token}`;

/** The state after a look. */
export function afterLook(
  state: DomainState,
  evidence: Evidence,
  expected: Expected,
  nowMs: number,
): Look {
  const { status } = state;
  const found = judge(evidence, expected);
  if (found.isProven && found.leadsHere) {
    return { status: "active", failingSinceMs: null, reason: null };
  }
  const { reason } = found;
  // Who cannot be asked now may say the same as before.
  if (found.isUnknown) return { ...state, reason };
  if (status === "lapsed") return { ...state, reason };
  if (status !== "active") {
    return { status: found.isProven ? "verified" : "pending", failingSinceMs: null, reason };
  }
  const failingSinceMs = state.failingSinceMs ?? nowMs;
  const hasEnded = nowMs - failingSinceMs >= LAPSE_MS;
  return { status: hasEnded ? "lapsed" : "active", failingSinceMs, reason };
}

interface Judged {
  readonly isProven: boolean;
  readonly leadsHere: boolean;
  readonly isUnknown: boolean;
  readonly reason: string;
}

function judge({ aliases, proofs, addresses }: Evidence, expected: Expected): Judged {
  const { hostname, target } = expected;
  const isAlias = aliases?.some((alias) => alias.toLowerCase() === target) ?? false;
  const isProven = isAlias || (proofs?.includes(expected.proof) ?? false);
  const known = new Set(expected.addresses);
  const isHere = (addresses?.length ?? 0) > 0 && addresses!.every((one) => known.has(one));
  const isUnknown = aliases === null || (!isAlias && (proofs === null || addresses === null));
  return { isProven, leadsHere: isAlias || isHere, isUnknown, reason: reasonOf() };

  function reasonOf(): string {
    if (isUnknown) return `Cannot look up "${hostname}": nobody answers for it now`;
    if (isProven) {
      return `"${hostname}" is proven, but leads elsewhere: expected a CNAME to "${target}", or our addresses`;
    }
    const found = aliases?.length ? `a CNAME to "${aliases.join('", "')}"` : "no CNAME";
    const other = `or TXT "${expected.proof}" at "${proofNameOf(hostname)}"`;
    return `"${hostname}" has ${found}: expected a CNAME to "${target}", ${other}`;
  }
}
