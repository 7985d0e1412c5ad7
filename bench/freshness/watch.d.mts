export interface Change {
  readonly index: number;
  readonly name: number;
  readonly count: number;
  at: number;
}

export const CLUSTERS: number;
export function addressOf(count: number): string;
export function clusterOf(octets: Uint8Array): number | undefined;

export class History {
  constructor(names: number);
  readonly changes: Change[];
  begin(name: number): Change;
}

export class Watch {
  constructor(history: History);
  readonly seenAt: number[];
  readonly older: number;
  readonly pending: Change | undefined;
  floorOf(name: number): number;
  take(answer: { name: number; floor: number; cluster: number | undefined; at: number }): void;
}
