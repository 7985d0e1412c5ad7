import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";

import { freePort } from "../../shared/__tests__/free-port";
import { nameOf } from "./rule";
import { faultOf, rulesOver, type Target } from "./run";
import { masterFiles, ZONES } from "./zones";

const TRANSPORTS = ["udp", "tcp"] as const;

/** Rules that NSD does not keep, and why we do not take them for wrong. */
const DEVIATIONS: Readonly<Record<"udp" | "tcp", Readonly<Record<string, string>>>> = {
  udp: {
    "RFC 9471 3.1: glue that does not fit is TC":
      "NSD sends the glue that fits, as RFC 1034 had it before RFC 9471",
  },
  tcp: {
    "RFC 8906 3.1.1: no question is FORMERR":
      "NSD closes at a message that is no longer than a header",
    "RFC 7828 3.3.2: asked over TCP, the time of an idle connection is said":
      "NSD has no edns-tcp-keepalive",
  },
};

const READY_MS = 10_000;
const hasNsd = spawnSync("nsd", ["-v"]).error === undefined;
const directory = mkdtempSync(join(tmpdir(), "stele-nsd-"));
const zones = join(directory, "zones");
let target: Target;
let nsd: ChildProcess;
let said = "";

const configuration = (port: number): string => `
server:
  ip-address: 127.0.0.1@${port}
  zonesdir: "${zones}"
  database: ""
  pidfile: "${directory}/nsd.pid"
  xfrdfile: "${directory}/xfrd.state"
  xfrdir: "${directory}"
  zonelistfile: "${directory}/zone.list"
  username: ""
  nsid: "ascii_nsd"
  server-count: 1
  rrl-ratelimit: 0
  answer-cookie: yes
remote-control:
  control-enable: no
${Object.keys(ZONES)
  .map((zone) => `zone:\n  name: ${zone}\n  zonefile: ${zone}.zone\n`)
  .join("")}`;

async function reach(port: number): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const socket = connect(port, "127.0.0.1", () => resolve(void socket.destroy()));
    socket.on("error", () => reject(new Error(`nsd does not listen: ${said}`)));
  });
}

describe.skipIf(!hasNsd)(hasNsd ? "NSD" : "NSD (skipped: nsd is not installed)", () => {
  beforeAll(async () => {
    mkdirSync(zones);
    for (const [file, content] of Object.entries(masterFiles())) {
      writeFileSync(join(zones, file), content);
    }
    const port = await freePort();
    target = { host: "127.0.0.1", port };
    writeFileSync(join(directory, "nsd.conf"), configuration(port));
    nsd = spawn("nsd", ["-d", "-c", join(directory, "nsd.conf")]);
    nsd.stderr?.on("data", (chunk) => (said += String(chunk)));
    await vi.waitFor(() => reach(port), { timeout: READY_MS });
  });

  afterAll(async () => {
    const ended = new Promise((resolve) => nsd.once("close", resolve));
    nsd.kill("SIGTERM");
    await ended;
    rmSync(directory, { recursive: true });
  });

  describe.each(TRANSPORTS)("over %s", (transport) => {
    it.each(rulesOver(transport).map((rule) => [nameOf(rule), rule] as const))(
      "%s",
      async (name, rule) => {
        const fault = await faultOf(rule, transport, target);
        if (DEVIATIONS[transport][name] === undefined) expect(fault).toBeUndefined();
        // One that it keeps by now has no place in the list.
        else expect(fault).toBeDefined();
      },
    );
  });

  it("deviates from rules of the suite only", () => {
    for (const transport of TRANSPORTS) {
      const names = rulesOver(transport).map(nameOf);
      for (const name of Object.keys(DEVIATIONS[transport])) expect(names).toContain(name);
    }
  });
});
