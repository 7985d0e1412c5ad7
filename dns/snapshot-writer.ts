/**
 * Keeps the copy on disk in step. Changes are appended, so that one costs the same however many names
 * there are; when they have outgrown the base, a new base is written beside the file and takes its place.
 */
import { type FileHandle, mkdir, open, readdir, rename, rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";

import log from "encore.dev/log";

import { type Backoff, backoffMs } from "../shared/backoff";
import type { Batch, Change } from "./core/catalog";
import { JournalWriter } from "./core/journal";
import type { Repl } from "./core/platform";

/** A change is on disk within a second; a row of changes is written once. */
const DELAY_MS = 500;
/** A disk that is full or gone: a base is long to write in vain. */
const RETRY: Backoff = { minMs: 1_000, maxMs: 60_000 };
/** A small base is not worth the saving. */
const MIN_APPENDED_OCTETS = 2 ** 20;
/** What waits for a disk that does not take it; beyond, the file is written anew. */
const MAX_WAITING_CHANGES = 50_000;
/** Made and written at a time: a millisecond's work. */
const CHUNK_LENGTH = 32_768;

/** Everything that is answered, as it is when it is read; it may change while it is. */
export interface SnapshotSource {
  readonly systemId: string;
  /** How far it leads now. */
  readonly seq: number;
  /** All but repls, in an order that a catalog can take. */
  readonly changes: () => Iterable<Change>;
  readonly repls: () => Iterable<Repl>;
  /** About how many repls there are. */
  readonly size: number;
}

export interface SnapshotWriterOptions {
  readonly file: string;
  /** Undefined while nothing is known. */
  readonly source: () => SnapshotSource | undefined;
  readonly openFile?: typeof open;
}

/** A journal with an end to append to. */
interface Journal {
  readonly epoch: number;
  readonly handle: FileHandle;
  readonly lines: JournalWriter;
  readonly baseOctets: number;
  octets: number;
}

export class SnapshotWriter {
  readonly #options: SnapshotWriterOptions;
  #journal: Journal | undefined;
  #waiting: Batch[] = [];
  #waitingChanges = 0;
  /** Rises when what was written no longer has what comes; a journal of an earlier one has ended. */
  #epoch = 0;
  #timer: NodeJS.Timeout | undefined;
  #writing: Promise<void> = Promise.resolve();
  #failures = 0;
  #hasSwept = false;
  #isClosing = false;
  #written = 0;

  constructor(options: SnapshotWriterOptions) {
    this.#options = options;
  }

  /** Octets written by now. */
  get written(): number {
    return this.#written;
  }

  /** What memory has just taken. */
  add(batch: Batch): void {
    this.#waiting.push(batch);
    this.#waitingChanges += batch.changes.length;
    const isNew = batch.isWhole ?? batch.isAllZones ?? false;
    if (isNew || this.#waitingChanges > MAX_WAITING_CHANGES) this.#startAnew();
    this.schedule();
  }

  schedule(): void {
    this.#timer ??= setTimeout(() => void this.flush(), DELAY_MS);
  }

  /** Write now; resolves when what is in memory is on disk, or cannot be. */
  flush(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#writing = this.#writing.then(() => this.#write());
    return this.#writing;
  }

  /** Write what is left, and be done. */
  async close(): Promise<void> {
    this.#isClosing = true;
    await this.flush();
    clearTimeout(this.#timer);
    await this.#dropJournal();
  }

  #startAnew(): void {
    this.#epoch++;
    this.#takeWaiting();
  }

  #takeWaiting(): Batch[] {
    const waiting = this.#waiting;
    this.#waiting = [];
    this.#waitingChanges = 0;
    return waiting;
  }

  async #dropJournal(): Promise<void> {
    const journal = this.#journal;
    this.#journal = undefined;
    await journal?.handle.close().catch(() => undefined);
  }

  async #write(): Promise<void> {
    const source = this.#options.source();
    if (!source) return;
    const journal = this.#journal;
    // A base is too much work for the end of a process, as long as it can do without.
    const isOpen = journal?.epoch === this.#epoch && (this.#isClosing || !isOutgrown(journal));
    const { file } = this.#options;
    try {
      if (isOpen) await this.#append(journal);
      else await this.#rewrite(source);
      if (this.#failures > 0) log.info("writing the snapshot works again", { file });
      this.#failures = 0;
    } catch (error) {
      this.#failures++;
      if (this.#failures === 1) log.error(error, "cannot write the snapshot", { file });
      const waitMs = backoffMs(this.#failures, RETRY, Math.random());
      this.#timer ??= setTimeout(() => void this.flush(), waitMs);
    }
  }

  async #append(journal: Journal): Promise<void> {
    const batches = this.#takeWaiting();
    if (batches.length === 0) return;
    const { octets, lines } = journal;
    const { mark } = lines;
    try {
      let text = "";
      for (const line of batchLines(lines, batches)) {
        text += line;
        if (text.length < CHUNK_LENGTH) continue;
        await this.#put(journal, text);
        text = "";
      }
      await this.#put(journal, text);
      await journal.handle.datasync();
    } catch (error) {
      await this.#undo(journal, { octets, mark, batches });
      throw error;
    }
  }

  /** Back to the last whole line: half a line in the middle would end the file for a reader. */
  async #undo(
    journal: Journal,
    { octets, mark, batches }: { octets: number; mark: number; batches: Batch[] },
  ): Promise<void> {
    if (journal.epoch !== this.#epoch) return;
    try {
      await journal.handle.truncate(octets);
      journal.octets = octets;
      journal.lines.mark = mark;
      this.#waiting.unshift(...batches);
      this.#waitingChanges = this.#waiting.reduce((sum, one) => sum + one.changes.length, 0);
    } catch {
      this.#startAnew();
    }
  }

  /** A new base beside the file, then in its place: a crash leaves the old one or the new one. */
  async #rewrite(source: SnapshotSource): Promise<void> {
    const { file, openFile = open } = this.#options;
    await mkdir(dirname(file), { recursive: true, mode: 0o700 });
    if (!this.#hasSwept) await removeLeftovers(file);
    this.#hasSwept = true;
    const draft = `${file}.${process.pid}`;
    const handle = await openFile(draft, "w", 0o600);
    try {
      const journal = await this.#writeBase(handle, source);
      if (!journal) return await abandon(handle, draft);
      await rename(draft, file);
      await this.#dropJournal();
      this.#journal = journal;
    } catch (error) {
      // What was to be appended is in the draft now, and in no other file.
      this.#startAnew();
      await abandon(handle, draft);
      throw error;
    }
    await syncFolder(dirname(file));
  }

  /** Undefined when memory was replaced as a whole meanwhile; it is written soon, then. */
  async #writeBase(handle: FileHandle, source: SnapshotSource): Promise<Journal | undefined> {
    const lines = new JournalWriter();
    const epoch = this.#epoch;
    const base = { epoch, handle, lines, octets: 0 };
    // From here on the base is read: it has what waits, and what comes is put into it.
    this.#takeWaiting();
    let text = lines.head({ systemId: source.systemId, repls: source.size });
    for (const line of everything(lines, source)) {
      text += line + this.#waitingLines(lines);
      if (text.length < CHUNK_LENGTH) continue;
      await this.#put(base, text);
      text = "";
      if (epoch !== this.#epoch) return undefined;
    }
    text += this.#waitingLines(lines) + lines.end(source.seq);
    await this.#put(base, text);
    await handle.datasync();
    return epoch === this.#epoch ? { ...base, baseOctets: base.octets } : undefined;
  }

  #waitingLines(lines: JournalWriter): string {
    if (this.#waiting.length === 0) return "";
    const changes = this.#takeWaiting().flatMap((batch) => batch.changes);
    return [...lines.changes(changes)].join("");
  }

  async #put(to: { readonly handle: FileHandle; octets: number }, text: string): Promise<void> {
    const octets = Buffer.from(text);
    for (let from = 0; from < octets.length;) {
      const { handle } = to;
      const { bytesWritten } = await handle.write(octets, from, octets.length - from, to.octets);
      from += bytesWritten;
      to.octets += bytesWritten;
      this.#written += bytesWritten;
    }
  }
}

function isOutgrown({ baseOctets, octets }: Journal): boolean {
  return octets - baseOctets > Math.max(baseOctets, MIN_APPENDED_OCTETS);
}

function* batchLines(lines: JournalWriter, batches: readonly Batch[]): Generator<string> {
  for (const batch of batches) yield* lines.batch(batch);
}

function* everything(lines: JournalWriter, source: SnapshotSource): Generator<string> {
  yield* lines.changes(source.changes());
  yield* lines.repls(source.repls());
}

async function abandon(handle: FileHandle, draft: string): Promise<void> {
  await handle.close().catch(() => undefined);
  await rm(draft, { force: true }).catch(() => undefined);
}

/** Drafts of processes that died while they wrote. */
async function removeLeftovers(file: string): Promise<void> {
  const prefix = `${basename(file)}.`;
  for (const name of await readdir(dirname(file))) {
    const pid = name.startsWith(prefix) ? name.slice(prefix.length) : "";
    if (/^\d+$/.test(pid) && !isRunning(Number(pid))) await rm(join(dirname(file), name));
  }
}

function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

/** The new name, too, is there after a power cut; not every system can say so. */
async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder).catch(() => undefined);
  await handle?.sync().catch(() => undefined);
  await handle?.close();
}
