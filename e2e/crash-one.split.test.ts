import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { Load } from "./load";
import { type Migration, Platform, type Repl, until } from "./platform";
import { get } from "./visitor";

const PHASES = {
  overlap: "reserving preparing copying booting verifying switching draining cleaning".split(" "),
  handoff: "reserving preparing copying freezing delta booting verifying switching cleaning".split(
    " ",
  ),
};
const VICTIMS = ["control", "source", "destination"] as const;
type Victim = (typeof VICTIMS)[number];
const CLUSTERS = ["east", "west"];
/** Each lane has one request under way; the hold of all of them fits in any queue. */
const LANES = 2;

/** Until its parent has heard of its end: a thread of it may hold sockets for as long. */
function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

/** Every phase of a handoff with every victim; of an overlap with one in turn. */
const CASES = [
  ...PHASES.handoff.flatMap((phase) =>
    VICTIMS.map((victim) => ["handoff", phase, victim] as const),
  ),
  ...PHASES.overlap.map((phase, at) => ["overlap", phase, VICTIMS[at % 3] as Victim] as const),
];

/**
 * What is promised (design section 10): as long as all is back within the hold budget, no request
 * fails. What was on its way through the process that was killed goes with it, and nobody answers at
 * that cluster's own address while it is away; whoever comes by the other cluster waits for it.
 */
describe("kill -9 of one process in a move, under load", () => {
  let platform: Platform;
  const repls = new Map<string, Repl>();
  const acknowledged: string[] = [];
  /** Repls whose last move left a tombstone. */
  const forwarded = new Set<string>();

  beforeAll(async () => {
    platform = await Platform.start();
    repls.set("overlap", await platform.deploy("examples/hello", "hello", "east"));
    repls.set("handoff", await platform.deploy("examples/notes", "notes", "east"));
  });
  afterAll(() => platform.stop());

  function visit({ host }: Repl, mode: string, run: string): Load {
    const load = new Load();
    for (const cluster of CLUSTERS) {
      const at = { address: platform.ingressOf(cluster), port: platform.httpPort, lanes: LANES };
      const read = () => ({ host, path: "/" });
      load.http({ ...at, what: `kept connections of ${cluster}`, kept: true, ask: read });
      load.http({ ...at, what: `new connections of ${cluster}`, kept: false, ask: read });
      if (mode !== "handoff") continue;
      let count = 0;
      load.http({
        ...at,
        what: `writes by ${cluster}`,
        kept: false,
        ask: () => {
          const body = JSON.stringify({ text: `${run}-${cluster}-${count++}` });
          const headers = {
            "content-type": "application/json",
            "content-length": String(Buffer.byteLength(body)),
          };
          return { host, path: "/notes", method: "POST", headers, body };
        },
        served: ({ body = "{}" }) => acknowledged.push(JSON.parse(body).text as string),
      });
    }
    return load;
  }

  async function reached(replId: string, phases: string[], phase: string): Promise<Migration> {
    return until(
      `a move reaches ${phase}`,
      async () => {
        const path = `/v1/migrations?replId=${replId}&open=true`;
        const { items } = await platform.api<{ items: Migration[] }>("GET", path);
        const [found] = items;
        return found && phases.indexOf(found.phase) >= phases.indexOf(phase) && found;
      },
      30_000,
      0,
    );
  }

  async function notesOf({ host }: Repl): Promise<string[]> {
    const address = platform.ingressOf("east");
    const { body } = await get(address, platform.httpPort, host, "/notes");
    return (JSON.parse(body) as { items: { text: string }[] }).items.map(({ text }) => text);
  }

  const homeOf = async ({ id }: Repl) =>
    (await platform.api<Repl>("GET", `/v1/repls/${id}`)).clusterId;
  const otherThan = (cluster: string) => (cluster === "east" ? "west" : "east");

  /** The other cluster then forwards by itself: one that never had the repl must ask the authority. */
  async function leaveTombstone(repl: Repl): Promise<void> {
    const { outcome } = await platform.move(repl.id, otherThan(await homeOf(repl)));
    expect(outcome).toBe("completed");
    forwarded.add(repl.id);
  }

  it.each(CASES)("%s, in %s: the %s", async (mode, phase, victim) => {
    const repl = repls.get(mode) as Repl;
    if (!forwarded.has(repl.id)) await leaveTombstone(repl);
    const from = await homeOf(repl);
    const to = otherThan(from);
    const name = { control: "control", source: from, destination: to }[victim];
    const pid = platform.pidOf(name);
    const load = visit(repl, mode, `${phase}-${victim}`);
    await until("everybody is at it", () => load.tallies.every(({ served }) => served > 5));

    const starting = platform.api("POST", "/v1/migrations", { replId: repl.id, to, mode });
    starting.catch(() => undefined); // Its answer may be lost in the crash.
    const started = await reached(repl.id, PHASES[mode], phase);
    load.killing(victim === "control" ? "" : platform.ingressOf(name));
    process.kill(pid, "SIGKILL");
    await until(`${name} is dead`, () => !isAlive(pid), 5_000, 0);
    load.killed();

    const ended = await platform.finished(started.id);
    if (ended.outcome !== "completed") forwarded.delete(repl.id);
    await until(`${name} is back`, async () => {
      const address = platform.ingressOf(victim === "control" ? to : name);
      return (await get(address, platform.httpPort, repl.host, "/")).status === 200;
    });
    const tallies = await load.stop();
    const sum = (of: "served" | "turnedAway" | "lost") =>
      tallies.reduce((total, tally) => total + tally[of], 0);
    console.info(
      `figure: ${mode}, ${victim} killed in ${started.phase} (wanted ${phase}): ${ended.outcome};`,
      `${sum("served")} served, ${sum("lost")} lost with it, ${sum("turnedAway")} met nobody`,
    );
    expect(
      tallies.flatMap(({ what, failures }) => failures.map((why) => `${what}: ${why}`)),
    ).toEqual([]);
    if (victim === "control") expect([sum("lost"), sum("turnedAway")]).toEqual([0, 0]);

    const home = await homeOf(repl);
    expect(home).toBe(ended.outcome === "completed" ? to : from);
    await until("exactly one container runs, at home", async () => {
      const { items } = await platform.api<{
        items: { state: string; clusterId: string; replId: string }[];
      }>("GET", "/v1/containers");
      const running = items.filter((one) => one.replId === repl.id && one.state === "running");
      return running.length === 1 && running[0]?.clusterId === home;
    });
    if (mode === "handoff") {
      const found = await notesOf(repl);
      expect(new Set(found).size).toBe(found.length);
      expect(found).toEqual(expect.arrayContaining(acknowledged));
    }
  });
});
