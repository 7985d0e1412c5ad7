/** Who uses an app while something is killed under it. */
import { Agent, request } from "node:http";

import type { NameServer } from "../cli/resolve";
import type { Platform, Repl } from "./platform";

/** A lane asks so often at most: the machine shall have time for the moves. */
const EVERY_MS = 40;
/** Longer than any hold. */
const PATIENCE_MS = 15_000;
/** What is promised needs all to be back within the hold of 10 s, with time left for the move to end. */
const BACK_WITHIN_MS = 5_000;

/** `nobody`: not a byte of an answer. `cut`: the connection ended within it. */
type Kind = "served" | "nobody" | "cut" | "refused";

interface Exchange {
  readonly kind: Kind;
  readonly why: string;
  readonly address: string;
  readonly askedAt: number;
  readonly endedAt: number;
}

/** When what was killed was away, and the addresses at which nobody was then. */
export interface Outage {
  readonly killedAt: number;
  /** When it had ended: a process goes bit by bit. */
  readonly deadAt: number;
  readonly backAt: number;
  readonly addresses: readonly string[];
  /** What was on its way through it when it was killed goes with it, wherever it came in. */
  readonly carriedRequests: boolean;
}

interface Lane {
  readonly name: string;
  readonly agent: Agent;
  readonly address: () => Promise<string>;
  served: number;
  readonly lost: Exchange[];
}

/**
 * Two lanes for one app: one stays at the address that the app had at first, on a connection that is
 * kept; one asks the name server each time, and connects anew. An app that keeps notes gets a counter
 * from each.
 */
export class CrashVisitors {
  /** Counters that were acknowledged. */
  readonly acknowledged: string[] = [];
  private readonly lanes: Lane[];
  private readonly running: Promise<void>[] = [];
  private stopping = false;

  constructor(
    private readonly platform: Platform,
    private readonly nameServer: NameServer,
    private readonly repl: Repl,
    private readonly run: string,
    private readonly writes: boolean,
  ) {
    const home = platform.ingressOf(repl.clusterId);
    const lane = (name: string, keepAlive: boolean, address: Lane["address"]): Lane => {
      const agent = new Agent({ keepAlive, maxSockets: 1 });
      return { name, agent, address, served: 0, lost: [] };
    };
    let known = home;
    this.lanes = [
      lane("pinned", true, () => Promise.resolve(home)),
      lane("by name", false, async () => (known = (await this.resolve()) ?? known)),
    ];
  }

  start(): void {
    for (const lane of this.lanes) this.running.push(this.repeat(lane));
  }

  /** How many each lane was served, the one that was served least. */
  get served(): number {
    return Math.min(...this.lanes.map(({ served }) => served));
  }

  async stop(): Promise<void> {
    this.stopping = true;
    await Promise.all(this.running);
    for (const { agent } of this.lanes) agent.destroy();
  }

  /** What went wrong that may not, and what may; after `stop`. */
  verdict(outage: Outage): { served: number; excused: number; faults: string[] } {
    const faults: string[] = [];
    let excused = 0;
    for (const { name, lost } of this.lanes) {
      for (const exchange of lost) {
        if (isExcused(exchange, outage)) excused++;
        else faults.push(`${name}: ${tell(exchange, outage)}`);
      }
    }
    const served = this.lanes.reduce((sum, lane) => sum + lane.served, 0);
    return { served, excused, faults };
  }

  /** A resolver goes on with what it knows while its name server is away. */
  private async resolve(): Promise<string | undefined> {
    try {
      const { records } = await this.nameServer.query(this.repl.host, "A");
      return records[0]?.data;
    } catch {
      return undefined;
    }
  }

  private async repeat(lane: Lane): Promise<void> {
    for (let count = 1; !this.stopping; count++) {
      const text = `${this.run} ${lane.name} ${count}`;
      const exchange = await this.ask(lane, text);
      if (exchange.kind === "served") {
        lane.served++;
        if (this.writes) this.acknowledged.push(text);
      } else lane.lost.push(exchange);
      await new Promise((resume) => setTimeout(resume, EVERY_MS));
    }
  }

  private async ask({ agent, address: where }: Lane, text: string): Promise<Exchange> {
    const address = await where();
    const body = this.writes ? JSON.stringify({ text }) : "";
    const outgoing = request({
      host: address,
      port: this.platform.httpPort,
      path: this.writes ? "/notes" : "/",
      method: this.writes ? "POST" : "GET",
      agent,
      headers: {
        host: this.repl.host,
        ...(this.writes && {
          "content-type": "application/json",
          "content-length": String(Buffer.byteLength(body)),
        }),
      },
    });
    const askedAt = performance.now();
    return new Promise((resolve) => {
      const settle = (kind: Kind, why = ""): void =>
        resolve({ kind, why, address, askedAt, endedAt: performance.now() });
      outgoing.setTimeout(PATIENCE_MS, () => {
        settle("refused", `silence for ${PATIENCE_MS} ms`);
        outgoing.destroy();
      });
      outgoing.on("error", (error: NodeJS.ErrnoException) => settle("nobody", error.code));
      outgoing.on("response", (response) => {
        let answer = "";
        response.on("data", (chunk) => (answer += String(chunk)));
        response.on("error", () => settle("cut"));
        response.on("end", () => {
          const { statusCode = 0, complete } = response;
          if (!complete) settle("cut");
          else if (statusCode >= 200 && statusCode < 300) settle("served");
          else settle("refused", `${statusCode} ${answer.slice(0, 200)}`);
        });
      });
      outgoing.end(body);
    });
  }
}

function isExcused(exchange: Exchange, outage: Outage): boolean {
  const { kind, why, address, askedAt, endedAt } = exchange;
  const { killedAt, deadAt, backAt, addresses, carriedRequests } = outage;
  if (carriedRequests && askedAt <= deadAt && endedAt >= killedAt) return true;
  // Somebody answered: it was held for all of its time, and most of that had gone by before all was back.
  if (kind === "refused") return why.includes("hold_expired") && backAt - askedAt > BACK_WITHIN_MS;
  return addresses.includes(address) && askedAt <= backAt && endedAt >= killedAt;
}

function tell({ kind, why, address, askedAt, endedAt }: Exchange, { killedAt }: Outage): string {
  const since = Math.round(askedAt - killedAt);
  return `${kind} ${why} at ${address}, asked ${since} ms after the kill, ${Math.round(endedAt - askedAt)} ms`;
}
