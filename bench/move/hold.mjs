// How long a `handoff` holds requests: the longest time that any request was held, for each move, as the
// proxies say in `Server-Timing`. Small constant load on both clusters, and no more: what is measured is
// the freeze. `--moves N` for a shorter or longer run.
import { chmodSync, cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { Agent, request } from "node:http";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";

import { load } from "../../runtime/load.mjs";
import { bareStart } from "./bare-start.mjs";
import { listTimeline, openCollector } from "./profile.mjs";
import { percentile } from "./figures.mjs";

const CLUSTERS = ["east", "west"];
/** Requests a second to each cluster: a hold is met within 10 ms of its begin. */
const RATE = 100;
/** Each so many-th request writes a note, so that there is something to copy in the freeze. */
const WRITE_EVERY = 10;
const YARDSTICK_EVERY = 4;

const SUBJECTS = [
  { name: "notes", files: 10, bytes: 0, moves: 100, goal: { p50: 150, p99: 400 } },
  { name: "10,000 files", files: 10_000, bytes: 10_000, moves: 20, goal: { p50: 600 } },
];

/** The app, with as many files as are wanted; it writes one more by itself. */
function makeApp(directory, { files, bytes }) {
  cpSync("examples/notes", directory, { recursive: true });
  const own = 5 + 1;
  for (let n = 0; n < files - own; n++) {
    const folder = join(directory, "data", String(n % 100));
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, `${n}.bin`), Buffer.alloc(bytes || 100, `file ${n} `));
  }
}

/** Requests to each cluster at a steady pace, on connections that are kept; `take` gets those so far. */
class Visitors {
  requests = 0;
  failures = [];
  longestHeldMs = 0;
  longestMs = 0;

  constructor(platform, host) {
    this.platform = platform;
    this.host = host;
    this.agent = new Agent({ keepAlive: true });
    this.timers = CLUSTERS.map((id) => setInterval(() => this.ask(id), 1_000 / RATE));
  }

  ask(clusterId) {
    const startedAt = performance.now();
    const write = ++this.requests % WRITE_EVERY === 0;
    const outgoing = request({
      host: this.platform.ingressOf(clusterId),
      port: this.platform.httpPort,
      agent: this.agent,
      path: write ? "/notes" : "/",
      method: write ? "POST" : "GET",
      headers: { host: this.host, ...(write && { "content-type": "text/plain" }) },
    });
    outgoing.setTimeout(20_000, () => outgoing.destroy(new Error("silence for 20 s")));
    outgoing.on("error", (error) => this.failures.push(error.message));
    outgoing.on("response", (response) => {
      if (response.statusCode >= 400) this.failures.push(`status ${response.statusCode}`);
      const held = heldMs(response.headers["server-timing"]);
      response.on("error", (error) => this.failures.push(error.message));
      response.on("end", () => {
        this.longestHeldMs = Math.max(this.longestHeldMs, held);
        this.longestMs = Math.max(this.longestMs, performance.now() - startedAt);
      });
      response.resume();
    });
    outgoing.end(write ? "a note" : undefined);
  }

  take() {
    const { longestHeldMs, longestMs } = this;
    this.longestHeldMs = 0;
    this.longestMs = 0;
    return { heldMs: longestHeldMs, ms: longestMs };
  }

  stop() {
    for (const timer of this.timers) clearInterval(timer);
  }
}

/** One proxy after the other may have held it. */
function heldMs(field = "") {
  let sum = 0;
  for (const [, ms] of field.matchAll(/hold;dur=(\d+)/g)) sum += Number(ms);
  return sum;
}

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

async function measure(platform, collector, subject, directory) {
  const app = join(directory, `app-${subject.files}`);
  mkdirSync(app);
  makeApp(app, subject);
  const name = `files-${subject.files}`;
  const repl = await platform.deploy(relative(process.cwd(), app), name, "east");
  const visitors = new Visitors(platform, repl.host);
  await pause(1_000);
  visitors.take();
  collector.take();
  const held = [];
  const waited = [];
  const alone = [];
  const notMoved = [];
  let home = "east";
  for (let n = 0; n < subject.moves; n++) {
    const away = CLUSTERS.find((id) => id !== home);
    const { outcome, reason } = await platform.move(repl.id, away, "handoff");
    // What was held has been let through, and its answer read.
    await pause(200);
    const { heldMs: longest, ms } = visitors.take();
    if (n % YARDSTICK_EVERY === 0) alone.push(await bareStart(app));
    if (outcome === "completed") home = away;
    else notMoved.push(`not moved: ${reason}`);
    held.push(longest);
    waited.push(ms);
  }
  visitors.stop();
  const { p50: goal50, p99: goal99 } = subject.goal;
  console.log(
    `${subject.name}: ${subject.moves} moves, ${visitors.requests} requests,`,
    `${visitors.failures.length} failed; held at most, of each move:`,
    `p50 ${percentile(held, 50)} ms (goal ${goal50}), p99 ${percentile(held, 99)} ms`,
    goal99 === undefined ? "" : `(goal ${goal99})`,
  );
  console.log(
    `  longest answer of each move: p50 ${Math.round(percentile(waited, 50))} ms,`,
    `p99 ${Math.round(percentile(waited, 99))} ms`,
  );
  console.log(
    `  of which the app needs, by itself, p50 ${Math.round(percentile(alone, 50))} ms to start`,
  );
  for (const why of new Set([...visitors.failures, ...notMoved])) console.log(`  failed: ${why}`);
  if (visitors.failures.length + notMoved.length > 0) process.exitCode = 1;
  await collector.settled();
  listTimeline(collector.take());
}

export async function run(args) {
  const at = args.indexOf("--moves");
  const moves = at < 0 ? undefined : Number(args[at + 1]);
  const directory = mkdtempSync(join(tmpdir(), "stele-bench-"));
  chmodSync(directory, 0o755);
  const { Platform } = await load("e2e/platform.ts", join("build", "bench"));
  const collector = await openCollector();
  const platform = await Platform.start({ args: ["--trace-to", collector.url] });
  try {
    for (const subject of SUBJECTS) {
      await measure(platform, collector, { ...subject, ...(moves && { moves }) }, directory);
    }
  } finally {
    await platform.stop();
    collector.close();
    rmSync(directory, { recursive: true, force: true });
  }
}
