/**
 * Why a question is answered as it is. The look-ups are those that `answer` made on its way, so the
 * explanation cannot say otherwise than the answer.
 */
import { type Answer, answer, type Asked, type OwnedRRset, type Step, type Zones } from "./answer";
import { CHALLENGE_LABEL } from "./view";
import { TYPE, typeName } from "./codes";
import { rcodeName } from "./metrics";
import { fold, firstLabel, formatName, type Name, ROOT } from "./names";
import type { Repl } from "./platform";
import { formatRdata } from "./rdata";
import { serialIn } from "./serial";
import { targetOf as targetIn } from "./zone";

/** Zones, and where repls live. */
export interface Places extends Zones {
  /** The repl whose name this is, in any of its forms. */
  replAt(name: Name): Repl | undefined;
}

/** What stands at a name: the zone's records, or what follows from something else. */
export type How =
  | "records"
  | "repl"
  | "challenge"
  | "wildcard"
  | "empty"
  | "delegation"
  | "nothing";

export interface ExplainedStep {
  readonly name: string;
  readonly zone: string;
  readonly serial: number;
  readonly how: How;
  /** The name itself, the wildcard or the cut above it; where nothing is, the closest name that is. */
  readonly at: string;
  readonly types: readonly string[];
  /** The repl that has the name. */
  readonly repl: Repl | null;
  /** Where a CNAME leads from here. */
  readonly target: string | null;
}

/**
 * What became of the question. Of an alias that leads to a name of others only the way is said
 * (`elsewhere`), and of those that lead nowhere in our zones (`loop`).
 */
export type Result =
  | "answer"
  | "nodata"
  | "nxdomain"
  | "referral"
  | "elsewhere"
  | "loop"
  | "refused";

export interface Explanation {
  readonly name: string;
  readonly type: string;
  readonly rcode: string;
  readonly result: Result;
  /** From the name that was asked for along each alias. */
  readonly steps: readonly ExplainedStep[];
  /** In presentation form. */
  readonly answers: readonly string[];
}

export function explain(places: Places, question: Asked): Explanation {
  const steps: Step[] = [];
  const reply = answer(places, question, (step) => steps.push(step));
  return {
    name: formatName(question.name),
    type: typeName(question.type),
    rcode: rcodeName(reply.rcode),
    result: resultOf(places, question, reply, steps.at(-1)),
    steps: steps.map((step) => explainStep(places, step, reply.answers)),
    answers: reply.answers.flatMap(presented),
  };
}

function resultOf(places: Places, { type }: Asked, reply: Answer, last: Step | undefined): Result {
  if (!last) return "refused";
  if (last.found.kind === "cut") return "referral";
  if (last.found.kind === "nothing") return "nxdomain";
  const end = reply.answers.at(-1);
  // What is negative has the zone's SOA beside the aliases that led there.
  if (reply.authorities.length > 0 || !end) return "nodata";
  const isAsked = type === TYPE.CNAME || type === TYPE.ANY || end.rrset.type !== TYPE.CNAME;
  if (isAsked) return "answer";
  return places.zoneOf(targetOf(end)) ? "loop" : "elsewhere";
}

function targetOf({ rrset: { type, rdatas } }: OwnedRRset): Name {
  return fold(targetIn(type, rdatas[0]!) ?? ROOT);
}

function explainStep(places: Places, step: Step, answers: readonly OwnedRRset[]): ExplainedStep {
  const { zone, owner, found } = step;
  const repl = places.replAt(found.at) ?? null;
  const node = found.kind === "node" ? found.node : undefined;
  const alias = answers.find((one) => one.owner === owner && one.rrset.type === TYPE.CNAME);
  const types = found.kind === "cut" ? [TYPE.NS] : [...(node?.keys() ?? [])];
  return {
    name: formatName(owner),
    zone: formatName(zone.origin),
    serial: serialIn(zone.soa.rdatas[0]!),
    how: howOf(step, repl),
    at: formatName(found.kind === "nothing" ? found.encloser : found.at),
    types: types.map(typeName),
    repl: found.kind === "node" ? repl : null,
    target: alias ? formatName(targetOf(alias)) : null,
  };
}

function howOf({ owner, found }: Step, repl: Repl | null): How {
  if (found.kind === "cut") return "delegation";
  if (found.kind === "nothing") return "nothing";
  if (found.at !== owner) return "wildcard";
  if (repl) return "repl";
  if (found.node.size === 0) return "empty";
  return firstLabel(owner) === CHALLENGE_LABEL ? "challenge" : "records";
}

const presented = ({ owner, rrset: { ttl, type, rdatas } }: OwnedRRset): string[] =>
  rdatas.map((rdata) => {
    return `${formatName(owner)} ${ttl} ${typeName(type)} ${formatRdata(type, rdata)}`;
  });
