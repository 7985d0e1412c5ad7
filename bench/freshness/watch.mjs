// What was changed, and what an instance has answered of it. Changes are in the order of their commits, and
// each changes the cluster of one name; an address tells which of the name's changes is answered.

/** Clusters with an address each: a name that moves through them in turn tells how often it has moved. */
export const CLUSTERS = 64;

export const addressOf = (count) => `198.18.0.${count % CLUSTERS}`;

/** Of an A record's data; a cluster of the bench, or undefined. */
export const clusterOf = (octets) =>
  octets[0] === 198 && octets[1] === 18 && octets[2] === 0 ? octets[3] : undefined;

/** The changes so far, over some names that are there from the start. */
export class History {
  changes = [];
  /** By name: how often it was changed; 0 while it is not there. */
  counts = [];

  constructor(names) {
    this.counts = Array.from({ length: names }, () => 1);
  }

  /** The next change of a name, which may be a new one; what it will answer from then on is told by `count`. */
  begin(name) {
    const count = (this.counts[name] ?? 0) + 1;
    this.counts[name] = count;
    const change = { index: this.changes.length, name, count, at: Number.NaN };
    this.changes.push(change);
    return change;
  }

  /** How often a name had changed by an answer; a name is never so far behind that a cluster comes twice. */
  countOf(name, cluster) {
    if (cluster === undefined) return 0;
    const latest = this.counts[name];
    return latest - ((latest - cluster + CLUSTERS) % CLUSTERS);
  }
}

/** What one instance has answered. */
export class Watch {
  /** For each change of the history, when its answer was there. */
  seenAt = [];
  /** By name: what was answered, or must be since a later change of another name was. */
  floors = [];
  /** Answers that were older than an earlier one. */
  older = 0;
  answers = 0;

  constructor(history) {
    this.history = history;
    this.floors = [...history.counts];
  }

  /** The first change that was not seen yet, if there is one. */
  get pending() {
    return this.history.changes[this.seenAt.length];
  }

  /** What an answer to a question that is asked now may not be older than. */
  floorOf(name) {
    return this.floors[name] ?? 0;
  }

  /** An answer, to a question for which `floor` held when it was asked. */
  take({ name, floor, cluster, at }) {
    this.answers++;
    const count = this.history.countOf(name, cluster);
    if (count < floor) {
      this.older++;
      return;
    }
    const { changes } = this.history;
    let through = this.seenAt.length;
    for (let index = through; index < changes.length; index++) {
      const change = changes[index];
      if (change.name === name && change.count <= count) through = index + 1;
    }
    while (this.seenAt.length < through) {
      const change = changes[this.seenAt.length];
      this.floors[change.name] = change.count;
      this.seenAt.push(at);
    }
  }
}
