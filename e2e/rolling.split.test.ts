import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { Load } from "./load";
import { type Migration, Platform, type Repl, until } from "./platform";
import { get } from "./visitor";

const CLUSTERS = ["east", "west"];
const PROCESSES = ["control", "east", "west", "east-proxy", "west-proxy"];
/**
 * Second proxies first: whoever is turned away by one finds the other. Each process is told to end while
 * the handoff of `notes` is there: its source as it holds the requests, its destination as it boots.
 */
const STEPS = [
  { who: "east-proxy", phases: ["freezing", "delta", "booting"] },
  { who: "west-proxy", phases: ["freezing", "delta", "booting"] },
  { who: "source", phases: ["freezing", "delta"] },
  { who: "destination", phases: ["booting", "verifying"] },
  { who: "not yet", phases: ["copying"] },
  { who: "control", phases: ["freezing", "delta", "booting"] },
];
const MODES = { stateless: "overlap", notes: "handoff", sleeps: "asleep" } as const;
type App = keyof typeof MODES;
const APPS = Object.keys(MODES) as App[];
/** Of each visitor, between two questions. */
const PAUSE_MS = 50;

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

/**
 * A new version of the platform, one process after the other, while apps move to and fro. Each cluster
 * has two proxies, at two addresses of its name: a visitor who is not answered at all at one, not by a
 * byte, asks the other, as browsers and load balancers do.
 */
describe("a deploy of the platform, under load and moves", () => {
  let platform: Platform;
  const repls = new Map<App, Repl>();
  const acknowledged: string[] = [];
  const moves: Migration[] = [];
  let isOver = false;

  const repl = (app: App): Repl => repls.get(app) as Repl;

  beforeAll(async () => {
    const env = {
      STELE_KEEP_APPS: "1",
      STELE_SHUTDOWN_DRAIN_MS: "6s",
      // Longer than the deadline of a freeze, which is 5 s, and its undoing.
      STELE_SHUTDOWN_ACCEPT_MS: "8s",
    };
    platform = await Platform.start({ twoProxies: CLUSTERS, env });
    for (const app of APPS) {
      const example = app === "notes" ? "notes" : "hello";
      repls.set(app, await platform.deploy(`examples/${example}`, app, "east"));
    }
    // Each cluster knows each app, so that it forwards without asking the control plane.
    for (const app of APPS) {
      expect(await platform.move(repl(app).id, "west")).toMatchObject({ outcome: "completed" });
    }
  });
  afterAll(async () => {
    // Apps would outlive the platform.
    for (const { id } of repls.values()) await platform.api("DELETE", `/v1/repls/${id}`);
    await platform.stop();
  });

  function visit(load: Load, app: "stateless" | "notes"): void {
    const { host } = repl(app);
    for (const cluster of CLUSTERS) {
      const [address = "", elsewhere = ""] = platform.addressesOf(cluster);
      const both = [
        [address, elsewhere],
        [elsewhere, address],
      ] as const;
      for (const [first, second] of both) {
        const at = { address: first, elsewhere: second, port: platform.httpPort, lanes: 1 };
        const ask = () => ({ host, path: "/" });
        load.http({ ...at, what: `${app} by ${first}, kept`, kept: true, ask });
        load.http({ ...at, what: `${app} by ${first}, new`, kept: false, ask });
        if (app === "notes") load.http({ ...at, ...writes(host, first), kept: false });
      }
    }
  }

  function writes(host: string, address: string) {
    let count = 0;
    const ask = () => {
      const body = JSON.stringify({ text: `${address}-${count++}` });
      const length = String(Buffer.byteLength(body));
      const headers = { "content-type": "application/json", "content-length": length };
      return { host, path: "/notes", method: "POST", headers, body };
    };
    const served = ({ body = "{}" }) => acknowledged.push(JSON.parse(body).text as string);
    return { what: `writes by ${address}`, ask, served };
  }

  /** To where it does not live; while control is away, or a cluster cannot stop an app, later. */
  async function moveOnce(app: App): Promise<void> {
    const ended = await until(`${app} has moved`, async () => {
      const { id, clusterId } = await platform.api<Repl>("GET", `/v1/repls/${repl(app).id}`);
      const to = clusterId === "east" ? "west" : "east";
      if (app === "sleeps") await platform.api("POST", `/v1/repls/${id}/stop`);
      return platform.move(id, to, MODES[app]);
    });
    moves.push(ended);
  }

  async function moveOn(): Promise<void> {
    while (!isOver) await Promise.all(APPS.map(moveOnce));
  }

  /** A handoff of `notes` is in one of `phases`. */
  async function reached(phases: readonly string[]): Promise<Migration> {
    return until(
      `a handoff is in ${phases.join(" or ")}`,
      async () => {
        const path = `/v1/migrations?replId=${repl("notes").id}&open=true`;
        const { items } = await platform.api<{ items: Migration[] }>("GET", path);
        return items.find(({ phase }) => phases.includes(phase));
      },
      60_000,
      0,
    );
  }

  async function restart(name: string): Promise<void> {
    const pid = platform.pidOf(name);
    process.kill(pid, "SIGTERM");
    await until(`${name} ends`, () => !isAlive(pid), 30_000, 5);
    await until(`${name} is back`, async () => {
      const at = name === "control" ? `127.0.0.1:${platform.apiPort}` : platform.apiOf(name);
      const path = name === "control" ? "/v1/ready" : "/__encore/healthz";
      return platform.pidOf(name) !== pid && (await fetch(`http://${at}${path}`)).ok;
    });
    const [cluster = "", isSecond] = name.split("-");
    if (cluster === "control") return;
    const address = platform.addressesOf(cluster)[isSecond ? 1 : 0] ?? "";
    await until(`a proxy is back at ${address}`, async () => {
      const { host } = repl("stateless");
      return (await get(address, platform.httpPort, host, "/")).status === 200;
    });
  }

  it("fails no request, and loses no write", async () => {
    const load = new Load(PAUSE_MS);
    visit(load, "stateless");
    visit(load, "notes");
    const [second = ""] = platform.moreNameServers;
    const names = [platform.dnsPort, Number(second.split(":")[1])] as const;
    load.dns(repl("notes").host, names[0], 1, names[1]);
    load.dns(repl("stateless").host, names[1], 1, names[0]);
    await until("everybody is at it", () => load.tallies.every(({ served }) => served > 5));
    const moving = moveOn();

    const done = new Set<string>();
    for (const { who, phases } of STEPS) {
      const { from, to, phase } = await reached(phases);
      const roles = new Map([
        ["source", from],
        ["destination", to],
        ["not yet", CLUSTERS.find((cluster) => !done.has(cluster)) ?? from],
      ]);
      const name = roles.get(who) ?? who;
      const startedAt = performance.now();
      await restart(name);
      done.add(name);
      const tookMs = Math.round(performance.now() - startedAt);
      console.info(`figure: ${name} (${who}), told to end in ${phase}, is back after ${tookMs} ms`);
    }
    expect([...done].sort()).toEqual([...PROCESSES].sort());
    const after = moves.length;
    await until("moves go on", () => moves.length >= after + APPS.length, 60_000);
    isOver = true;
    await moving;
    const tallies = await load.stop();

    const sum = (of: "served" | "elsewhere") => tallies.reduce((total, one) => total + one[of], 0);
    const ended = (outcome: string) => moves.filter((one) => one.outcome === outcome);
    const reasons = ended("rolled_back").map(({ reason }) => reason);
    const faults = tallies.flatMap(({ what, failures }) =>
      failures.map((why) => `${what}: ${why}`),
    );
    console.info(
      `figure: ${sum("served")} served, ${sum("elsewhere")} of them at the second address,`,
      `${faults.length} failed; ${ended("completed").length} moves completed,`,
      `${reasons.length} rolled back: ${[...new Set(reasons)].join("; ")}`,
    );
    expect(faults).toEqual([]);
    for (const mode of Object.values(MODES)) {
      expect(ended("completed").filter((one) => one.mode === mode).length).toBeGreaterThan(0);
    }
    const { body } = await get(
      platform.ingressOf("east"),
      platform.httpPort,
      repl("notes").host,
      "/notes",
    );
    const found = (JSON.parse(body) as { items: { text: string }[] }).items.map(({ text }) => text);
    expect(new Set(found).size).toBe(found.length);
    expect(found).toEqual(expect.arrayContaining(acknowledged));
  }, 400_000);
});
