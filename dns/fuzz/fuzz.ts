/** Feeds packets to the answerer, and holds whatever comes out against a reader of our own. */
import { decode } from "../conformance/message";
import { ZONES } from "../conformance/zones";
import { addressOctets } from "../core/address";
import { Catalog, type CatalogOptions, type Change } from "../core/catalog";
import { RCODE, typeCode } from "../core/codes";
import { FastPath, NOT_MINE } from "../core/fast";
import type { RateLimiter } from "../core/rate-limit";
import {
  type Asker,
  MAX_TCP_OCTETS,
  MAX_UDP_OCTETS,
  type Outcome,
  respond,
  type Server,
  type Transport,
} from "../core/respond";
import { isSigned } from "../core/tsig";
import { nextPacket, randomOf } from "./mutate";

export interface Fuzzed {
  /** Packets that were answered, by response code; those without an answer are `silence`. */
  readonly outcomes: Readonly<Record<string, number>>;
  /** The first packet that broke something, and what. */
  readonly broken:
    | { readonly index: number; readonly packet: string; readonly reason: string }
    | undefined;
}

/** The suite's zones, which hold a case of everything. */
export function fuzzedServer(limiter?: RateLimiter): Server {
  const zones = catalogOf({ platformZone: "repl.test", validationZone: "wire.test" }, ZONES);
  const secrets = [new Uint8Array(16)];
  return { zones, identity: "fuzzed", secrets, limiter };
}

function catalogOf(
  options: CatalogOptions,
  zones: Readonly<Record<string, readonly string[]>>,
): Catalog {
  const catalog = new Catalog({ ...options, hashKey: [1, 2] });
  catalog.apply({ changes: Object.entries(zones).flatMap(changesOf), seq: 0 });
  return catalog;
}

/** Both ways to answer, where the suite's own zone is that of repls, and has not much more. */
class Both {
  readonly #server: Server;
  readonly #fast: FastPath;
  readonly #out = { fast: Buffer.alloc(MAX_TCP_OCTETS), whole: Buffer.alloc(MAX_TCP_OCTETS) };
  /** Packets that the fast path answered. */
  fast = 0;

  constructor() {
    const few = ZONES["wire.test"]!.slice(0, 3);
    const options = { platformZone: "wire.test", validationZone: "v.example" };
    const zones = catalogOf(options, { ...ZONES, "wire.test": few });
    const owners = ["a", "b", "none", "text", "nothing"];
    const repls = owners.map((owner): Change => {
      return { kind: "repl", id: owner, name: "x", owner, clusterId: "c", generation: 1 };
    });
    const cluster: Change = { kind: "cluster", id: "c", ingress: ["192.0.2.1", "2001:db8::1"] };
    zones.apply({ changes: [cluster, ...repls], seq: 1 });
    this.#server = { zones, identity: "fuzzed", secrets: [], limiter: undefined };
    this.#fast = new FastPath(zones, undefined);
  }

  check(packet: Buffer, asker: Asker): void {
    const { fast, whole } = this.#out;
    const isUdp = asker.transport === "udp";
    const { address, nowMs } = asker;
    const arrival = { isUdp, address, nowMs };
    const length = this.#fast.answer(packet, 0, packet.length, fast, 0, arrival);
    if (length === NOT_MINE) return;
    this.fast++;
    const expected = respond(this.#server, packet, asker, whole).length;
    if (whole.compare(fast, 0, length, 0, expected) !== 0) {
      throw new Error("the fast path says something else");
    }
  }
}

function changesOf([zone, records]: readonly [string, readonly string[]]): Change[] {
  const rrsets = new Map<string, Change & { kind: "rrset" }>();
  for (const record of records) {
    const [name = "", ttl, type = "", ...data] = record.split(" ");
    const key = `${name} ${type}`;
    const values = [...(rrsets.get(key)?.values ?? []), data.join(" ")];
    const code = typeCode(type)!;
    rrsets.set(key, {
      kind: "rrset",
      zone,
      name,
      type: code,
      ttl: Number(ttl),
      values,
      revision: 1,
    });
  }
  return [{ kind: "zone", zone, base: 0, revision: 1 }, ...rrsets.values()];
}

export interface FuzzOptions {
  readonly seed: number;
  readonly packets: number;
  /** Told what each packet took: the least of a few tries, since others share the core. */
  readonly onPacket?: OnPacket;
}

type OnPacket = (index: number, nanoseconds: number) => void;

/** Answer mutated packets until all are, or one breaks something. */
export function fuzz(server: Server, { seed, packets, onPacket }: FuzzOptions): Fuzzed {
  const random = randomOf(seed);
  const out = { udp: new Uint8Array(MAX_UDP_OCTETS), tcp: new Uint8Array(MAX_TCP_OCTETS) };
  const outcomes: Record<string, number> = {};
  const both = new Both();
  for (let index = 0; index < packets; index++) {
    const packet = nextPacket(random);
    const transport: Transport = random() < 0.8 ? "udp" : "tcp";
    const address = addressOctets(`192.0.2.${index % 256}`);
    try {
      isSigned(packet); // What the worker asks of each packet first.
      const asker = { transport, address, nowMs: index };
      const once = (): Outcome => respond(server, packet, asker, out[transport]);
      const { length, rcode } = onPacket ? timed(once, index, onPacket) : once();
      const outcome = length === 0 ? "silence" : String(rcode);
      outcomes[outcome] = (outcomes[outcome] ?? 0) + 1;
      both.check(packet, asker);
      check(packet, Buffer.from(out[transport].buffer, 0, length), transport);
    } catch (error) {
      const reason = (error as Error).message;
      return { outcomes, broken: { index, packet: packet.toString("hex"), reason } };
    }
  }
  return { outcomes: { ...outcomes, fast: both.fast }, broken: undefined };
}

/** What takes longer at first is tried again. */
const SLOW_NS = 20_000;
const TRIES = 3;

function timed(once: () => Outcome, index: number, onPacket: OnPacket): Outcome {
  let least = Infinity;
  for (let attempt = 1; ; attempt++) {
    const startedAt = process.hrtime.bigint();
    const outcome = once();
    least = Math.min(least, Number(process.hrtime.bigint() - startedAt));
    if (least > SLOW_NS && attempt < TRIES) continue;
    onPacket(index, least);
    return outcome;
  }
}

/** An answer parses whole, is one, to this packet, of its size, and nothing stumbled over it. */
function check(packet: Buffer, reply: Buffer, transport: Transport): void {
  if (reply.length === 0) return;
  const message = decode(reply);
  if (message.rcode === RCODE.SERVFAIL) throw new Error("SERVFAIL: something was thrown");
  if (!message.qr || message.id !== packet.readUInt16BE())
    throw new Error("no answer to this packet");
  if (transport === "udp" && reply.length > MAX_UDP_OCTETS)
    throw new Error(`${reply.length} octets`);
  const asked = packet.subarray(12, 12 + message.question.length);
  if (!asked.equals(message.question)) throw new Error("another question came back");
}
