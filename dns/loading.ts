/** Where an instance gets what it knows from: our database, or the copy on disk. */
import { setImmediate as turn } from "node:timers/promises";

import log from "encore.dev/log";

import { outbound } from "../shared/outbound";
import type { Batch } from "./core/catalog";
import { Memory } from "./core/memory";
import { partsOf, unpackRepls } from "./core/packed";
import { hashKey, instance } from "./instance";
import { config } from "./settings";
import type { StoredSnapshot } from "./snapshot-file";
import type { SnapshotSource } from "./snapshot-writer";
import { openPlacements, type Placements } from "./store-placements";
import { ensurePlatformZone, zones } from "./zones";

/** Beyond this the disk's copy is used: names come back before the database does. */
const FIRST_TIMEOUT_MS = 1_500;
/** A database that has answered is there: each of its next answers may take so long. */
const NEXT_TIMEOUT_MS = 10_000;

/** Taken into memory at a time: the event loop is held for a millisecond or two. */
const PART_LENGTH = 32_768;

const fromDatabase = outbound("the dns database", { timeoutMs: FIRST_TIMEOUT_MS });
const moreFromDatabase = outbound("the dns database", { timeoutMs: NEXT_TIMEOUT_MS });

/** The database that memory is a copy of; unknown until either copy was read. */
let systemId: string | undefined;
/** Memory came from the disk, and has not been held against the database since. */
let isUnchecked = false;
let reloading: Promise<void> | undefined;

/** What is answered, to be written to disk; undefined until something is. */
export function snapshotSource(): SnapshotSource | undefined {
  if (systemId === undefined) return undefined;
  const { catalog, snapshot } = instance();
  return {
    systemId,
    get seq() {
      return snapshot.seq;
    },
    changes: () => snapshot.changes(),
    repls: () => catalog.platform.repls(),
    size: catalog.platform.size,
  };
}

export const isFromDisk = (): boolean => isUnchecked;

/** Memory that came from the disk is held against the database, which is back. */
export async function reload(): Promise<void> {
  if (!isUnchecked) return;
  reloading ??= loadFromDatabase().finally(() => (reloading = undefined));
  await reloading;
}

/** A memory that is filled beside the one that answers; the event loop goes on between the parts. */
async function memoryOf(batches: AsyncIterable<Batch>, repls: number): Promise<Memory> {
  const { zone: platformZone, validationZone } = config();
  const memory = new Memory({ platformZone, validationZone, hashKey: hashKey() });
  let isFirst = true;
  for await (const batch of batches) {
    try {
      memory.apply(batch);
    } catch (error) {
      log.error(error, "cannot take a change into memory");
    }
    // The first forgets what was before it.
    if (isFirst) memory.catalog.platform.expect(repls);
    isFirst = false;
  }
  memory.catalog.platform.settle();
  return memory;
}

/** Nothing is taken from a file that turns out not to be whole; that throws. */
export async function loadFromDisk(stored: StoredSnapshot): Promise<void> {
  const startedAt = performance.now();
  const memory = await memoryOf(stored.batches(), stored.repls);
  systemId = stored.systemId;
  isUnchecked = true;
  instance().replace(memory);
  sayLoaded("file", startedAt);
}

function sayLoaded(from: "file" | "database", startedAt: number): void {
  const { catalog, snapshot } = instance();
  const ms = Math.round(performance.now() - startedAt);
  log.info("the names are loaded", { from, repls: catalog.platform.size, seq: snapshot.seq, ms });
}

/**
 * Everything from the database, but placements from what is known otherwise (the disk, or memory that
 * came from there) when that is of the same system and newer.
 */
export async function loadFromDatabase(stored?: StoredSnapshot): Promise<void> {
  const startedAt = performance.now();
  const placements = await fromDatabase(async () => {
    await ensurePlatformZone();
    return openPlacements();
  });
  try {
    if (stored && mayBeNewer(stored, placements)) {
      await loadFromDisk(stored).catch((error: unknown) => sayUnusable(error));
    }
    const memory = isKnown(placements) ? undefined : await readMemory(placements);
    await moreFromDatabase(() =>
      zones().reload((changes) => {
        const allZones: Batch = { changes, seq: 0, isAllZones: true };
        // Nothing waits here, so that no entry of the log comes in between.
        if (memory && !isKnown(placements)) {
          memory.apply(allZones);
          instance().replace(memory);
        } else instance().apply(allZones);
        systemId = placements.systemId;
        isUnchecked = false;
      }),
    );
    sayLoaded("database", startedAt);
  } finally {
    void placements.close();
  }
}

/** Memory is of the same system, and at least as new: it has what is in the database, or came after. */
function isKnown({ systemId: of, seq }: Placements): boolean {
  return systemId === of && instance().snapshot.seq >= seq;
}

function mayBeNewer(stored: StoredSnapshot, { systemId: of, seq }: Placements): boolean {
  return stored.systemId === of && (stored.lastSeq ?? Infinity) > seq;
}

async function readMemory(placements: Placements): Promise<Memory> {
  const repls = await moreFromDatabase(() => placements.count());
  return memoryOf(pagesOf(placements), repls);
}

/** The database prepares a page while the one before is taken into memory. */
async function* pagesOf({ clusters, seq, pages, readPage }: Placements) {
  yield { changes: clusters, seq: 0, isWhole: true } satisfies Batch;
  const read = (page: number) => moreFromDatabase(() => readPage(page));
  let next = pages > 0 ? read(0) : undefined;
  for (let page = 1; next; page++) {
    const text = await next;
    next = page < pages ? read(page) : undefined;
    // Its failure is heard when it is waited for.
    next?.catch(() => undefined);
    for (const part of partsOf(text, PART_LENGTH)) {
      yield { changes: unpackRepls(part), seq: 0 };
      await turn();
    }
  }
  yield { changes: [], seq };
}

export function sayUnusable(error: unknown): void {
  log.error(error, "cannot use the snapshot", { file: config().snapshotFile });
}
