import {
  closeSync,
  constants,
  existsSync,
  ftruncateSync,
  lstatSync,
  openSync,
  readFileSync,
  renameSync,
  utimesSync,
} from "node:fs";

import { createManifestReader, MAX_RELEASED_BYTES, RELEASED } from "./core/distrust";
import type { Entry } from "./core/manifest";
import { batches, BLOCK_BYTES, type Piece, type WantedPiece } from "./core/pieces";
import { type Frame, type IsSigned, StreamCut, unpack } from "./file-frames";
import { hashOf, type ManifestHead } from "./file-give";
import { openDraft, writeBytes } from "./file-content";
import { inside, shown } from "./file-names";
import {
  beginRound,
  type Copied,
  draftOf,
  endRound,
  keepRound,
  type Place,
  putFile,
  type Source,
  summary,
} from "./file-round";
import { filesOf, manifestOf, readWhole } from "./file-tree";

/**
 * The destination's side of a copy from another cluster: a round as from a folder, but its files come
 * as blocks over the channel. All that has come is kept when the stream breaks, and not asked for again.
 */

/** An answer of the source, as far as it is not read yet. */
export interface Answer {
  readonly chunks: AsyncIterable<Uint8Array>;
  readonly isSigned: IsSigned;
  /** Nobody reads on; again is no error. */
  close(): void;
}

/** Asks the source for its manifest (null) or for pieces of files. Rejects with `StreamCut` when it may be asked again. */
export type Ask = (pieces: readonly Piece[] | null) => Promise<Answer>;

export interface DrawJob extends Place {
  readonly kind: "draw";
  /** The source has stopped writing: afterwards both must be equal, or it throws. */
  readonly final: boolean;
}

export interface Drawn extends Copied {
  /** What the source says of the release, not checked; null when it has none: then nothing was copied. */
  readonly release: unknown;
}

/** A source that restarts is back by then (20 s); a final round leaves this to the coordinator. */
const MAX_FAILURES = 24;

/**
 * One round. Unless it is final, it goes on where it was cut off, as long as that helps; `pause` is told
 * how often in a row it did not.
 */
export async function draw(
  job: DrawJob,
  ask: Ask,
  pause: (failures: number) => Promise<unknown>,
): Promise<Drawn> {
  const progress = { blocks: 0 };
  let failures = 0;
  for (;;) {
    const before = progress.blocks;
    try {
      return await drawOnce(job, ask, progress);
    } catch (error) {
      failures = progress.blocks > before ? 1 : failures + 1;
      if (job.final || !(error instanceof StreamCut) || failures >= MAX_FAILURES) throw error;
      await pause(failures);
    }
  }
}

interface Progress {
  blocks: number;
}

async function drawOnce(job: DrawJob, ask: Ask, progress: Progress): Promise<Drawn> {
  const { generationDir, uid, final } = job;
  const place = { generationDir, uid };
  const source = await readSource(ask);
  if (source.release === null) return { ...summary([], [], []), release: null };
  const round = beginRound(source, place, final);
  const files = [...releasedOf(source, place), ...round.files];
  const bringer = new Bringer(place, final, progress);
  try {
    await bringer.bring(files, ask);
  } catch (error) {
    if (!final) keepRound(round, place, bringer.hasBrought);
    throw error;
  }
  return { ...endRound(round, place, final, bringer.hasBrought), release: source.release };
}

type ReadSource = Source & Omit<ManifestHead, "settled">;

/** What the source holds; nothing of it is used before it was checked. */
async function readSource(ask: Ask): Promise<ReadSource> {
  const answer = await ask(null);
  const reader = createManifestReader();
  let head: ReturnType<typeof checkedHead> | undefined;
  try {
    for await (const frame of unpack(answer.chunks, answer.isSigned)) {
      if (frame.kind === "head") head = checkedHead(frame.head);
      if (frame.kind === "entries") takeEntries(frame.entries, reader.take);
    }
  } finally {
    answer.close();
  }
  if (!head) throw new Error("the source did not say what it holds");
  return { ...head, manifest: reader.manifest };
}

function takeEntries(entries: unknown, take: (value: unknown) => string | null): void {
  if (!Array.isArray(entries)) throw new Error("the source sent no list of files");
  for (const entry of entries) {
    const fault = take(entry);
    if (fault === null) continue;
    const name = JSON.stringify((entry as Entry | null)?.path ?? null).slice(0, 200);
    throw new Error(`Cannot take ${name} of the source: ${fault}`);
  }
}

function checkedHead(value: unknown): ManifestHead & Pick<Source, "settled"> {
  const head = (value ?? {}) as ManifestHead;
  const { scannedAtUs, isFlushed, released, special, release, settled } = head;
  const isSize = (number: unknown): boolean => Number.isSafeInteger(number) && Number(number) >= 0;
  const isWhole =
    isSize(scannedAtUs) &&
    typeof isFlushed === "boolean" &&
    (released === null || (isSize(released?.size) && isSize(released?.mtimeMs))) &&
    (released?.size ?? 0) <= MAX_RELEASED_BYTES &&
    (!settled || (isSize(settled.generation) && isSize(settled.atMs))) &&
    Array.isArray(special) &&
    special.every((name) => typeof name === "string");
  if (!isWhole) throw new Error("the source sent a broken manifest");
  return { scannedAtUs, isFlushed, released, special, release, settled: settled ?? null };
}

/** The release's own manifest is drawn as a file, when it is another. */
function releasedOf({ released }: ReadSource, { generationDir }: Place): Entry[] {
  if (!released) return [];
  const there = lstatSync(manifestOf(generationDir), { throwIfNoEntry: false });
  const { size, mtimeMs } = released;
  if (there?.size === size && Math.floor(there.mtimeMs) === mtimeMs) return [];
  return [
    { path: RELEASED, type: "file", size, mtimeMs, ctimeUs: 0, inode: 0, mode: 0o600, target: "" },
  ];
}

/** Takes the source's answers apart and puts files together. */
class Bringer {
  /** Files that changed while they were read. */
  private readonly gone = new Set<string>();
  private readonly brought = new Set<string>();

  constructor(
    private readonly place: Place,
    private readonly final: boolean,
    private readonly progress: Progress,
  ) {}

  /** Whether a file has come to its end. */
  readonly hasBrought = (path: string): boolean => this.brought.has(path);

  /** The next batch is asked for before the last has come: the source reads while this side writes. */
  async bring(files: readonly Entry[], ask: Ask): Promise<void> {
    let next: Promise<Asked> | undefined;
    try {
      for (const batch of batches(files)) {
        const asked = next;
        next = this.askFor(batch, ask);
        next.catch(() => undefined);
        if (asked) await this.take(await asked);
      }
      if (next) await this.take(await next);
      next = undefined;
    } finally {
      void next?.then(({ answer }) => answer.close()).catch(() => undefined);
    }
  }

  private async askFor(batch: readonly WantedPiece[], ask: Ask): Promise<Asked> {
    const pieces = batch.map((wanted) => ({
      path: wanted.entry.path,
      offset: wanted.offset,
      blocks: wanted.blocks,
      have: this.hashesOf(wanted),
    }));
    return { batch, pieces, answer: await ask(pieces) };
  }

  /** Of what is there: the draft of an earlier try, or the file as an earlier round brought it. */
  private hashesOf({ entry, offset, blocks }: WantedPiece): string[] {
    const path = existsSync(draftOf(this.place, entry.path))
      ? draftOf(this.place, entry.path)
      : this.pathOf(entry);
    const file = openToRead(path);
    if (file === null) return [];
    const hashes: string[] = [];
    try {
      for (let block = 0; block < blocks; block++) {
        const bytes = Buffer.allocUnsafe(BLOCK_BYTES);
        const length = readWhole(file, bytes, offset + block * BLOCK_BYTES);
        if (length > 0) hashes.push(hashOf(bytes.subarray(0, length)));
        if (length < BLOCK_BYTES) break;
      }
    } finally {
      closeSync(file);
    }
    return hashes;
  }

  private pathOf({ path }: Entry): string | Buffer {
    const { generationDir } = this.place;
    return path === RELEASED ? manifestOf(generationDir) : inside(filesOf(generationDir), path);
  }

  private async take({ batch, pieces, answer }: Asked): Promise<void> {
    const frames = unpack(answer.chunks, answer.isSigned);
    try {
      for (const [index, wanted] of batch.entries()) {
        await this.takePiece(wanted, pieces[index]?.have ?? [], frames);
      }
      const { kind } = await nextOf(frames);
      if (kind !== "end") throw new Error(`the source sent "${kind}", not the end`);
    } finally {
      answer.close();
    }
  }

  private async takePiece(
    { entry, offset, blocks, isLast }: WantedPiece,
    have: readonly string[],
    frames: AsyncGenerator<Frame>,
  ): Promise<void> {
    const head = await nextOf(frames);
    if (head.kind === "gone") return this.markGone(entry);
    if (head.kind !== "file") throw new Error(`the source sent "${head.kind}", not a file`);
    const end = Math.max(offset, Math.min(head.size, offset + blocks * BLOCK_BYTES));
    const file = openDraft(this.pathOf(entry), draftOf(this.place, entry.path));
    try {
      for (let at = offset, index = 0; at < end; at += BLOCK_BYTES, index++) {
        const frame = await nextOf(frames);
        if (frame.kind === "gone") return this.markGone(entry);
        const length = Math.min(BLOCK_BYTES, end - at);
        writeBlock({ file, at, length, isThere: have[index] !== undefined }, frame);
        if (frame.kind !== "same") this.progress.blocks++;
      }
      if (!isLast || this.gone.has(entry.path)) return;
      ftruncateSync(file, end);
    } finally {
      closeSync(file);
    }
    this.finish(entry);
  }

  /** A file that went away while the app runs is the next round's to see. */
  private markGone({ path }: Entry): void {
    if (this.final) throw new Error(`"${shown(path)}" changed while it was read`);
    this.gone.add(path);
  }

  private finish(entry: Entry): void {
    if (entry.path !== RELEASED) {
      putFile(entry, this.place);
      return void this.brought.add(entry.path);
    }
    const draft = draftOf(this.place, RELEASED);
    const reader = createManifestReader();
    takeEntries(JSON.parse(readFileSync(draft, "utf8")), reader.take);
    const seconds = (entry.mtimeMs + 0.5) / 1000;
    utimesSync(draft, seconds, seconds);
    renameSync(draft, this.pathOf(entry));
  }
}

interface Asked {
  readonly batch: readonly WantedPiece[];
  readonly pieces: readonly Piece[];
  readonly answer: Answer;
}

/** Null when there is no such file. */
function openToRead(path: string | Buffer): number | null {
  try {
    return openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return null;
    throw error;
  }
}

async function nextOf(frames: AsyncGenerator<Frame>): Promise<Frame> {
  const { value, done } = await frames.next();
  if (done) throw new StreamCut("the stream of files ended before its end");
  return value;
}

const ZEROS = new Uint8Array(BLOCK_BYTES);

interface Block {
  readonly file: number;
  readonly at: number;
  readonly length: number;
  /** This side has named a hash of it. */
  readonly isThere: boolean;
}

function writeBlock({ file, at, length, isThere }: Block, frame: Frame): void {
  if (frame.kind === "same" && isThere) return;
  if (frame.kind === "zero") return writeBytes(file, ZEROS.subarray(0, length), at);
  if (frame.kind !== "data" || frame.bytes.length !== length) {
    throw new Error(`the source sent "${frame.kind}", not a block of ${length} bytes`);
  }
  writeBytes(file, frame.bytes, at);
}
