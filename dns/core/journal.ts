/**
 * The copy on disk of everything that is answered, as lines of text: a head, the base, and after it
 * what changed since. Each line begins with a hash of itself and of all lines before it, so that one
 * that is torn, altered or missing is noticed.
 *
 *     1f0c7a52 {"version":2,"systemId":"…","size":1}
 *     90be1d03 {"changes":[…]}                 zones, records, clusters
 *     5a77e0c9 {"repls":"h1 hello demo east 3,…"}
 *     c1d20ff4 {"seq":17}                      the base ends: up to here all of it, or nothing
 *     03b5e6aa {"changes":[…],"seq":18}        a batch; a long one has several lines, the last with `seq`
 *
 * The base is written while changes go on. A line of it shows a thing as it was at its own moment, and
 * what changed in the meantime follows before the end: read in order, that is the state of the end.
 */
import type { Batch, Change } from "./catalog";
import { isPackable, joinPacked, packRepl, unpackRepls } from "./packed";
import type { Repl } from "./platform";

const VERSION = 2;
/** A line ends soon after so much text: the making and the reading of one must hold up nothing. */
const LINE_LENGTH = 32_768;

const HASH_DIGITS = 8;
/** FNV-1a, 32 bits (the Fowler/Noll/Vo hash): one altered character always changes it. */
const HASH_START = 0x811c9dc5;
const HASH_FACTOR = 0x01000193;

function hashOf(before: number, text: string): number {
  let hash = before;
  for (let at = 0; at < text.length; at++) {
    hash = Math.imul(hash ^ text.charCodeAt(at), HASH_FACTOR);
  }
  return hash >>> 0;
}

const hexOf = (hash: number): string => hash.toString(16).padStart(HASH_DIGITS, "0");

/** What the first line says. */
export interface JournalHead {
  /** Which database it is a copy of. */
  readonly systemId: string;
  /** About how many repls the base has. */
  readonly repls: number;
}

interface Line {
  readonly version?: number;
  readonly systemId?: string;
  readonly size?: number;
  readonly changes?: readonly Change[];
  readonly repls?: string;
  readonly seq?: number;
}

/** Makes lines, each with its line feed. */
export class JournalWriter {
  #hash = HASH_START;

  /** Where the chain of hashes is: to go back to when a line did not reach the disk. */
  get mark(): number {
    return this.#hash;
  }

  set mark(mark: number) {
    this.#hash = mark;
  }

  head({ systemId, repls }: JournalHead): string {
    this.#hash = HASH_START;
    return this.#line(JSON.stringify({ version: VERSION, systemId, size: repls }));
  }

  /** Changes of a base. */
  *changes(changes: Iterable<Change>): Generator<string> {
    for (const list of this.#lists(changes)) yield this.#line(`{"changes":[${list}]}`);
  }

  /** Repls of a base. */
  *repls(repls: Iterable<Repl>): Generator<string> {
    let packed: string[] = [];
    let length = 0;
    for (const repl of repls) {
      if (!isPackable(repl)) {
        yield* this.changes([{ kind: "repl", ...repl }]);
        continue;
      }
      const text = packRepl(repl);
      packed.push(text);
      length += text.length;
      if (length < LINE_LENGTH) continue;
      yield this.#line(JSON.stringify({ repls: joinPacked(packed) }));
      packed = [];
      length = 0;
    }
    if (packed.length > 0) yield this.#line(JSON.stringify({ repls: joinPacked(packed) }));
  }

  /** The end of a base that leads to `seq`. */
  end(seq: number): string {
    return this.#line(JSON.stringify({ seq }));
  }

  /** A batch behind the base. */
  *batch({ changes, seq }: Batch): Generator<string> {
    let last: string | undefined;
    for (const list of this.#lists(changes)) {
      if (last !== undefined) yield this.#line(`{"changes":[${last}]}`);
      last = list;
    }
    yield this.#line(`{"changes":[${last ?? ""}],"seq":${seq}}`);
  }

  *#lists(changes: Iterable<Change>): Generator<string> {
    let list: string[] = [];
    let length = 0;
    for (const change of changes) {
      const text = JSON.stringify(change);
      list.push(text);
      length += text.length;
      if (length < LINE_LENGTH) continue;
      yield list.join(",");
      list = [];
      length = 0;
    }
    if (list.length > 0) yield list.join(",");
  }

  #line(json: string): string {
    this.#hash = hashOf(this.#hash, json);
    return `${hexOf(this.#hash)} ${json}\n`;
  }
}

/** Takes the lines of a journal in their order, without their line feeds. */
export class JournalReader {
  #hash = HASH_START;
  #head: JournalHead | undefined;
  #isWhole = false;
  #isFirst = true;
  #changes: Change[] = [];

  /** Known after the first line. */
  get head(): JournalHead | undefined {
    return this.#head;
  }

  /** The base has been read: what was taken counts, even if no further line can be read. */
  get isWhole(): boolean {
    return this.#isWhole;
  }

  /**
   * What becomes known by a line: a part of the base, of which the first begins anew, or a batch.
   *
   * @throws Error when the line is not what was written
   */
  take(line: string): Batch | undefined {
    const json = this.#checked(line);
    const { changes = [], repls = "", seq, ...head } = JSON.parse(json ?? "{}") as Line;
    if (!this.#head) {
      if (head.version !== VERSION) throw new Error(`it is no snapshot of version ${VERSION}`);
      this.#head = { systemId: head.systemId ?? "", repls: head.size ?? 0 };
      return undefined;
    }
    if (json === undefined) throw new Error("a line is not what was written");
    for (const change of changes) this.#changes.push(change);
    for (const change of unpackRepls(repls)) this.#changes.push(change);
    if (this.#isWhole && seq === undefined) return undefined;
    return this.#next(seq);
  }

  #next(seq: number | undefined): Batch {
    const batch = { changes: this.#changes, seq: seq ?? 0 };
    this.#changes = [];
    if (seq !== undefined) this.#isWhole = true;
    if (!this.#isFirst) return batch;
    this.#isFirst = false;
    return { ...batch, isWhole: true };
  }

  #checked(line: string): string | undefined {
    const json = line.slice(HASH_DIGITS + 1);
    this.#hash = hashOf(this.#hash, json);
    const isWritten = line.slice(0, HASH_DIGITS + 1) === `${hexOf(this.#hash)} `;
    return isWritten ? json : undefined;
  }
}

/** The sequence that the end of a journal speaks of, if its last lines are in order. */
export function lastSeq(end: string): number | undefined {
  // Text in it has its quotes escaped, so that this is found nowhere else.
  const seqs = [...end.matchAll(/"seq":(\d+)\}\n/g)];
  const last = seqs.at(-1);
  return last && Number(last[1]);
}
