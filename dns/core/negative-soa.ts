/** The SOA record of negative answers, prebuilt: of a question only the length of its name differs. */
import { CLASS, TYPE } from "./codes";
import { isWithin, type Name, nameAt } from "./names";
import { HEADER_OCTETS, Writer } from "./wire";
import type { RRset } from "./zone";

/** A label that no name server has. */
const SAMPLE = "\x01\0";
const FIXED_OCTETS = 10;

export class NegativeSoa {
  readonly rrset: RRset;
  /** As it is behind a question for one octet in front of the origin. */
  readonly octets: Uint8Array;
  /** Where in it are pointers; each is greater for a longer name, by as much as it is longer. */
  readonly pointers: Uint8Array;
  /** Octets of the name that it was made for. */
  readonly nameOctets: number;
  /** MNAME and RNAME, in front of the origin: names below share more with the record. */
  readonly #shared: readonly Uint8Array[];

  constructor(rrset: RRset, origin: Name) {
    const asked = SAMPLE + origin;
    this.rrset = rrset;
    this.nameOctets = asked.length;
    const end = HEADER_OCTETS + asked.length + 4;
    const octets = new Uint8Array(1_024);
    const question = { name: asked, type: TYPE.A, class: CLASS.IN, end };
    const writer = new Writer(octets, octets.length, new Uint8Array(end), question);
    const rdata = rrset.rdatas[0]!;
    writer.record({ owner: origin, type: TYPE.SOA, ttl: rrset.ttl, rdata });
    this.octets = octets.slice(end, writer.length);
    const [mname, rname] = namesOf(rdata);
    this.pointers = pointersOf(this.octets);
    this.#shared = [mname, rname].flatMap((name) => labelNextTo(origin, name));
  }

  /** Whether it is written so behind a name with this label, from `at` to `end`, next to the origin. */
  suits(name: Uint8Array, at: number, end: number): boolean {
    for (let index = 0; index < this.#shared.length; index++) {
      if (isSame(this.#shared[index]!, name, at, end)) return false;
    }
    return true;
  }
}

function isSame(label: Uint8Array, name: Uint8Array, at: number, end: number): boolean {
  if (label.length !== end - at) return false;
  for (let index = 0; index < label.length; index++) {
    if (label[index] !== name[at + index]) return false;
  }
  return true;
}

function namesOf(rdata: Uint8Array): [string, string] {
  const mname = nameAt(rdata, 0)!;
  return [mname, nameAt(rdata, mname.length)!];
}

/** Only what is the same octet for octet is shared: names in SOA stay as they are written. */
function labelNextTo(origin: Name, name: string): Uint8Array[] {
  const depth = name.length - origin.length;
  if (depth <= 0 || !isWithin(name, origin)) return [];
  let last = 0;
  for (let at = 0; at < depth; at += 1 + name.charCodeAt(at)) last = at;
  return [Uint8Array.from(name.slice(last, depth), (octet) => octet.charCodeAt(0))];
}

/** Of owner, MNAME and RNAME, each of which may end in a pointer. */
function pointersOf(record: Uint8Array): Uint8Array {
  const found: number[] = [];
  const skip = (at: number): number => {
    for (let here = at; ; here += 1 + record[here]!) {
      if (record[here] === 0) return here + 1;
      if (record[here]! < 0xc0) continue;
      found.push(here);
      return here + 2;
    }
  };
  skip(skip(skip(0) + FIXED_OCTETS));
  return Uint8Array.from(found);
}
