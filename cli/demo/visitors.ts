import { Agent } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";

import { type Answer, type Ask, exchange, open } from "./exchange";
import { Pace } from "./pace";
import { type Report, Tally } from "./tally";
import { Closed, connect, type WebSocketClient } from "./websocket";

export interface VisitorsOptions {
  /** The app's name, such as `hello.demo.repl.localhost`. */
  readonly host: string;
  readonly port: number;
  /** Asks the name server, or what it said a moment ago. */
  readonly resolve: (host: string) => Promise<string>;
  /** The cluster that an address belongs to; empty when it is not one cluster's. */
  readonly clusterAt?: (address: string) => string;
  /** Both what the app can do and what is asked of it. */
  readonly app: "hello" | "notes";
  readonly requestsPerSecond: number;
  /** How many of each are kept open, at hello. */
  readonly streams?: number;
}

export interface VisitReport extends Report {
  /** Notes that were acknowledged, and those of them that are not there exactly once. */
  readonly notes: {
    readonly acknowledged: number;
    readonly missing: number;
    readonly doubled: number;
  };
}

/**
 * `fresh`: asks DNS and connects for each request. `kept`: asks DNS, on kept connections. `pinned`: asked
 * DNS once, at its start, and never again. `post` and `upload`: bodies there and back, at once and
 * slowly. `slow`: an answer that takes its time. `write` and `write_pinned`: a note, read back.
 */
type Kind = "fresh" | "kept" | "pinned" | "post" | "upload" | "slow" | "write" | "write_pinned";

const PLANS: Readonly<Record<VisitorsOptions["app"], readonly Kind[]>> = {
  hello: [
    ...(["fresh", "kept", "pinned", "post", "fresh", "kept", "pinned", "post", "kept"] as const),
    ...(["fresh", "kept", "pinned", "post", "fresh", "kept", "pinned", "post", "upload"] as const),
    ...(["fresh", "slow"] as const),
  ],
  notes: ["write", "fresh", "write_pinned", "kept", "write", "pinned"],
};

const MAX_IN_FLIGHT = 2_000; // A platform that answers nothing is not asked ever more.
const BODY = "0123456789abcdef".repeat(512); // 8 KiB
const UPLOAD_PARTS = [BODY, BODY, BODY];
const UPLOAD_PAUSE_MS = 150; // With the parts above, done well within the 2 s of a freeze.
const SLOW_MS = 600;
const ECHO_EACH_MS = 100;
const RECONNECT_MS = 50;
const FINISH_MS = 35_000; // Longer than a request may take.
const COME_AGAIN = new Set([1001, 1012]); // Close codes that announce an orderly restart.

/** People who use an app, by its name: at a steady rate, in every way that the platform has to bear. */
export class Visitors {
  private readonly tally = new Tally();
  private readonly following = new Agent({ keepAlive: true });
  private readonly pinned = new Agent({ keepAlive: true });
  private readonly inFlight = new Set<Promise<void>>();
  private readonly streams: Array<Promise<void>> = [];
  private readonly ends: Array<() => void> = [];
  private readonly acknowledged: string[] = [];
  private readonly run = `visit-${process.pid}-${Math.round(performance.now())}`;
  private notes = { acknowledged: 0, missing: 0, doubled: 0 };
  private pinnedAddress = "";
  private pace: Pace | undefined;
  private stopping = false;
  /** Turns taken of the plan. */
  private turns = 0;

  constructor(private readonly options: VisitorsOptions) {}

  /** Resolves once the name resolves and the first visitors are on their way. */
  async start(): Promise<void> {
    const { app, resolve, host, streams = 2, requestsPerSecond } = this.options;
    this.pinnedAddress = await resolve(host);
    this.pace = new Pace(requestsPerSecond, () => this.send());
    for (let n = 0; app === "hello" && n < streams; n++) {
      this.streams.push(this.listen(), this.talk());
    }
  }

  /** Sends nothing more, waits for what is under way, and looks for every acknowledged note. */
  async stop(): Promise<VisitReport> {
    this.stopping = true;
    this.pace?.stop();
    for (const end of this.ends.splice(0)) end();
    const finish = new AbortController();
    await Promise.race([
      Promise.allSettled([...this.inFlight, ...this.streams]),
      sleep(FINISH_MS, undefined, { signal: finish.signal }).catch(() => undefined),
    ]);
    finish.abort();
    if (this.options.app === "notes") await this.findNotes();
    this.following.destroy();
    this.pinned.destroy();
    return this.report();
  }

  report(): VisitReport {
    const acknowledged = this.acknowledged.length;
    return { ...this.tally.report(), notes: { ...this.notes, acknowledged } };
  }

  private send(): void {
    if (this.inFlight.size >= MAX_IN_FLIGHT) return;
    const plan = PLANS[this.options.app];
    const kind = plan[this.turns % plan.length] as Kind;
    this.turns += 1;
    const visit = this.visit(kind).catch((error: unknown) => this.fail(kind, error));
    this.inFlight.add(visit);
    void visit.then(() => this.inFlight.delete(visit));
  }

  private fail(kind: string, error: unknown): void {
    const what = error instanceof Error ? error.message : String(error);
    this.tally.fail({ kind, what, at: new Date().toISOString() });
  }

  private async visit(kind: Kind): Promise<void> {
    switch (kind) {
      case "fresh":
      case "kept":
      case "pinned":
        await this.ask(kind, { path: "/" });
        return;
      case "post": {
        const answer = await this.ask(kind, { path: "/echo", method: "POST", parts: [BODY] });
        if (answer.body !== BODY) throw new Error("the body came back changed");
        return;
      }
      case "upload": {
        const upload = { parts: UPLOAD_PARTS, pauseMs: UPLOAD_PAUSE_MS };
        const answer = await this.ask(kind, { path: "/echo", method: "POST", ...upload });
        if (answer.body !== UPLOAD_PARTS.join("")) throw new Error("the body came back changed");
        return;
      }
      case "slow": {
        const answer = await this.ask(kind, { path: `/slow?ms=${SLOW_MS}` });
        if (!answer.body.endsWith("end\n")) throw new Error("the slow body has no end");
        return;
      }
      case "write":
      case "write_pinned":
        await this.writeNote(kind);
        return;
    }
  }

  private async writeNote(kind: Kind): Promise<void> {
    const text = `${this.run}-${this.turns}`;
    const answer = await this.ask(kind, {
      path: "/notes",
      method: "POST",
      headers: { "content-type": "application/json" },
      parts: [JSON.stringify({ text })],
    });
    this.acknowledged.push(text);
    const { id } = JSON.parse(answer.body) as { id: string };
    if (this.pace) this.pace.sent += 1; // The reading counts as well.
    const found = await this.ask("read", { path: `/notes/${id}` });
    const read = JSON.parse(found.body) as { text: string };
    if (read.text !== text) throw new Error("a note was read back changed");
  }

  /** One request as that kind of visitor makes it; counted once it was served. */
  private async ask(
    kind: Kind | "read",
    what: Omit<Ask, "address" | "port" | "host">,
  ): Promise<Answer> {
    const { host, port, resolve } = this.options;
    const isPinned = kind === "pinned" || kind === "write_pinned";
    const address = isPinned ? this.pinnedAddress : await resolve(host);
    const agent = isPinned ? this.pinned : this.following;
    const ask = { ...what, address, port, host, ...(kind === "fresh" ? {} : { agent }) };
    const answer = await exchange(ask, () => performance.now());
    if (answer.status < 200 || answer.status > 299) throw new Error(`status ${answer.status}`);
    const takesTime = kind === "upload" || kind === "slow";
    this.count(kind, answer.headers["served-by"], address, takesTime ? null : answer.headMs);
    return answer;
  }

  private count(
    kind: string,
    servedBy: string | string[] | undefined,
    address: string,
    headMs: number | null,
  ): void {
    const cluster = typeof servedBy === "string" ? servedBy : "";
    const dialled = this.options.clusterAt?.(address) ?? "";
    this.tally.served({ kind, cluster, dialled, headMs });
  }

  /** Server-sent events: a stream may end between two events, and then it is opened again. */
  private async listen(): Promise<void> {
    while (!this.stopping) {
      try {
        await this.listenOnce();
      } catch (error) {
        if (!this.stopping) this.fail("events", error);
      }
      if (!this.stopping) await sleep(RECONNECT_MS);
    }
  }

  private async listenOnce(): Promise<void> {
    const { host, port, resolve } = this.options;
    const address = await resolve(host);
    const headers = { accept: "text/event-stream" };
    const response = await open({ address, port, host, path: "/events", headers });
    if (response.statusCode !== 200) throw new Error(`status ${response.statusCode}`);
    const end = (): void => void response.destroy();
    this.ends.push(end);
    if (this.stopping) end();
    this.count("events", response.headers["served-by"], address, null);
    let rest = "";
    try {
      for await (const chunk of response) {
        const events = (rest + String(chunk)).split("\n\n");
        rest = events.pop() ?? "";
        this.tally.heardEvents(events.length);
      }
    } catch {
      throw new Error("the event stream was cut off");
    }
    if (rest !== "") throw new Error("an event was cut off");
  }

  /** A WebSocket that expects each word back, and comes again when it is asked to. */
  private async talk(): Promise<void> {
    while (!this.stopping) {
      try {
        const { host, port, resolve } = this.options;
        const address = await resolve(host);
        const socket = await connect({ address, port, host, path: "/ws" });
        this.ends.push(() => socket.close());
        if (this.stopping) socket.close();
        this.count("websocket", undefined, address, null);
        await this.talkOver(socket);
      } catch (error) {
        if (this.stopping) return;
        if (error instanceof Closed && COME_AGAIN.has(error.code)) this.tally.reconnected();
        else this.fail("websocket", error);
      }
      if (!this.stopping) await sleep(RECONNECT_MS);
    }
  }

  private async talkOver(socket: WebSocketClient): Promise<void> {
    for (let n = 0; !this.stopping; n++) {
      const word = `${this.run}-${n}`;
      if ((await socket.echo(word)) !== word) throw new Error("another word came back");
      this.tally.echoed();
      const code = await Promise.race([socket.closed, sleep(ECHO_EACH_MS, 0)]);
      if (code !== 0) throw new Closed(code);
    }
  }

  /** Every acknowledged note must be there, once. */
  private async findNotes(): Promise<void> {
    try {
      const answer = await this.ask("read", { path: "/notes" });
      const { items } = JSON.parse(answer.body) as { items: Array<{ text: string }> };
      const times = new Map<string, number>();
      for (const { text } of items) times.set(text, (times.get(text) ?? 0) + 1);
      const counts = this.acknowledged.map((text) => times.get(text) ?? 0);
      const missing = counts.filter((count) => count === 0).length;
      const doubled = counts.filter((count) => count > 1).length;
      this.notes = { acknowledged: counts.length, missing, doubled };
    } catch (error) {
      this.fail("read", error);
      this.notes = { ...this.notes, missing: this.acknowledged.length };
    }
  }
}
