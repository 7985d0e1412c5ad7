import { createHash } from "node:crypto";
import { setMaxListeners } from "node:events";
import { Agent } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";

import { type Answer, type Ask, exchange, open, Unserved } from "../../cli/demo/exchange";
import { Pace } from "../../cli/demo/pace";
import { Closed, connect, type WebSocketClient } from "../../cli/demo/websocket";
import type { Body } from "./load-bodies";
import type { LoadTally } from "./load-tally";

/** How a visitor comes: where to, and on which connection. */
export interface Way {
  readonly name: string;
  /** To the address that it learned first, for ever; otherwise to where DNS says. */
  readonly isPinned: boolean;
  readonly isKept: boolean;
}

export const WAYS: readonly Way[] = [
  { name: "DNS, kept", isPinned: false, isKept: true },
  { name: "DNS, new", isPinned: false, isKept: false },
  { name: "pinned, kept", isPinned: true, isKept: true },
  { name: "pinned, new", isPinned: true, isKept: false },
];

export interface VisitorsOptions {
  readonly app: string;
  readonly host: string;
  readonly port: number;
  /** The cluster's address that pinned visitors stay with. */
  readonly pinnedTo: string;
  /** What DNS said last. */
  readonly resolve: () => string;
  readonly clusterAt: (address: string) => string;
  readonly tally: LoadTally;
  readonly random: () => number;
  readonly small: { readonly perSecond: number; readonly kinds: readonly SmallKind[] };
  readonly bodies: readonly Body[];
  /** Between the parts of a large upload; and what a slow download is. */
  readonly uploadPauseMs: number;
  readonly download: { readonly blocks: number; readonly eachMs: number };
  /** Between two large ones of the same visitor, on average. */
  readonly restMs: number;
  /** Messages are kept by the app, so each must be there at the end. */
  readonly isKeeping: boolean;
}

export type SmallKind = "GET" | "POST";

const BLOCK_BYTES = 64 * 1024;
const MAX_IN_FLIGHT = 1_000;
const MESSAGE_EACH_MS = 100;
const RECONNECT_MS = 50;
/** Longer than a request may take. */
const FINISH_MS = 35_000;
/** Close codes that announce an orderly restart. */
const COME_AGAIN = [1001, 1012];

/** Everybody who uses one app: small requests at a steady rate; large and slow ones, events and messages one by one. */
export class LoadVisitors {
  /** Of each writer, the numbers that its acknowledged writes got. */
  readonly acknowledged = new Map<string, Map<number, number>>();
  /** Of each WebSocket's messages, the last one that was acknowledged. */
  readonly messages = new Map<string, number>();
  private readonly agents = new Map(WAYS.map((way) => [way, this.agentOf(way)]));
  private readonly inFlight = new Set<Promise<void>>();
  private readonly lanes: Array<Promise<void>> = [];
  private readonly ends = new Set<() => void>();
  private readonly stopped = new AbortController();
  private pace: Pace | undefined;
  private turns = 0;
  private writes = 0;

  constructor(private readonly options: VisitorsOptions) {
    setMaxListeners(0, this.stopped.signal);
    for (const kind of options.small.kinds) for (const way of WAYS) this.nameOf(kind, way);
  }

  start(): void {
    const { small } = this.options;
    this.pace = new Pace(small.perSecond, () => this.sendSmall());
    for (const way of WAYS) this.lanes.push(this.upload(way));
    for (const way of WAYS) this.lanes.push(this.download(way));
    for (const way of WAYS) this.lanes.push(this.listen(way));
    for (const way of WAYS) this.lanes.push(this.talk(way));
  }

  async stop(): Promise<void> {
    this.pace?.stop();
    this.stopped.abort();
    for (const end of this.ends) end();
    const work = Promise.allSettled([...this.lanes, ...this.inFlight]);
    await Promise.race([work, sleep(FINISH_MS, undefined, { ref: false })]);
    for (const agent of this.agents.values()) agent?.destroy();
  }

  /** One small request. */
  async visit(kind: SmallKind, way: Way): Promise<void> {
    const name = this.nameOf(kind, way);
    const startedAt = performance.now();
    if (kind === "GET") {
      const answer = await this.ask(name, way, { path: "/" });
      if (answer === undefined) return;
      if (answer.body !== "well\n") this.spoiled(name, way, answer, "another answer");
      else this.options.tally.served(name, performance.now() - startedAt);
      return;
    }
    const [by, n] = [way.name, (this.writes += 1)];
    const path = `/writes?by=${encodeURIComponent(by)}&n=${n}`;
    const answer = await this.ask(name, way, { path, method: "POST", parts: [] });
    if (answer === undefined) return;
    const { seq } = JSON.parse(answer.body) as { seq: number };
    const numbers = this.acknowledged.get(by) ?? new Map<number, number>();
    this.acknowledged.set(by, numbers.set(n, seq));
    this.options.tally.served(name, performance.now() - startedAt);
  }

  private sendSmall(): void {
    if (this.inFlight.size >= MAX_IN_FLIGHT) return;
    const { kinds } = this.options.small;
    const turn = this.turns++;
    const way = WAYS[turn % WAYS.length] as Way;
    const kind = kinds[Math.floor(turn / WAYS.length) % kinds.length] as SmallKind;
    const visit = this.visit(kind, way);
    this.inFlight.add(visit);
    void visit.finally(() => this.inFlight.delete(visit));
  }

  private async upload(way: Way): Promise<void> {
    const { bodies, uploadPauseMs, tally } = this.options;
    const name = this.nameOf("upload", way);
    for (let n = 0; await this.rest(); n++) {
      const body = bodies[n % bodies.length] as Body;
      const startedAt = performance.now();
      const what = { path: "/upload", method: "POST", parts: body.parts, pauseMs: uploadPauseMs };
      const answer = await this.ask(name, way, what);
      if (answer === undefined) continue;
      const { bytes, sha256 } = JSON.parse(answer.body) as { bytes: number; sha256: string };
      if (bytes !== body.bytes || sha256 !== body.sha256) {
        this.spoiled(name, way, answer, `${bytes} bytes arrived, or not these`);
      } else tally.served(name, performance.now() - startedAt);
    }
  }

  private async download(way: Way): Promise<void> {
    const { blocks, eachMs } = this.options.download;
    const name = this.nameOf("download", way);
    while (await this.rest()) {
      const hash = createHash("sha256");
      let bytes = 0;
      const sink = (piece: Buffer): void => {
        hash.update(piece);
        bytes += piece.length;
      };
      const startedAt = performance.now();
      const path = `/download?blocks=${blocks}&ms=${eachMs}`;
      const answer = await this.ask(name, way, { path, sink });
      if (answer === undefined) continue;
      const isWhole = bytes === blocks * BLOCK_BYTES;
      if (!isWhole || hash.digest("hex") !== answer.headers.sha256) {
        this.spoiled(name, way, answer, `${bytes} bytes came, or not these`);
      } else this.options.tally.served(name, performance.now() - startedAt);
    }
  }

  /** Server-sent events: their time is that from one to the next, through all reconnections. */
  private async listen(way: Way): Promise<void> {
    const name = this.nameOf("events", way);
    const { tally } = this.options;
    let [last, heardAt] = [0, performance.now()];
    await this.again(name, way, async (address, agent, askedAt) => {
      await this.warm(address, agent);
      const headers = { accept: "text/event-stream", "last-event-id": String(last) };
      const response = await open({ ...this.target(address, agent), path: "/events", headers });
      if (response.statusCode !== 200) {
        throw new Unserved(`status ${response.statusCode}`, askedAt, false);
      }
      const end = this.atEnd(() => void response.destroy());
      let rest = "";
      try {
        for await (const chunk of response) {
          const events = (rest + String(chunk)).split("\n\n");
          rest = events.pop() ?? "";
          for (const event of events) {
            const id = Number(/^id: (\d+)$/m.exec(event)?.[1]);
            if (id !== last + 1) throw new Error(`event ${id} came after ${last}`);
            tally.served(name, performance.now() - heardAt);
            [last, heardAt] = [id, performance.now()];
          }
        }
      } finally {
        this.ends.delete(end);
      }
      if (rest !== "") throw new Error("an event was cut off");
    });
  }

  /** A WebSocket whose messages are numbered; one that was not acknowledged is sent again. */
  private async talk(way: Way): Promise<void> {
    const name = this.nameOf("messages", way);
    const by = `${way.name}, WebSocket`;
    const path = this.options.isKeeping ? `/ws?by=${encodeURIComponent(by)}` : "/ws";
    let sentAt: number | undefined;
    await this.again(name, way, async (address, agent) => {
      await this.warm(address, agent);
      const socket = await connect({ ...this.target(address, agent), path });
      const end = this.atEnd(() => socket.close());
      try {
        for (;;) {
          const n = (this.messages.get(by) ?? 0) + 1;
          sentAt ??= performance.now();
          const text = await socket.echo(String(n));
          if (!text.startsWith(`got ${n} `))
            throw new Error(`${n} was answered by ${text.slice(0, 20)}`);
          this.messages.set(by, n);
          this.options.tally.served(name, performance.now() - sentAt);
          sentAt = undefined;
          await this.pauseOrClose(socket);
        }
      } catch (error) {
        if (!(error instanceof Closed && COME_AGAIN.includes(error.code))) throw error;
      } finally {
        this.ends.delete(end);
      }
    });
  }

  /** Ends a connection with everything else; at once, when that is over already. */
  private atEnd(end: () => void): () => void {
    this.ends.add(end);
    if (this.stopped.signal.aborted) end();
    return end;
  }

  private async pauseOrClose(socket: WebSocketClient): Promise<void> {
    const code = await Promise.race([socket.closed, sleep(MESSAGE_EACH_MS, 0)]);
    if (code !== 0) throw new Closed(code);
  }

  /** Connects again and again, until the end; what throws is lost. */
  private async again(
    name: string,
    way: Way,
    once: (address: string, agent: Agent | undefined, askedAt: number) => Promise<void>,
  ): Promise<void> {
    const agent = way.isKept ? new Agent({ keepAlive: true, maxSockets: 1 }) : undefined;
    const { signal } = this.stopped;
    while (!signal.aborted) {
      const address = this.addressOf(way);
      const askedAt = performance.now();
      try {
        await once(address, agent, askedAt);
        this.options.tally.reconnects += 1;
      } catch (error) {
        if (!signal.aborted) this.lose(name, address, askedAt, error as Error);
      }
      await sleep(RECONNECT_MS, undefined, { signal }).catch(() => undefined);
    }
    agent?.destroy();
  }

  /** On a connection that is kept something was asked before. */
  private async warm(address: string, agent: Agent | undefined): Promise<void> {
    if (agent)
      await exchange({ ...this.target(address, agent), path: "/" }, () => performance.now());
  }

  private target(address: string, agent: Agent | undefined) {
    const { host, port } = this.options;
    return { address, host, port, ...(agent && { agent }) };
  }

  /** The whole answer; undefined when it is lost, and counted so. */
  private async ask(
    name: string,
    way: Way,
    what: Omit<Ask, "address" | "port" | "host">,
  ): Promise<Answer | undefined> {
    const address = this.addressOf(way);
    const startedAt = performance.now();
    try {
      const target = this.target(address, this.agents.get(way));
      const answer = await exchange({ ...target, ...what }, () => performance.now());
      const { status, headers, body, askedAt } = answer;
      if (status < 200 || status > 299) {
        throw new Unserved(`status ${status}: ${body.slice(0, 200)}`, askedAt, false);
      }
      if (headers["served-by"] !== this.options.clusterAt(address))
        this.options.tally.forwarded += 1;
      return answer;
    } catch (error) {
      this.lose(name, address, startedAt, error as Error);
      // Whoever is refused does not ask a thousand times a second.
      await sleep(RECONNECT_MS);
      return undefined;
    }
  }

  private spoiled(name: string, way: Way, { askedAt }: Answer, why: string): void {
    this.lose(name, this.addressOf(way), askedAt, new Error(why));
  }

  private lose(name: string, address: string, startedAt: number, error: Error): void {
    const { app, tally, clusterAt } = this.options;
    const isUnserved = error instanceof Unserved;
    tally.lose(name, {
      why: error.message,
      app,
      dialled: clusterAt(address),
      askedAt: isUnserved ? error.askedAt : startedAt,
      endedAt: performance.now(),
      isUnanswered: isUnserved && error.isUnanswered,
    });
  }

  private addressOf({ isPinned }: Way): string {
    return isPinned ? this.options.pinnedTo : this.options.resolve();
  }

  private agentOf({ isKept }: Way): Agent | undefined {
    return isKept ? new Agent({ keepAlive: true }) : undefined;
  }

  private nameOf(kind: string, way: Way): string {
    const { app, tally } = this.options;
    return tally.add({ app, kind, way: way.name });
  }

  /** False at the end. */
  private async rest(): Promise<boolean> {
    const { signal } = this.stopped;
    const ms = this.options.restMs * (0.5 + this.options.random());
    await sleep(ms, undefined, { signal }).catch(() => undefined);
    return !signal.aborted;
  }
}
