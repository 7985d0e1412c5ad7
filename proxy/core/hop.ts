/**
 * The field by which one cluster's proxy tells another's what it knows of a request. All of it is
 * under a MAC, with the method, the host and the target, so a captured field is worth one identical
 * request, to one cluster, for 30 seconds.
 *
 *     Stele-Hop: v=1; k=20391; f=east; t=west; r=abc…; g=7; n=1; a=1761782400000;
 *                d=0; c=192.0.2.1; p=http; q=5f…; m=<64 hex digits>
 */
import { LIMITS } from "./limits";

export interface Hop {
  /** The day of the pair key, in days since 1970. */
  readonly key: number;
  readonly from: string;
  readonly to: string;
  readonly replId: string;
  readonly minGeneration: number;
  /** Forwards so far, this one included. */
  readonly hops: number;
  /** When it was written, Unix ms. */
  readonly at: number;
  /** When the visitor's hold ends, Unix ms; 0 when it was not held. */
  readonly holdUntil: number;
  readonly clientIp: string;
  readonly proto: "http" | "https";
  readonly requestId: string;
}

export interface SignedHop {
  readonly hop: Hop;
  readonly mac: string;
  /** The field up to the MAC: what was signed, with the request line's parts behind it. */
  readonly body: string;
}

/** The field without its MAC. */
export function hopBody(hop: Hop): string {
  return (
    `v=1; k=${hop.key}; f=${hop.from}; t=${hop.to}; r=${hop.replId}; g=${hop.minGeneration}; ` +
    `n=${hop.hops}; a=${hop.at}; d=${hop.holdUntil}; c=${hop.clientIp}; p=${hop.proto}; ` +
    `q=${hop.requestId}; `
  );
}

/** What the MAC is taken over. A line break cannot occur in any part, so it separates them. */
export function hopInput(body: string, method: string, hostname: string, target: string): string {
  return `${body}\n${method}\n${hostname}\n${target}`;
}

export function hopField(body: string, mac: string): string {
  return `${body}m=${mac}`;
}

const FIELD =
  /^(v=1; k=([0-9]{1,6}); f=([a-z][a-z0-9-]{0,30}); t=([a-z][a-z0-9-]{0,30}); r=([a-z0-9-]{1,63}); g=([0-9]{1,15}); n=([0-9]{1,3}); a=([0-9]{1,15}); d=([0-9]{1,15}); c=([0-9a-fA-F.:]{2,45}); p=(https?); q=([A-Za-z0-9._-]{8,64}); )m=([0-9a-f]{64})$/;

/** Reads a field in its one canonical form; anything else is undefined. Says nothing of the MAC. */
export function parseHop(field: string): SignedHop | undefined {
  const match = field.length <= 512 ? FIELD.exec(field) : null;
  if (match === null) return undefined;
  const text = (index: number): string => match[index] as string;
  return {
    body: text(1),
    mac: text(13),
    hop: {
      key: Number(text(2)),
      from: text(3),
      to: text(4),
      replId: text(5),
      minGeneration: Number(text(6)),
      hops: Number(text(7)),
      at: Number(text(8)),
      holdUntil: Number(text(9)),
      clientIp: text(10),
      proto: text(11) === "https" ? "https" : "http",
      requestId: text(12),
    },
  };
}

/** The day of a pair key. Yesterday's and tomorrow's are accepted: clocks differ. */
export function keyDay(unixMs: number): number {
  return Math.floor(unixMs / 86_400_000);
}

export type HopFault = "to" | "key" | "time" | "hops";

/** What is wrong with a field whose MAC is right; undefined: nothing. */
export function judgeHop(hop: Hop, self: string, unixMs: number): HopFault | undefined {
  if (hop.to !== self || hop.from === self) return "to";
  if (Math.abs(hop.key - keyDay(unixMs)) > 1) return "key";
  if (Math.abs(hop.at - unixMs) > LIMITS.hopSkewMs) return "time";
  return hop.hops < 1 || hop.hops > LIMITS.hops ? "hops" : undefined;
}
