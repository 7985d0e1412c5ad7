/**
 * The instances of this name server: each has a row in the database, and says on a channel what it
 * answers. So an instance knows when a change is answered everywhere, or who does not answer it yet.
 */
import { type Mark, NOWHERE, type PeerRow, Peers, shows } from "./core/peers";
import type { InstanceRow, RegistryView } from "./store-instances";
import type { OnState } from "./tail";

const PACE: Pace = { beatMs: 2_000, recheckMs: 500 };
/** Who is asked says for so long what it answers; longer than the next asking takes. */
const ASKED_MS = 1_500;
/** Beyond this the registry is taken as it was read last. */
const READ_MS = 1_500;

/** What instances say to each other: what they answer, that they end, or that someone waits. */
interface Message extends Partial<Mark> {
  readonly id: string;
  readonly asks?: true;
  readonly ends?: true;
}

interface Pace {
  /** From one writing of the row to the next. */
  readonly beatMs: number;
  /** While somebody waits the registry is read so often: who died is waited for no longer. */
  readonly recheckMs: number;
}

export interface RegistryOptions {
  readonly id: string;
  /** What this instance answers. */
  readonly mark: () => Mark;
  readonly store: RegistryStore;
  readonly onState: OnState;
  /** Tests have less time. */
  readonly pace?: Pace;
}

/** `store-instances.ts`, or what stands for it. */
interface RegistryStore {
  readonly writeInstance: (row: InstanceRow) => Promise<void>;
  readonly readRegistry: (ownId: string) => Promise<RegistryView>;
  readonly tellInstances: (message: string) => Promise<void>;
  readonly deleteInstance: (id: string) => Promise<void>;
}

export class Registry {
  readonly #options: RegistryOptions;
  readonly #pace: Pace;
  readonly #peers = new Peers();
  readonly #wakes = new Set<() => void>();
  /** What is written of this instance; absent while it has no row. */
  #state: (() => string) | undefined;
  #onRevision: (revision: number) => void = () => undefined;
  #readAt = 0;
  #last: Promise<void> = Promise.resolve();
  #next: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;
  #isFailing = false;
  #askedUntil = 0;
  #said: Mark = NOWHERE;
  #isTelling = false;
  #hasNews = false;

  constructor(options: RegistryOptions) {
    this.#options = options;
    this.#pace = options.pace ?? PACE;
  }

  /** The others, dead ones for a while too, as they were read or heard of last. */
  get peers(): PeerRow[] {
    const sinceRead = (performance.now() - this.#readAt) / 1_000;
    return this.#peers.rows.map((row) => {
      return { ...row, seenSecondsAgo: row.seenSecondsAgo + sinceRead };
    });
  }

  /** Take a place among the instances. Resolves when the row is there, or cannot be written now. */
  async join(state: () => string, onRevision: (revision: number) => void): Promise<void> {
    this.#state = state;
    this.#onRevision = onRevision;
    const beat = (): void => {
      void this.#sync();
      this.#timer = setTimeout(beat, this.#pace.beatMs);
    };
    this.#timer = setTimeout(beat, this.#pace.beatMs);
    this.#said = this.#options.mark();
    await this.refresh();
  }

  /** Give the place up: nobody waits for this instance from now on. */
  async leave(waitMs: number): Promise<void> {
    clearTimeout(this.#timer);
    if (!this.#state) return;
    this.#state = undefined;
    const { id, store } = this.#options;
    const leave = async (): Promise<void> => {
      await this.#last;
      await store.deleteInstance(id);
      await store.tellInstances(JSON.stringify({ id, ends: true } satisfies Message));
    };
    await within(
      leave().catch(() => undefined),
      waitMs,
    );
  }

  /** Read the rows again, and write one's own; not for long when the database is away. */
  async refresh(waitMs = READ_MS): Promise<void> {
    await within(this.#sync(), Math.min(waitMs, READ_MS));
  }

  /** Answers show more than before. */
  advance(): void {
    this.#wake();
    const isAsked = performance.now() < this.#askedUntil;
    if (isAsked || this.#options.mark().revision > this.#said.revision) this.#tell();
  }

  /** A message of another instance, or of ourselves. */
  hear(payload: string): void {
    const { id, asks, ends, revision, seq } = readMessage(payload);
    if (id === undefined || id === this.#options.id) return;
    if (asks) {
      this.#askedUntil = performance.now() + ASKED_MS;
      this.#tell();
    } else if (ends) this.#peers.forget(id);
    else this.#peers.hear(id, { revision: revision ?? 0, seq: seq ?? 0 });
    this.#wake();
  }

  /** Resolves when every living instance answers so much; with those that do not when time is over. */
  async waitForAll(wanted: Mark, waitMs: number): Promise<string[]> {
    const deadline = performance.now() + waitMs;
    for (let checkAt = 0; ;) {
      const now = performance.now();
      if (now >= checkAt) {
        // A revision is said by all without being asked; the first time that is soon enough.
        if (checkAt > 0 || wanted.seq > 0) this.#ask();
        checkAt = now + this.#pace.recheckMs;
        await this.refresh(deadline - now);
      }
      const missing = this.missing(wanted);
      const leftMs = deadline - performance.now();
      if (missing.length === 0 || leftMs <= 0) return missing;
      await this.#woken(Math.min(leftMs, Math.max(0, checkAt - performance.now())));
    }
  }

  /** Living instances, this one included, that have not said that they answer so much. */
  missing(wanted: Mark): string[] {
    const { id, mark } = this.#options;
    return [...(shows(mark(), wanted) ? [] : [id]), ...this.#peers.missing(wanted)];
  }

  /** After whatever is under way, which may have begun before what the caller knows of. */
  #sync(): Promise<void> {
    this.#next ??= this.#last.then(() => {
      this.#next = undefined;
      return this.#syncOnce();
    });
    this.#last = this.#next;
    return this.#last;
  }

  async #syncOnce(): Promise<void> {
    const { id, mark, store } = this.#options;
    try {
      const state = this.#state?.();
      if (state !== undefined) await store.writeInstance({ id, ...mark(), state });
      const { revision, peers } = await store.readRegistry(id);
      this.#peers.learn(peers);
      this.#readAt = performance.now();
      this.#wake();
      this.#onRevision(revision);
      if (this.#isFailing) this.#options.onState(null);
      this.#isFailing = false;
    } catch (error) {
      // Who lived when it was read last is taken to live: nobody is passed by for our own blindness.
      if (!this.#isFailing) this.#options.onState(String(error));
      this.#isFailing = true;
    }
  }

  #ask(): void {
    const { id, store } = this.#options;
    const message: Message = { id, asks: true };
    void store.tellInstances(JSON.stringify(message)).catch(() => undefined);
  }

  /** One message is under way at a time; what comes meanwhile is said together. */
  #tell(): void {
    if (!this.#state) return;
    this.#hasNews = true;
    if (!this.#isTelling) void this.#tellAll();
  }

  async #tellAll(): Promise<void> {
    const { id, mark, store } = this.#options;
    this.#isTelling = true;
    while (this.#hasNews) {
      this.#hasNews = false;
      this.#said = mark();
      const message: Message = { id, ...this.#said };
      // What is not heard is read from the row, two seconds later at most.
      await store.tellInstances(JSON.stringify(message)).catch(() => undefined);
    }
    this.#isTelling = false;
  }

  #wake(): void {
    for (const wake of this.#wakes) wake();
  }

  #woken(waitMs: number): Promise<void> {
    return new Promise((resolve) => {
      const wake = (): void => {
        clearTimeout(timer);
        this.#wakes.delete(wake);
        resolve();
      };
      const timer = setTimeout(wake, waitMs);
      this.#wakes.add(wake);
    });
  }
}

/** Nothing when it is no message of ours. */
function readMessage(payload: string): Partial<Message> {
  try {
    return JSON.parse(payload) as Message;
  } catch {
    return {};
  }
}

async function within(work: Promise<void>, waitMs: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const over = new Promise<void>((resolve) => (timer = setTimeout(resolve, waitMs)));
  await Promise.race([work, over]);
  clearTimeout(timer);
}
