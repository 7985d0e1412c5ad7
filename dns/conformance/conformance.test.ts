import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";

import { startWorker } from "../../shared/worker";
import { openGuard } from "../__tests__/guard";
import { zoneChanges } from "../core/__tests__/zone-text";
import { Memory } from "../core/memory";
import { Answerer } from "../listen";
import type { EncryptedState, ListenAddress } from "../protocol";
import { nameOf, type Transport } from "./rule";
import { faultOf, RULES, rulesOver, TRANSPORTS } from "./run";
import { ZONES } from "./zones";

// Deadlines of tests that share their cores with others.
vi.setConfig({ testTimeout: 30_000, hookTimeout: 30_000 });

const buildDir = mkdtempSync(join(tmpdir(), "stele-wire-"));
const memory = new Memory({ platformZone: "repl.test", validationZone: "" });
let answerer: Answerer;
let encrypted: EncryptedState | undefined;

function targetOf(transport: Transport): ListenAddress {
  if (transport === "tls") return encrypted!.tls[0]!;
  return transport === "https" ? encrypted!.https[0]! : answerer.listening[0]!;
}

beforeAll(async () => {
  process.env.STELE_BUILD_DIR = buildDir;
  const changes = Object.entries(ZONES).flatMap(([zone, records]) => zoneChanges(zone, records));
  memory.apply({ changes, seq: 0 });
  answerer = new Answerer({
    catalog: { platformZone: "repl.test", validationZone: "" },
    guard: openGuard,
    encrypted: {
      certificate: "dns/__tests__/tls",
      tls: [{ host: "127.0.0.1", port: 0 }],
      https: [{ host: "127.0.0.1", port: 0 }],
    },
    onEncrypted: (state) => (encrypted = state),
    addresses: [{ host: "127.0.0.1", port: 0 }],
    snapshot: () => memory.whole(),
    startWorker,
    onDeath: (reason) => expect.fail(reason),
  });
  await answerer.open();
  await vi.waitFor(() => expect(encrypted?.fault).toBeNull());
});

afterAll(async () => {
  await answerer.close(0);
  delete process.env.STELE_BUILD_DIR;
  rmSync(buildDir, { recursive: true });
});

describe.each(TRANSPORTS)("over %s", (transport) => {
  it.each(rulesOver(transport).map((rule) => [nameOf(rule), rule] as const))(
    "%s",
    async (_name, rule) => {
      expect(await faultOf(rule, transport, targetOf(transport))).toBeUndefined();
    },
  );
});

it("has no two rules of one name", () => {
  expect(new Set(RULES.map(nameOf)).size).toBe(RULES.length);
});
