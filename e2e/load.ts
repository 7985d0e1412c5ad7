import { createSocket } from "node:dgram";
import { Agent } from "node:http";

import { encode } from "dns-packet";

import { exchange, Unserved } from "../cli/demo/exchange";

/**
 * What is fair to expect of a process that was told to end while it is used.
 *
 * What was asked before SIGTERM is answered, whole. What is asked after it is answered whole as well, or
 * not at all: the connection is refused, or closed before a byte of an answer, which is what a client
 * may repeat elsewhere (RFC 9112 section 9.3.1; RFC 1035 section 7.2 for a resolver). Whoever sends
 * people there, a name server or a load balancer, has been told by the health check meanwhile. So an
 * answer that is cut off fails, an error by the platform fails, and silence before SIGTERM fails.
 */
export interface Tally {
  readonly what: string;
  served: number;
  /** Of these, asked after SIGTERM. */
  servedLate: number;
  /** Asked after SIGTERM, or while nobody listened there, and not answered at all. */
  turnedAway: number;
  /** Of these served, answered only at the second address of the name. */
  elsewhere: number;
  /** On their way through a process when it was killed. */
  lost: number;
  readonly failures: string[];
}

/** Asked of one address again and again by `lanes` visitors, each with one question at a time. */
export interface HttpLoad {
  readonly what: string;
  readonly lanes: number;
  readonly address: string;
  /** A second address of the same name: who is not answered at all at the first asks there. */
  readonly elsewhere?: string;
  readonly port: number;
  /** Each on a connection of its own, or all of a lane on one that is kept. */
  readonly kept: boolean;
  readonly ask: () => HttpQuestion;
  /** Told of each that was served. */
  readonly served?: (question: HttpQuestion) => void;
}

export interface HttpQuestion {
  readonly host: string;
  readonly path: string;
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

const DNS_PATIENCE_MS = 2_000;
const now = (): number => performance.now();

/** People, programs and resolvers, until `stop`. */
export class Load {
  readonly tallies: Tally[] = [];
  private readonly lanes: Promise<void>[] = [];
  private termAt = Infinity;
  private killedAt = -Infinity;
  /** Where nobody listens while the process that was killed is away. */
  private deadAddress = "";
  private stopping = false;

  /** @param pauseMs of each visitor, between an answer and the next question */
  constructor(private readonly pauseMs = 0) {}

  /** SIGTERM is sent now. */
  terminated(): void {
    this.termAt = performance.now();
  }

  /** A process is being killed; nothing listens at `address` until it is back. Empty: all is listened at. */
  killing(address: string): void {
    this.killedAt = Infinity;
    this.deadAddress = address;
  }

  /** It has ended. */
  killed(): void {
    this.killedAt = performance.now();
  }

  async stop(): Promise<readonly Tally[]> {
    this.stopping = true;
    await Promise.all(this.lanes);
    return this.tallies;
  }

  http(load: HttpLoad): void {
    const tally = this.tally(load.what);
    for (let lane = 0; lane < load.lanes; lane++) {
      const agent = new Agent({ keepAlive: load.kept, maxSockets: 1 });
      const ask = async () => {
        const question = load.ask();
        const asked = (address: string) => once({ ...load, address }, question, agent);
        let outcome = await asked(load.address);
        if (outcome.kind === "unanswered" && load.elsewhere !== undefined) {
          outcome = await asked(load.elsewhere);
          if (outcome.kind === "served") tally.elsewhere += 1;
        }
        if (outcome.kind === "served") load.served?.(question);
        return outcome;
      };
      const lane = this.repeat(tally, ask, load.address);
      this.lanes.push(lane.finally(() => agent.destroy()));
    }
  }

  /** A resolver asks the zone's second name server, at `elsewhere`, when the first is silent. */
  dns(name: string, port: number, lanes: number, elsewhere?: number): void {
    const tally = this.tally("DNS queries");
    const once = async () => {
      const outcome = await resolve(name, port);
      if (outcome.kind !== "unanswered" || elsewhere === undefined) return outcome;
      const second = await resolve(name, elsewhere);
      if (second.kind === "served") tally.elsewhere += 1;
      return second;
    };
    for (let lane = 0; lane < lanes; lane++) this.lanes.push(this.repeat(tally, once));
  }

  private tally(what: string): Tally {
    const none = { served: 0, servedLate: 0, turnedAway: 0, elsewhere: 0, lost: 0 };
    const tally: Tally = { what, ...none, failures: [] };
    this.tallies.push(tally);
    return tally;
  }

  private async repeat(tally: Tally, once: () => Promise<Outcome>, address = ""): Promise<void> {
    while (!this.stopping) {
      if (this.pauseMs > 0) await new Promise((resume) => setTimeout(resume, this.pauseMs));
      const outcome = await once();
      // A question is asked when it leaves this process, which is after its connection stands.
      const isLate = outcome.askedAt > this.termAt;
      const isDead = outcome.askedAt > this.killedAt && address === this.deadAddress;
      if (outcome.kind === "served") {
        tally.served += 1;
        if (isLate) tally.servedLate += 1;
      } else if (outcome.askedAt <= this.killedAt && this.deadAddress !== "") {
        tally.lost += 1;
      } else if (outcome.kind === "unanswered" && (isLate || isDead)) {
        tally.turnedAway += 1;
        // Whoever is refused does not ask a thousand times a second.
        await new Promise((resume) => setTimeout(resume, 5));
      } else {
        const since = Math.max(this.killedAt, this.termAt === Infinity ? 0 : this.termAt);
        const asked = Math.round(outcome.askedAt - since);
        const lasted = Math.round(performance.now() - outcome.askedAt);
        tally.failures.push(`${outcome.why} (asked ${asked} ms after the signal, ${lasted} ms)`);
      }
    }
  }
}

interface Outcome {
  /** `unanswered`: not a byte of an answer came, and the connection says so. */
  readonly kind: "served" | "unanswered" | "failed";
  readonly why: string;
  readonly askedAt: number;
}

async function once(load: HttpLoad, question: HttpQuestion, agent: Agent): Promise<Outcome> {
  const { host, path, method = "GET", headers, body } = question;
  const { address, port } = load;
  const parts = body === undefined ? {} : { parts: [body] };
  try {
    const ask = { address, port, host, path, method, agent, ...parts };
    const answer = await exchange({ ...ask, headers: { host, ...headers } }, now);
    const { status, askedAt } = answer;
    if (status >= 200 && status < 300) return { kind: "served", why: "", askedAt };
    return { kind: "failed", why: `status ${status}: ${answer.body.slice(0, 300)}`, askedAt };
  } catch (error) {
    if (!(error instanceof Unserved)) throw error;
    const { message: why, askedAt, isUnanswered } = error;
    return { kind: isUnanswered ? "unanswered" : "failed", why, askedAt };
  }
}

/** One datagram, one answer; silence and ICMP's refusal are the same to a resolver. */
function resolve(name: string, port: number): Promise<Outcome> {
  return new Promise((settle) => {
    const socket = createSocket("udp4");
    let askedAt: number | undefined;
    const end = (kind: Outcome["kind"], why = ""): void => {
      clearTimeout(timer);
      socket.close();
      settle({ kind, why, askedAt: askedAt ?? performance.now() });
    };
    const unanswered = (why: string) => end("unanswered", why);
    const timer = setTimeout(
      () => unanswered(`silence for ${DNS_PATIENCE_MS} ms`),
      DNS_PATIENCE_MS,
    );
    socket.once("error", (error: NodeJS.ErrnoException) => unanswered(error.code ?? ""));
    socket.once("message", (answer) => {
      const [rcode, answers] = [(answer[3] ?? 0) & 15, answer.readUInt16BE(6)];
      if (rcode === 0 && answers > 0) end("served");
      else end("failed", `rcode ${rcode} with ${answers} answers`);
    });
    socket.connect(port, "127.0.0.1", () => {
      askedAt = performance.now();
      socket.send(encode({ type: "query", id: 7, questions: [{ type: "A", name }] }));
    });
  });
}
