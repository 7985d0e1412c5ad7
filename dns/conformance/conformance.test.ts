import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";

import { answererOf } from "../__tests__/answerer";
import { describeUdpModes } from "../__tests__/udp-modes";
import { zoneChanges } from "../core/__tests__/zone-text";
import type { EncryptedState, ListenAddress } from "../protocol";
import { nameOf, type Transport } from "./rule";
import { faultOf, RULES, rulesOver, TRANSPORTS } from "./run";
import { ZONES } from "./zones";

// Deadlines of tests that share their cores with others.
vi.setConfig({ testTimeout: 30_000, hookTimeout: 30_000 });

const buildDir = mkdtempSync(join(tmpdir(), "stele-wire-"));
const changes = Object.entries(ZONES).flatMap(([zone, records]) => zoneChanges(zone, records));
const onDeath = (reason: string): void => expect.fail(reason);

beforeAll(() => {
  process.env.STELE_BUILD_DIR = buildDir;
});

afterAll(() => {
  delete process.env.STELE_BUILD_DIR;
  rmSync(buildDir, { recursive: true });
});

function rules(transport: Transport, targetOf: () => ListenAddress): void {
  it.each(rulesOver(transport).map((rule) => [nameOf(rule), rule] as const))(
    "%s",
    async (_name, rule) => {
      expect(await faultOf(rule, transport, targetOf())).toBeUndefined();
    },
  );
}

describeUdpModes((mode) => {
  const { answerer } = answererOf({ changes, seq: 0 }, { udp: { mode, workers: 1 }, onDeath });
  beforeAll(() => answerer.open());
  afterAll(() => answerer.close(0));
  rules("udp", () => answerer.listening[0]!);
});

describe.each(TRANSPORTS.filter((transport) => transport !== "udp"))("over %s", (transport) => {
  let encrypted: EncryptedState | undefined;
  const local = [{ host: "127.0.0.1", port: 0 }];
  const { answerer } = answererOf(
    { changes, seq: 0 },
    {
      encrypted: { certificate: "dns/__tests__/tls", tls: local, https: local },
      onEncrypted: (state) => (encrypted = state),
      onDeath,
    },
  );
  beforeAll(async () => {
    await answerer.open();
    await vi.waitFor(() => expect(encrypted?.fault).toBeNull());
  });
  afterAll(() => answerer.close(0));
  rules(transport, () => {
    if (transport === "tls") return encrypted!.tls[0]!;
    return transport === "https" ? encrypted!.https[0]! : answerer.listening[0]!;
  });
});

it("has no two rules of one name", () => {
  expect(new Set(RULES.map(nameOf)).size).toBe(RULES.length);
});
