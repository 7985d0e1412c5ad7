import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { startTestPostgres, type TestPostgres } from "../postgres/test-postgres";
import { ensureDatabase } from "../sql/migrate";
import { openClient } from "../sql/sql-client";
import { backoffMs, maxAttempts } from "./delivery-policy";

const PROCESS = fileURLToPath(new URL("../__tests__/pubsub-process.mjs", import.meta.url));
const SEED = Number(process.env["SEED"] ?? 20_261_121);
const PUBLISHERS = 3;
const EACH = 300;
const CONSUMERS = 3;
/** A consumer dies whenever so many more deliveries have ended. */
const KILL_EVERY = 150;
const KILLS = 5;
const POLICY = {
  topic: "t",
  name: "s",
  service: "x",
  at: { file: "x.ts", line: 1 },
  maxConcurrency: 20,
  ackDeadlineMs: 2_000,
  retentionMs: 604_800_000,
  minBackoffMs: 5,
  maxBackoffMs: 40,
  // Enough that neither the seed's failures nor the deaths use them up.
  maxRetries: 15,
};

interface Line {
  readonly what: string;
  readonly id: string;
  readonly key: string;
  readonly last: string;
  readonly at: bigint;
}

let server: TestPostgres;
let dir: string;
let sql: ReturnType<typeof openClient>;
const children: ChildProcess[] = [];
let files = 0;

beforeAll(async () => {
  server = await startTestPostgres();
  await ensureDatabase(server.config("alpha"), "postgres");
  await ensureDatabase(server.config("stele_pubsub"), "postgres");
  sql = openClient(server.config("stele_pubsub"), 1);
  dir = mkdtempSync(join(tmpdir(), "stele-stress-"));
});
afterAll(async () => {
  for (const child of children) child.kill("SIGKILL");
  await sql.end({ timeout: 1 });
  await server.stop();
  rmSync(dir, { recursive: true, force: true });
});

function start(role: string, name: string, count = EACH): ChildProcess {
  const infra = server.infra(["alpha"], {
    pubsub: [
      {
        type: "nsq",
        hosts: "127.0.0.1:4150",
        topics: { t: { name: "t", subscriptions: { s: { name: "s" } } } },
      },
    ],
  });
  const options = {
    role,
    name,
    file: join(dir, `${++files}`),
    infra,
    model: { topics: [{ name: "t", orderingAttribute: "key" }], subscriptions: [POLICY] },
    count,
    keys: 4,
    seed: SEED,
  };
  const child = spawn(process.execPath, [PROCESS, JSON.stringify(options)], { stdio: "inherit" });
  children.push(child);
  return child;
}

/** What all processes did so far, in order. */
function lines(): Line[] {
  const texts = readdirSync(dir).map((file) => readFileSync(join(dir, file), "utf8"));
  const all = texts.flatMap((text) => text.split("\n").slice(0, -1));
  return all
    .map((line) => {
      const words = line.split(" ");
      const [what = "", id = "", key = "", last = ""] = words;
      return { what, id, key, last, at: BigInt(words.at(-1) as string) };
    })
    .sort((a, b) => Number(a.at - b.at));
}

const of = (all: readonly Line[], ...what: string[]): Line[] =>
  all.filter((line) => what.includes(line.what));

async function until(
  what: string,
  isTrue: () => boolean | Promise<boolean>,
  deadlineMs = 90_000,
): Promise<void> {
  const deadline = performance.now() + deadlineMs;
  while (!(await isTrue())) {
    if (performance.now() > deadline) throw new Error(`not in ${deadlineMs} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

const hasEnded = ({ exitCode, signalCode }: ChildProcess): boolean =>
  exitCode !== null || signalCode !== null;

describe("a consumer that is killed while it handles a message", () => {
  it("has it handled by another within the ack deadline", async () => {
    const stuck = start("hang", "stuck");
    await until("it listens", () => of(lines(), "ready").length === 1);
    start("publish", "one", 1);
    await until("it handles a message", () => of(lines(), "start").length === 1);
    const other = start("consume", "other");
    await until("another listens", () => of(lines(), "ready").length === 2);
    expect(of(lines(), "done")).toEqual([]);
    stuck.kill("SIGKILL");
    const killed = performance.now();
    // The figure is what counts; a busy machine gets five times as long.
    const isDone = (): boolean => of(lines(), "done", "fail").length > 0;
    await until("another handles it", isDone, 5 * POLICY.ackDeadlineMs);
    const ms = Math.round(performance.now() - killed);
    console.info(
      `figure: handled by another ${ms} ms after the kill, of ${POLICY.ackDeadlineMs} ms`,
    );
    other.kill("SIGKILL");
    await until("it has ended", () => hasEnded(other));
    await sql`delete from delivery`;
    for (const file of readdirSync(dir)) rmSync(join(dir, file));
  }, 120_000);
});

describe("publishers, consumers, failures and kills", () => {
  let all: Line[];
  let dead: { body: string; attempt: number }[];

  beforeAll(async () => {
    const consumers = Array.from({ length: CONSUMERS }, (_, index) =>
      start("consume", `c${index}`),
    );
    await until("everybody listens", () => of(lines(), "ready").length === CONSUMERS);
    const publishers = Array.from({ length: PUBLISHERS }, (_, index) =>
      start("publish", `p${index}`),
    );
    for (let n = 1; n <= KILLS; n++) {
      await until("work goes on", () => of(lines(), "done", "fail").length > n * KILL_EVERY);
      consumers.shift()?.kill("SIGKILL");
      // One publisher dies too; what it was promised counts.
      if (n === 2) publishers[0]?.kill("SIGKILL");
      consumers.push(start("consume", `c${CONSUMERS + n}`));
    }
    await until("all is published", () => publishers.every(hasEnded));
    await until(
      "all is handled",
      async () => (await sql`select from delivery limit 1`).length === 0,
    );
    all = lines();
    dead = [...(await sql`select body, attempt from dead_letter`)] as never;
  }, 240_000);

  it("every message that was published is handled, or among the dead letters", () => {
    const over = new Set([
      ...of(all, "done").map(({ id }) => id),
      ...dead.map(({ body }) => (JSON.parse(body) as { id: string }).id),
    ]);
    const published = of(all, "published");
    expect(published.length).toBeGreaterThan((PUBLISHERS - 1) * EACH);
    expect(published.filter(({ id }) => !over.has(id))).toEqual([]);
  });

  it("the dead letters are those that never succeed, after their last attempt", () => {
    const messages = dead.map(({ body }) => JSON.parse(body) as { id: string; poison: boolean });
    expect(messages.filter(({ poison }) => !poison)).toEqual([]);
    const poisoned = of(all, "published").filter(({ last }) => last === "true");
    const ids = new Set(messages.map(({ id }) => id));
    expect(poisoned.filter(({ id }) => !ids.has(id))).toEqual([]);
    expect(ids.size).toBe(dead.length);
    const attempts = new Set(dead.map(({ attempt }) => attempt));
    // One more where the process died in the last: the next finds that out.
    const most = maxAttempts(POLICY.maxRetries);
    expect([...attempts].filter((attempt) => attempt !== most && attempt !== most + 1)).toEqual([]);
  });

  it("the messages of a key are handled in order, one at a time", () => {
    const buried = new Set(dead.map(({ body }) => (JSON.parse(body) as { id: string }).id));
    const done = new Map<string, bigint>();
    for (const { id, at } of of(all, "done")) if (!done.has(id)) done.set(id, at);
    const started = new Map<string, bigint>();
    for (const { id, at } of of(all, "start")) if (!started.has(id)) started.set(id, at);
    const keys = new Map<string, Line[]>();
    for (const line of of(all, "published")) {
      if (line.key !== "") keys.set(line.key, [...(keys.get(line.key) ?? []), line]);
    }
    const early: string[] = [];
    for (const list of keys.values()) {
      for (let n = 1; n < list.length; n++) {
        const [before, after] = [list[n - 1] as Line, list[n] as Line];
        const end = done.get(before.id);
        if (buried.has(before.id)) continue;
        if (end === undefined || (started.get(after.id) as bigint) < end) early.push(after.id);
      }
    }
    expect(keys.size).toBeGreaterThan(PUBLISHERS);
    expect(early).toEqual([]);
  });

  it("no message is tried again before its pause is over", () => {
    const starts = new Map(of(all, "start").map(({ id, last, at }) => [`${id} ${last}`, at]));
    const early = of(all, "fail").filter(({ id, last, at }) => {
      const again = starts.get(`${id} ${Number(last) + 1}`);
      const pause = BigInt(Math.floor(backoffMs(Number(last), POLICY) * 1e6));
      return again !== undefined && again - at < pause;
    });
    expect(early).toEqual([]);
    expect(of(all, "fail").length).toBeGreaterThan(50);
  });
});
