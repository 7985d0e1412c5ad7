import { createHmac, hkdfSync, timingSafeEqual } from "node:crypto";

import { type Hop, hopBody, hopField, hopInput, judgeHop, keyDay, parseHop } from "./core/hop";

/** The parts of a request that a hop's MAC covers beside the field itself. */
export interface HopRequest {
  readonly method: string;
  readonly hostname: string;
  readonly target: string;
}

const KEY_BYTES = 32;
/** Pairs times days; more are forgotten, not refused. */
const MAX_KEYS = 1_024;

/** Signs and verifies hops with a key for each pair of clusters and each day. */
export class HopKeys {
  private readonly keys = new Map<string, Buffer>();

  constructor(private readonly secret: string) {}

  /** The whole field's value. */
  sign(hop: Omit<Hop, "key">, request: HopRequest): string {
    const signed: Hop = { ...hop, key: keyDay(hop.at) };
    const body = hopBody(signed);
    return hopField(body, this.mac(signed, body, request).toString("hex"));
  }

  /** The hop, when it is meant for `self`, authentic, fresh and short enough; else undefined. */
  verify(field: string, request: HopRequest, self: string, unixMs: number): Hop | undefined {
    const signed = parseHop(field);
    if (signed === undefined || judgeHop(signed.hop, self, unixMs) !== undefined) return undefined;
    const expected = this.mac(signed.hop, signed.body, request);
    return timingSafeEqual(expected, Buffer.from(signed.mac, "hex")) ? signed.hop : undefined;
  }

  private mac(hop: Hop, body: string, { method, hostname, target }: HopRequest): Buffer {
    return createHmac("sha256", this.key(hop.from, hop.to, hop.key))
      .update(hopInput(body, method, hostname, target), "latin1")
      .digest();
  }

  private key(from: string, to: string, day: number): Buffer {
    const info = `stele-hop|${from}|${to}|${day}`;
    const known = this.keys.get(info);
    if (known !== undefined) return known;
    const key = Buffer.from(hkdfSync("sha256", this.secret, "", info, KEY_BYTES));
    if (this.keys.size >= MAX_KEYS) this.keys.clear();
    this.keys.set(info, key);
    return key;
  }
}
