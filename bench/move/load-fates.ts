/** Which requests without an answer count as failed by a move. Pure. */

/** A request, a message or a stream that did not end as it should. */
export interface Lost {
  /** The class of its visitor, and what he saw. */
  readonly who: string;
  readonly why: string;
  readonly app: string;
  /** The cluster whose address was dialled. */
  readonly dialled: string;
  readonly askedAt: number;
  readonly endedAt: number;
  /** Not a byte of an answer came, and the connection says so. */
  readonly isUnanswered: boolean;
}

/** `kill -9` of a cluster's process. The control plane's has none: it excuses nothing. */
export interface Kill {
  readonly cluster: string;
  /** Before the signal was sent, and once the process had ended. */
  readonly at: number;
  goneAt: number;
  /** When somebody answered again at the cluster's address. */
  backAt: number;
}

/** Where an app lived, from its commit on. Until both clusters have heard of that, visitors go by way of the old one. */
export interface Stay {
  readonly app: string;
  readonly cluster: string;
  readonly from: number;
  readonly heardAt: number;
}

/**
 * `cut`: it was on its way through a process when that was killed, by its own address or by its app's home.
 * `met nobody`: it came to the address of a process that was away. All else failed.
 */
export type Fate = "failed" | "cut" | "met nobody";

export function fateOf(lost: Lost, kills: readonly Kill[], stays: readonly Stay[]): Fate {
  for (const kill of kills) {
    const wasDialled = kill.cluster === lost.dialled;
    const isUnderWay = lost.askedAt <= kill.goneAt && lost.endedAt >= kill.at;
    if (isUnderWay && (wasDialled || livedIn(lost, kill, stays))) return "cut";
    const isAway = lost.askedAt >= kill.at && lost.askedAt <= kill.backAt;
    if (wasDialled && isAway && lost.isUnanswered) return "met nobody";
  }
  return "failed";
}

/** Whether the app's visitors went to the cluster that was killed at any time since the request was made. */
function livedIn({ app, askedAt }: Lost, { cluster, goneAt }: Kill, stays: readonly Stay[]) {
  const own = stays.filter((stay) => stay.app === app);
  return own.some(
    (stay, at) =>
      stay.cluster === cluster &&
      stay.from <= goneAt &&
      (own[at + 1]?.heardAt ?? Infinity) >= askedAt,
  );
}
