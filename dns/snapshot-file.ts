/** The copy on disk of everything that is answered: enough to start without a database. */
import { mkdir, open, readFile, rename } from "node:fs/promises";
import { dirname } from "node:path";

import log from "encore.dev/log";

import type { Batch, Change } from "./core/catalog";

const VERSION = 1;
/** A change is on disk within a second; a row of changes is written once. */
const DELAY_MS = 500;
/** Lines between two looks at the event loop: 10⁵ names must not hold up a change. */
const CHUNK_LINES = 2_000;

export interface StoredSnapshot {
  /** Which database it is a copy of. */
  readonly systemId: string;
  readonly batch: Batch;
}

/** The snapshot in `file`, or undefined when there is none that can be used. */
export async function readSnapshot(file: string): Promise<StoredSnapshot | undefined> {
  try {
    const stored = JSON.parse(await readFile(file, "utf8")) as {
      version: number;
      systemId: string;
      seq: number;
      changes: Change[];
    };
    if (stored.version !== VERSION) return undefined;
    const { systemId, seq, changes } = stored;
    return { systemId, batch: { changes, seq, isWhole: true } };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") {
      log.warn("cannot read the snapshot", { file, reason: String(error) });
    }
    return undefined;
  }
}

/** Replaces `file` as a whole: a crash leaves the old one or the new one. */
export async function writeSnapshot(file: string, { systemId, batch }: StoredSnapshot) {
  await mkdir(dirname(file), { recursive: true, mode: 0o700 });
  const draft = `${file}.${process.pid}`;
  const handle = await open(draft, "w", 0o600);
  try {
    const head = JSON.stringify({ version: VERSION, systemId, seq: batch.seq });
    await handle.write(`${head.slice(0, -1)},"changes":[\n`);
    for (let at = 0; at < batch.changes.length; at += CHUNK_LINES) {
      const lines = batch.changes.slice(at, at + CHUNK_LINES).map((one) => JSON.stringify(one));
      await handle.write(`${at === 0 ? "" : ",\n"}${lines.join(",\n")}`);
    }
    await handle.write("\n]}\n");
    await handle.sync();
  } finally {
    await handle.close();
  }
  await rename(draft, file);
}

/** Keeps `file` in step: writes soon after a change, once for many. */
export class SnapshotWriter {
  readonly #file: string;
  readonly #current: () => StoredSnapshot | undefined;
  #timer: NodeJS.Timeout | undefined;
  #writing: Promise<void> = Promise.resolve();
  #isFailing = false;

  constructor(file: string, current: () => StoredSnapshot | undefined) {
    this.#file = file;
    this.#current = current;
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

  async #write(): Promise<void> {
    const snapshot = this.#current();
    if (!snapshot) return;
    try {
      await writeSnapshot(this.#file, snapshot);
      this.#isFailing = false;
    } catch (error) {
      if (!this.#isFailing) {
        log.error(error, "cannot write the snapshot", { file: this.#file });
      }
      this.#isFailing = true;
    }
  }
}
