import { percentile } from "../../cli/demo/tally";
import { type Fate, fateOf, type Kill, type Lost, type Stay } from "./load-fates";

/** A class of visitors: what they do with which app, and how they come. */
export interface VisitorClass {
  readonly app: string;
  readonly kind: string;
  readonly way: string;
}

export interface Times {
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly longestMs: number;
}

/** What one class saw. */
export interface ClassReport extends VisitorClass, Times {
  readonly count: number;
  readonly failed: number;
  /** Counted apart: on their way through a process that was killed, or at an address where nobody was. */
  readonly cut: number;
  readonly metNobody: number;
  /** Before the first move. */
  readonly atRest: Times;
}

interface Counts {
  readonly visitors: VisitorClass;
  readonly ms: number[];
  /** How many of these were served before the first move. */
  atRest: number;
  readonly lost: Lost[];
}

/** More than any run that means something. */
const KEPT_LOST = 10_000;

/** Counts what visitors see, by class; which of the lost ones failed is decided once all is known. */
export class LoadTally {
  readonly kills: Kill[] = [];
  readonly stays: Stay[] = [];
  reconnects = 0;
  forwarded = 0;
  private readonly classes = new Map<string, Counts>();

  /** Classes are listed in the order in which they are added; gives the name to count under. */
  add(visitors: VisitorClass): string {
    const name = `${visitors.app} ${visitors.kind}, ${visitors.way}`;
    if (!this.classes.has(name)) {
      this.classes.set(name, { visitors, ms: [], atRest: Infinity, lost: [] });
    }
    return name;
  }

  served(name: string, ms: number): void {
    this.classes.get(name)?.ms.push(ms);
  }

  lose(who: string, lost: Omit<Lost, "who">): void {
    const all = this.classes.get(who)?.lost ?? [];
    if (all.length < KEPT_LOST) all.push({ who, ...lost });
  }

  restIsOver(): void {
    for (const counts of this.classes.values()) counts.atRest = counts.ms.length;
  }

  report(): ClassReport[] {
    return [...this.classes.values()].map(({ visitors, ms, atRest, lost }) => {
      const fates = lost.map((one) => this.fate(one));
      const having = (fate: Fate): number => fates.filter((one) => one === fate).length;
      return {
        ...visitors,
        count: ms.length,
        failed: having("failed"),
        cut: having("cut"),
        metNobody: having("met nobody"),
        ...timesOf(ms.slice(atRest)),
        atRest: timesOf(ms.slice(0, atRest)),
      };
    });
  }

  /** Those that count. */
  failures(): Lost[] {
    const all = [...this.classes.values()].flatMap(({ lost }) => lost);
    return all.filter((one) => this.fate(one) === "failed");
  }

  private fate(lost: Lost): Fate {
    return fateOf(lost, this.kills, this.stays);
  }
}

function timesOf(ms: readonly number[]): Times {
  const sorted = ms.toSorted((a, b) => a - b);
  return {
    p50Ms: percentile(sorted, 0.5),
    p99Ms: percentile(sorted, 0.99),
    longestMs: sorted.at(-1) ?? 0,
  };
}
