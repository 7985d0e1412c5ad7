/** Signed messages, which the worker hands over: transfers, updates, and queries that are signed. */
import { setImmediate } from "node:timers/promises";

import log from "encore.dev/log";

import { addressOctets } from "./core/address";
import { CLASS, OPCODE, RCODE, TYPE } from "./core/codes";
import { type Message, readMessage } from "./core/message";
import { rcodeName } from "./core/metrics";
import { mayTransfer } from "./core/policy";
import { MAX_TCP_OCTETS, MAX_UDP_OCTETS, MIN_UDP_OCTETS, respond } from "./core/respond";
import { isAfter, serialIn } from "./core/serial";
import { currentSoa, type Transfer, transferOf } from "./core/transfer";
import {
  readTsig,
  refuseSignature,
  sign,
  signatureOctets,
  type Tsig,
  TSIG_ERROR,
  unsigned,
  verify,
} from "./core/tsig";
import { FLAG, readHeader, readQuery } from "./core/wire";
import { instance } from "./instance";
import { type HeldKey, hmac, keyRing } from "./keys";
import type { Asked } from "./protocol";
import { updateZone } from "./updates";

/** Each holds the zone as it was at its beginning. */
const MAX_TRANSFERS = 8;
/** What is handed to the worker at once; the next waits until this is on its way. */
const BATCH_OCTETS = 128 * 1024;

const TSIG_ERROR_NAMES = new Map<number, string>(
  Object.entries(TSIG_ERROR).map(([name, error]) => [error, name]),
);

let transfers = 0;

/** The answer's messages, each signed where the question's signature was right. */
export async function* answerSigned(asked: Asked): AsyncGenerator<readonly Uint8Array[]> {
  const message = readMessage(asked.query);
  const tsig = message && readTsig(message);
  if (!message || tsig === undefined || tsig === "malformed") {
    yield [bare(asked.query, RCODE.FORMERR)];
    return;
  }
  const now = Math.floor(Date.now() / 1000);
  const plain = unsigned(asked.query, tsig);
  // Answered under the id that it came with.
  plain.set(asked.query.subarray(0, 2));
  const question = { asked, message, plain };
  try {
    const key = await keyRing().find(tsig.keyName);
    const error = verify({ octets: asked.query, tsig, key, now, hmac });
    if (error !== TSIG_ERROR.NONE || !key) {
      instance().events.add("bad_signature", TSIG_ERROR_NAMES.get(error) ?? "other");
      yield [refused(question, { tsig, key, now, error })];
      return;
    }
    yield* signedBy({ key, tsig, now }, answersTo({ ...question, key }));
  } catch (error) {
    log.error(error, "cannot answer a signed message");
    yield [reply(question, RCODE.SERVFAIL)];
  }
}

interface Question {
  readonly asked: Asked;
  readonly message: Message;
  /** The octets that were signed. */
  readonly plain: Uint8Array;
}
type KeyedQuestion = Question & { readonly key: HeldKey };

async function* signedBy(
  { key, tsig, now }: { key: HeldKey; tsig: Tsig; now: number },
  messages: AsyncIterable<Uint8Array>,
): AsyncGenerator<readonly Uint8Array[]> {
  let prior = tsig.mac;
  let isFollowing = false;
  let batch: Uint8Array[] = [];
  let octets = 0;
  for await (const message of messages) {
    const signed = sign({ message, key, now, hmac, prior, isFollowing });
    prior = signed.mac;
    isFollowing = true;
    batch.push(signed.message);
    octets += signed.message.length;
    if (octets < BATCH_OCTETS) continue;
    yield batch;
    batch = [];
    octets = 0;
    // A large zone must not keep the event loop.
    await setImmediate();
  }
  yield batch;
}

async function* answersTo(question: KeyedQuestion): AsyncGenerator<Uint8Array> {
  const { message, plain } = question;
  const { opcode } = message.header;
  if (opcode === OPCODE.UPDATE) {
    const rcode = await updateZone(message, question.key);
    instance().events.add("update", rcodeName(rcode));
    yield reply(question, rcode);
  } else if (opcode === OPCODE.QUERY) {
    const type = message.questions[0]?.type;
    if (type === TYPE.AXFR || type === TYPE.IXFR) yield* transfer(question);
    else yield answerQuery(question);
  } else {
    yield bare(plain, RCODE.NOTIMP);
  }
}

async function* transfer(question: KeyedQuestion): AsyncGenerator<Uint8Array> {
  const { asked, message, key } = question;
  const wanted = transferFor(question);
  if (typeof wanted === "number") {
    yield* refuseTransfer(question, wanted);
    return;
  }
  const reserve = signatureOctets(key);
  const isIncremental = wanted.question.type === TYPE.IXFR;
  if (isIncremental && (asked.transport === "udp" || isUpToDate(message, wanted))) {
    yield currentSoa(wanted, reserve);
    return;
  }
  if (transfers >= MAX_TRANSFERS) {
    yield* refuseTransfer(question, RCODE.SERVFAIL);
    return;
  }
  instance().events.add("transfer", rcodeName(RCODE.NOERROR));
  transfers++;
  try {
    yield* transferOf(wanted, reserve);
  } finally {
    transfers--;
  }
}

function* refuseTransfer(question: KeyedQuestion, rcode: number): Generator<Uint8Array> {
  instance().events.add("transfer", rcodeName(rcode));
  yield reply(question, rcode);
}

/** The zone to transfer, or why not. Over UDP there is only IXFR (RFC 5936 section 4.2). */
function transferFor({ asked, message, plain, key }: KeyedQuestion): Transfer | number {
  const { question } = readQuestionOf(plain, message);
  if (!question || question.class !== CLASS.IN) return RCODE.FORMERR;
  const zone = instance().catalog.zoneOf(question.name);
  if (zone?.origin !== question.name) return RCODE.NOTAUTH;
  const isOverUdp = asked.transport === "udp" && question.type === TYPE.AXFR;
  if (isOverUdp || !mayTransfer(key.policy, zone.origin)) return RCODE.REFUSED;
  return { query: plain, question, zone };
}

/** The question as the writer of answers takes it; IXFR has a SOA in its authority section. */
function readQuestionOf(plain: Uint8Array, { questionEnd }: Message) {
  const head = plain.slice(0, questionEnd);
  head.fill(0, 6, 12);
  return readQuery(head, readHeader(head)!);
}

function isUpToDate({ authorities }: Message, { zone }: Transfer): boolean {
  const asked = authorities.find(({ type }) => type === TYPE.SOA)?.data;
  const ours = zone.soa.rdatas[0]!;
  return asked !== undefined && asked.length > 20 && !isAfter(serialIn(ours), serialIn(asked));
}

/** As the worker would, but signed: what is too long with its signature is truncated. */
function answerQuery({ asked, message, plain, key }: KeyedQuestion): Uint8Array {
  const { catalog, guard } = instance();
  const isUdp = asked.transport === "udp";
  const out = new Uint8Array(isUdp ? MAX_UDP_OCTETS : MAX_TCP_OCTETS);
  const asker = {
    transport: asked.transport,
    address: addressOctets(asked.address),
    nowMs: Date.now(),
  };
  const server = { ...guard, zones: catalog, countQuery: catalog.countQuery, limiter: undefined };
  const { length } = respond(server, plain, asker, out);
  const { edns } = readQuery(plain, message.header);
  const udpLimit = edns ? Math.min(edns.size, MAX_UDP_OCTETS) : MIN_UDP_OCTETS;
  const limit = (isUdp ? udpLimit : MAX_TCP_OCTETS) - signatureOctets(key);
  const answer = out.slice(0, length);
  return length <= limit ? answer : truncated(answer);
}

/** Only header, question and OPT stay (RFC 2181 section 9, RFC 6891 section 6.2.5). */
function truncated(answer: Uint8Array): Uint8Array {
  const message = readMessage(answer)!;
  const opt = message.additionals.at(-1);
  const isOpt = opt?.type === TYPE.OPT;
  const tail = isOpt ? answer.subarray(opt.start) : new Uint8Array();
  const whole = new Uint8Array([...answer.subarray(0, message.questionEnd), ...tail]);
  whole.fill(0, 6, 12);
  whole[2]! |= FLAG.TC >> 8;
  whole[11] = Number(isOpt);
  return whole;
}

interface Faulty {
  readonly tsig: Tsig;
  readonly key: HeldKey | undefined;
  readonly now: number;
  readonly error: number;
}

/** NOTAUTH, and which fault the signature has (RFC 8945 section 5.2). */
function refused(question: Question, { tsig, key, now, error }: Faulty): Uint8Array {
  const answer = reply(question, RCODE.NOTAUTH);
  if (error !== TSIG_ERROR.BADTIME || !key) return refuseSignature(answer, tsig, error);
  return sign({ message: answer, key, now, hmac, prior: tsig.mac, badTime: tsig.time }).message;
}

/** An answer of only the question, which in an update is the zone. */
function reply({ message, plain }: Question, rcode: number): Uint8Array {
  const answer = plain.slice(0, message.questionEnd);
  answer.fill(0, 6, 12);
  return withFlags(answer, rcode);
}

function bare(query: Uint8Array, rcode: number): Uint8Array {
  const answer = query.slice(0, 12);
  answer.fill(0, 4, 12);
  return withFlags(answer, rcode);
}

const KEPT_FLAGS = 0x7800 | FLAG.RD;

function withFlags(answer: Uint8Array, rcode: number): Uint8Array {
  const view = new DataView(answer.buffer);
  view.setUint16(2, FLAG.QR | (view.getUint16(2) & KEPT_FLAGS) | rcode);
  return answer;
}
