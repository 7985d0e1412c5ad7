import { execFile, spawnSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { request as httpsRequest } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect } from "node:tls";

import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";

import { decode, query } from "./conformance/message";
import { addressOctets } from "./core/address";
import { Counters, newCounterBuffer } from "./core/counters";
import { NOT_MINE } from "./core/fast";
import { MAX_TCP_OCTETS, respond } from "./core/respond";
import { fuzzedServer } from "./fuzz/fuzz";
import { Encrypted } from "./listen-encrypted";
import type { EncryptedState, ListenAddress } from "./protocol";

// Deadlines of tests that share their cores with others.
vi.setConfig({ testTimeout: 30_000, hookTimeout: 30_000 });

const LOOK_EVERY_MS = 20;
const directory = mkdtempSync(join(tmpdir(), "stele-tls-"));
const certificate = join(directory, "tls");
const anyPort: ListenAddress[] = [{ host: "127.0.0.1", port: 0 }];
const states: EncryptedState[] = [];
const server = fuzzedServer();
const counter = new Counters(newCounterBuffer());
const asker = { address: addressOctets("127.0.0.1"), nowMs: 0 };
const nothing = { begin: () => undefined, end: () => undefined, fast: () => 0, whole: () => 0 };
const encrypted = new Encrypted(
  { certificate, tls: anyPort, https: anyPort },
  {
    answerTls: {
      begin: () => undefined,
      end: () => undefined,
      fast: () => NOT_MINE,
      whole: (octets, out) => respond(server, octets, { ...asker, transport: "tcp" }, out).length,
    },
    answerHttps: (octets, out) => respond(server, octets, { ...asker, transport: "https" }, out),
    counter,
    onState: (state) => states.push(state),
  },
  LOOK_EVERY_MS,
);

const put = (fixture: string): void => {
  cpSync(join("dns/__tests__", fixture), certificate, { recursive: true });
};
const state = (): EncryptedState => states.at(-1)!;

beforeAll(async () => {
  await encrypted.open();
  expect(state()).toMatchObject({ tls: [], https: [], fault: expect.stringMatching(/ENOENT/) });
  mkdirSync(certificate);
  put("tls");
  await vi.waitFor(() => expect(state().fault).toBeNull());
});

afterAll(async () => {
  await encrypted.close(0);
  rmSync(directory, { recursive: true });
});

interface Reply {
  readonly status: number | undefined;
  readonly headers: NodeJS.Dict<string | string[]>;
  readonly body: Buffer;
}

/** Over HTTP/1.1. */
async function overHttps(path: string, options: { method?: string; type?: string; body?: Buffer }) {
  const { method = "GET", type, body } = options;
  return new Promise<Reply>((resolve, reject) => {
    const headers = type === undefined ? {} : { "content-type": type };
    const request = httpsRequest(
      { ...state().https[0], path, method, headers, rejectUnauthorized: false, agent: false },
      (response) => {
        const chunks: Buffer[] = [];
        response.on("data", (chunk: Buffer) => chunks.push(chunk));
        response.on("end", () => {
          const { statusCode: status, headers: received } = response;
          resolve({ status, headers: received, body: Buffer.concat(chunks) });
        });
      },
    );
    request.on("error", reject);
    request.end(body);
  });
}

const MEDIA_TYPE = "application/dns-message";
const ask = query("a.wire.test", "A");
const asParameter = (octets: Buffer): string => `/dns-query?dns=${octets.toString("base64url")}`;

describe("DNS over HTTPS", () => {
  it("answers GET, for as long as the answer may be kept (RFC 8484 4.1, 5.1)", async () => {
    const { status, headers, body } = await overHttps(asParameter(ask), {});
    expect(status).toBe(200);
    expect(headers).toMatchObject({ "content-type": MEDIA_TYPE, "cache-control": "max-age=300" });
    expect(decode(body).answers).toHaveLength(1);
  });

  it("answers POST; what does not exist may be kept as long as its SOA says", async () => {
    const options = { method: "POST", type: MEDIA_TYPE, body: query("gone.wire.test", "A") };
    const { headers, body } = await overHttps("/dns-query", options);
    expect(headers["cache-control"]).toBe("max-age=60");
    expect(decode(body).rcode).toBe(3);
  });

  it.each([
    ["another path", 404, "/", {}],
    ["another method", 405, "/dns-query", { method: "PUT" }],
    ["another type", 415, "/dns-query", { method: "POST", type: "text/plain", body: ask }],
    ["no query", 400, "/dns-query", {}],
    ["what is no base64url", 400, "/dns-query?dns=a+b", {}],
    ["what is no message", 400, asParameter(ask.subarray(0, 5)), {}],
    [
      "a longer body",
      413,
      "/dns-query",
      { method: "POST", type: MEDIA_TYPE, body: Buffer.alloc(9_000) },
    ],
    ["a longer parameter", 414, asParameter(Buffer.alloc(4_100)), {}],
  ])("says so to %s: %i", async (_what, status, path, options) => {
    expect((await overHttps(path, options)).status).toBe(status);
  });

  it("says no time of an idle connection, which is TCP's (RFC 7828 3.3.2)", () => {
    const options = [{ code: 11, data: Buffer.alloc(0) }];
    const out = new Uint8Array(MAX_TCP_OCTETS);
    const octets = query("a.wire.test", "A", { edns: { options } });
    const { length } = respond(server, octets, { ...asker, transport: "https" }, out);
    expect(decode(Buffer.from(out.subarray(0, length))).opt?.options).toEqual([]);
  });
});

describe("a certificate", () => {
  const subject = (): Promise<string> =>
    new Promise((resolve, reject) => {
      const options = { ...state().tls[0]!, ALPNProtocols: ["dot"], rejectUnauthorized: false };
      const socket = connect(options, () => {
        resolve(String(socket.getPeerCertificate().subject.CN));
        socket.destroy();
      });
      socket.on("error", reject);
    });

  it("is taken up when it changes, without a new start", async () => {
    expect(await subject()).toBe("ns1.wire.test");
    put("tls-renewed");
    await vi.waitFor(async () => expect(await subject()).toBe("renewed.wire.test"), {
      timeout: 10_000,
    });
  });

  it("that cannot be read leaves the one that could", async () => {
    rmSync(certificate, { recursive: true });
    await vi.waitFor(() => expect(state().fault).toMatch(/ENOENT/), { timeout: 10_000 });
    expect(await subject()).toBe("renewed.wire.test");
  });

  it("that is not named is asked for", async () => {
    const said: EncryptedState[] = [];
    const events = { answerTls: nothing, answerHttps: () => ({ length: 0, ttlSeconds: 0 }) };
    const without = new Encrypted(
      { certificate: "", tls: anyPort, https: [] },
      { ...events, counter, onState: (now) => said.push(now) },
    );
    await without.open();
    expect(said).toEqual([{ tls: [], https: [], fault: "STELE_DNS_TLS_CERTIFICATE is not set" }]);
  });
});

const hasKdig = spawnSync("kdig", ["-V"]).error === undefined;

describe.skipIf(!hasKdig)(hasKdig ? "kdig" : "kdig (skipped: kdig is not installed)", () => {
  it.each([
    ["+tls", () => state().tls[0]!],
    ["+https", () => state().https[0]!],
  ])("%s", async (transport, address) => {
    const args = ["@127.0.0.1", "-p", String(address().port), transport, "a.wire.test", "A"];
    const output = await new Promise<string>((resolve, reject) => {
      execFile("kdig", args, (error, stdout) => (error ? reject(error) : resolve(stdout)));
    });
    expect(output).toMatch(/status: NOERROR[\s\S]*192\.0\.2\.10/);
  });
});
