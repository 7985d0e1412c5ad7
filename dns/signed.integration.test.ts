import { execFile, spawnSync } from "node:child_process";
import { createSocket } from "node:dgram";
import { connect } from "node:net";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { clusters } from "~encore/clients";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

import * as dns from "./api";
import * as keysApi from "./api-keys";
import { wireName } from "./core/__tests__/zone-text";
import { RCODE, TYPE } from "./core/codes";
import { queriesOver } from "./core/counters";
import { joinOctets, type Message, readMessage } from "./core/message";
import { nameOctets } from "./core/names";
import { isNotifyAnswer } from "./core/notify";
import { type Key, readTsig, sign, TSIG_ERROR, verify } from "./core/tsig";
import { formatRdata } from "./core/rdata";
import { instance } from "./instance";
import { hmac } from "./keys";
import { drain, start } from "./life";

const ZONE = "signed.test";
const token = { authData: { userID: "test" } };
const folder = mkdtempSync(join(tmpdir(), "stele-signed-"));
/** Not the synchronous ones: this process is the name server. */
function run(command: string, args: readonly string[], input = ""): Promise<string> {
  return new Promise((resolve) => {
    const child = execFile(command, args, (_error, stdout, stderr) => resolve(stdout + stderr));
    child.stdin!.end(input);
  });
}
const hasNsupdate = spawnSync("nsupdate", ["-V"]).error === undefined;
const hasDig = spawnSync("dig", ["-v"]).error === undefined;

let all: keysApi.NewKey;
let acme: keysApi.NewKey;
let reader: keysApi.NewKey;

const port = (): number => instance().answerer.listening[0]!.port;
const keyOf = ({ name, algorithm, secret }: keysApi.NewKey): Key => {
  return { name: wireName(name), algorithm, secret: Buffer.from(secret, "base64") };
};
const yOf = ({ algorithm, name, secret }: keysApi.NewKey): string =>
  `${algorithm}:${name}:${secret}`;

beforeAll(async () => {
  process.env.STELE_DNS_LISTEN = "127.0.0.1:0";
  process.env.STELE_DNS_SNAPSHOT = join(folder, "snapshot.json");
  process.env.STELE_DNS_SEAL_KEY_FILE = join(folder, "seal.key");
  await start();
  await dns.putZone({ zone: ZONE });
  all = await keysApi.addKey({
    name: "all.signed.test",
    zones: ["*"],
    names: ["*"],
    types: ["*"],
    transfer: true,
    update: true,
  });
  acme = await keysApi.addKey({
    name: "acme.signed.test",
    algorithm: "hmac-sha512",
    zones: [ZONE],
    names: ["_acme-challenge.*"],
    types: ["TXT"],
    update: true,
  });
  reader = await keysApi.addKey({ name: "reader", zones: [ZONE], transfer: true });
});
afterAll(async () => {
  await drain(1_000);
  rmSync(folder, { recursive: true });
});

const u16 = (...values: number[]): Uint8Array =>
  Uint8Array.from(values.flatMap((value) => [value >> 8, value & 0xff]));

function query(name: string, type: number): Uint8Array {
  return joinOctets([u16(7, 0, 1, 0, 0, 0), nameOctets(wireName(name)), u16(type, 1)]);
}

/** An update without prerequisites that puts one TXT record. */
function update(name: string, text: string): Uint8Array {
  const zone = joinOctets([nameOctets(wireName(ZONE)), u16(TYPE.SOA, 1)]);
  const data = Uint8Array.of(text.length, ...Buffer.from(text));
  const record = [nameOctets(wireName(name)), u16(TYPE.TXT, 1, 0, 60, data.length), data];
  return joinOctets([u16(9, 5 << 11, 1, 0, 1, 0), zone, ...record]);
}

async function overUdp(octets: Uint8Array): Promise<Uint8Array> {
  const socket = createSocket("udp4");
  try {
    const answer = new Promise<Buffer>((resolve) => socket.once("message", resolve));
    socket.send(octets, port(), "127.0.0.1");
    return new Uint8Array(await answer);
  } finally {
    socket.close();
  }
}

/** All messages until the connection has `isLast`. */
async function overTcp(octets: Uint8Array, isLast: (message: Message) => boolean) {
  const socket = connect(port(), "127.0.0.1");
  const messages: Uint8Array[] = [];
  let pending = Buffer.alloc(0);
  try {
    socket.write(joinOctets([u16(octets.length), octets]));
    for await (const chunk of socket) {
      pending = Buffer.concat([pending, chunk as Buffer]);
      while (pending.length >= 2 && pending.length >= 2 + pending.readUInt16BE(0)) {
        const end = 2 + pending.readUInt16BE(0);
        messages.push(new Uint8Array(pending.subarray(2, end)));
        pending = pending.subarray(end);
        if (isLast(readMessage(messages.at(-1)!)!)) return messages;
      }
    }
    return messages;
  } finally {
    socket.destroy();
  }
}

const nowSeconds = (): number => Math.floor(Date.now() / 1000);
const signed = (message: Uint8Array, key: Key, now = nowSeconds()) =>
  sign({ message, key, now, hmac });

/** Response code and TSIG error of the answer; the signature must be right where there is one. */
function verdict(octets: Uint8Array, key: Key, requestMac: Uint8Array): [number, number | null] {
  const message = readMessage(octets)!;
  const tsig = readTsig(message);
  if (tsig === "malformed") throw new Error("malformed signature");
  if (tsig && tsig.mac.length > 0) {
    const now = tsig.time;
    expect(verify({ octets, tsig, key, now, hmac, requestMac })).toBe(TSIG_ERROR.NONE);
  }
  return [message.header.flags & 0xf, tsig ? tsig.error : null];
}

async function ask(message: Uint8Array, key: Key, now?: number) {
  const { message: octets, mac } = signed(message, key, now);
  return verdict(await overUdp(octets), key, mac);
}

describe("signatures", () => {
  it("of queries are checked, and answered signed", async () => {
    const soa = query(ZONE, TYPE.SOA);
    expect(await ask(soa, keyOf(reader))).toEqual([RCODE.NOERROR, TSIG_ERROR.NONE]);
    expect(await ask(soa, keyOf(acme))).toEqual([RCODE.NOERROR, TSIG_ERROR.NONE]);
    const unknown = { ...keyOf(reader), name: wireName("nobody") };
    expect(await ask(soa, unknown)).toEqual([RCODE.NOTAUTH, TSIG_ERROR.BADKEY]);
    const wrong = { ...keyOf(reader), secret: Buffer.from("wrong") };
    expect(await ask(soa, wrong)).toEqual([RCODE.NOTAUTH, TSIG_ERROR.BADSIG]);
    const late = nowSeconds() - 1_000;
    const before = instance().answerer.totals;
    expect(await ask(soa, keyOf(reader), late)).toEqual([RCODE.NOTAUTH, TSIG_ERROR.BADTIME]);
    const after = instance().answerer.totals;
    expect(after.rcodes[RCODE.NOTAUTH]! - before.rcodes[RCODE.NOTAUTH]!).toBe(1);
    expect(queriesOver(after, "udp") - queriesOver(before, "udp")).toBe(1);
  });

  it("count for the size: what is too long with them is truncated", async () => {
    const values = ["x".repeat(200), "y".repeat(200)];
    await dns.putRrset({ zone: ZONE, name: "long", type: "TXT", ttl: 60, values });
    const plain = query(`long.${ZONE}`, TYPE.TXT);
    const whole = await overUdp(plain);
    expect([whole.length > 400, whole[2]! & 2]).toEqual([true, 0]);
    const { message, mac } = signed(plain, keyOf(acme));
    const answer = await overUdp(message);
    expect(verdict(answer, keyOf(acme), mac)).toEqual([RCODE.NOERROR, TSIG_ERROR.NONE]);
    expect(answer.length).toBeLessThanOrEqual(512);
    expect([answer[2]! & 2, readMessage(answer)!.answers]).toEqual([2, []]);
    const [overStream] = await overTcp(message, () => true);
    expect(readMessage(overStream!)!.answers).toHaveLength(2);
  });

  it("that are malformed get FORMERR", async () => {
    const soa = query(ZONE, TYPE.SOA);
    const { message } = signed(soa, keyOf(reader));
    // The TTL of a signature is 0 (RFC 8945 section 4.2).
    message[soa.length + keyOf(reader).name.length + 7] = 1;
    const answer = await overUdp(message);
    expect([answer.length, answer[3]! & 0xf]).toEqual([12, RCODE.FORMERR]);
  });
});

describe("transfers", () => {
  const isWhole = (message: Message): boolean =>
    message.answers.at(-1)?.type === TYPE.SOA || message.answers.length === 0;

  it("are for keys that may, over TCP, whole and signed", async () => {
    const { message, mac } = signed(query(ZONE, TYPE.AXFR), keyOf(reader));
    const [only] = await overTcp(message, isWhole);
    expect(verdict(only!, keyOf(reader), mac)).toEqual([RCODE.NOERROR, TSIG_ERROR.NONE]);
    const { answers } = readMessage(only!)!;
    expect([answers[0]!.type, answers.at(-1)!.type]).toEqual([TYPE.SOA, TYPE.SOA]);
    expect(answers.length).toBeGreaterThan(3);
  });

  it.each([
    ["without a signature", () => query(ZONE, TYPE.AXFR), RCODE.REFUSED],
    [
      "by a key for updates",
      () => signed(query(ZONE, TYPE.AXFR), keyOf(acme)).message,
      RCODE.REFUSED,
    ],
    [
      "of another zone",
      () => signed(query("repl.localhost", TYPE.AXFR), keyOf(reader)).message,
      RCODE.REFUSED,
    ],
    [
      "of a name in a zone",
      () => signed(query(`www.${ZONE}`, TYPE.AXFR), keyOf(all)).message,
      RCODE.NOTAUTH,
    ],
    [
      "of a zone of others",
      () => signed(query("example.net", TYPE.AXFR), keyOf(all)).message,
      RCODE.NOTAUTH,
    ],
  ])("%s are refused", async (_what, octets, rcode) => {
    const [answer] = await overTcp(octets(), () => true);
    expect(readMessage(answer!)!.header.flags & 0xf).toBe(rcode);
  });

  it("over UDP are refused, and IXFR there says only which serial there is", async () => {
    expect(await ask(query(ZONE, TYPE.AXFR), keyOf(reader))).toEqual([RCODE.REFUSED, 0]);
    const { message } = signed(query(ZONE, TYPE.IXFR), keyOf(reader));
    const { answers } = readMessage(await overUdp(message))!;
    expect(answers.map(({ type }) => type)).toEqual([TYPE.SOA]);
  });

  it("of the platform zone hold the repls' names", async () => {
    await clusters.addCluster(
      { id: "signed-east", ingress: ["192.0.2.77"], httpPort: 80, listen: [] },
      token,
    );
    const { id } = await clusters.createRepl(
      { name: "signed", owner: "demo", cluster: "signed-east" },
      token,
    );
    const name = wireName(`${id}.id.repl.localhost`);
    await expect.poll(() => instance().catalog.derived(name)?.size, { timeout: 10_000 }).toBe(1);
    const { message } = signed(query("repl.localhost", TYPE.AXFR), keyOf(all));
    const messages = await overTcp(message, isWhole);
    const answers = messages.flatMap((octets) => readMessage(octets)!.answers);
    expect(answers.some((record) => record.name === name && record.type === TYPE.A)).toBe(true);
  });

  it.skipIf(!hasDig)("are read by dig -y, also in many messages", async () => {
    const values = Array.from({ length: 100 }, (_, i) => `${i} ${"x".repeat(200)}`);
    await dns.putRrset({ zone: ZONE, name: "big", type: "TXT", ttl: 60, values });
    await dns.putRrset({ zone: ZONE, name: "bigger", type: "TXT", ttl: 60, values });
    const args = ["@127.0.0.1", "-p", String(port()), "-y", yOf(reader), ZONE, "AXFR"];
    const output = await run("dig", args);
    expect(output).not.toMatch(/failed|failure|WARNING/);
    expect(output).toMatch(/XFR size: 2\d\d records \(messages [2-9]/);
    const unsigned = args.filter((arg) => arg !== "-y" && arg !== yOf(reader));
    expect(await run("dig", unsigned)).toMatch(/Transfer failed/);
  });
});

describe("updates", () => {
  const serial = (): number =>
    instance().catalog.zones.find(({ name }) => name === wireName(ZONE))!.serial;
  const texts = async (name: string): Promise<string[]> =>
    (await dns.listRrsets({ zone: ZONE })).items
      .filter((rrset) => rrset.name === name && rrset.type === "TXT")
      .flatMap(({ values }) => values);

  const nsupdate = async (...lines: string[]): Promise<string> => {
    const input = [`server 127.0.0.1 ${port()}`, `zone ${ZONE}`, ...lines, "send", ""].join("\n");
    const output = await run("nsupdate", ["-y", yOf(all)], input);
    return output === "" ? "NOERROR" : (/update failed: (\w+)/.exec(output)?.[1] ?? output);
  };
  /** TTL and data of the TXT records that are answered. */
  const answered = (name: string): string[] => {
    const rrset = instance().catalog.zoneOf(wireName(name))?.node(wireName(name))?.get(TYPE.TXT);
    const texts = rrset?.rdatas.map((rdata) => `${rrset.ttl} ${formatRdata(TYPE.TXT, rdata)}`);
    return (texts ?? []).toSorted();
  };

  it("are answered at once, by policy, with a later serial", async () => {
    const name = `_acme-challenge.www.${ZONE}`;
    const before = serial();
    expect(await ask(update(name, "one"), keyOf(acme))).toEqual([RCODE.NOERROR, 0]);
    expect(await ask(update(name, "two"), keyOf(acme))).toEqual([RCODE.NOERROR, 0]);
    expect(serial()).toBeGreaterThan(before);
    expect(answered(name)).toEqual(['60 "one"', '60 "two"']);
    // They end by themselves, so they are no records of the zone.
    expect(await texts(name)).toEqual([]);
    expect(await ask(update(`www.${ZONE}`, "x"), keyOf(acme))).toEqual([RCODE.REFUSED, 0]);
    expect(await ask(update(name, "x"), keyOf(reader))).toEqual([RCODE.REFUSED, 0]);
    const unsigned = await overUdp(update(name, "x"));
    expect(readMessage(unsigned)!.header.flags & 0x780f).toBe((5 << 11) | RCODE.REFUSED);
    expect(answered(name)).toEqual(['60 "one"', '60 "two"']);
  });

  it.skipIf(!hasNsupdate)("of DNS-01 values are as those of records", async () => {
    const name = `_acme-challenge.nsupdate.${ZONE}`;
    expect(await nsupdate(`prereq nxdomain ${name}`, `update add ${name} 600 TXT a`)).toBe(
      "NOERROR",
    );
    expect(await nsupdate(`update add ${name} 600 TXT b`)).toBe("NOERROR");
    expect(await nsupdate(`prereq nxrrset ${name} TXT`, `update delete ${name}`)).toBe("YXRRSET");
    const both = ["a", "b"].map((value) => `prereq yxrrset ${name} TXT ${value}`);
    expect(await nsupdate(...both, `update delete ${name} TXT a`)).toBe("NOERROR");
    expect(answered(name)).toEqual(['60 "b"']);
    const alias = `update add ${name} 60 CNAME x.example.net.`;
    expect(await nsupdate(alias)).toBe("REFUSED");
    expect(await nsupdate(`update delete ${name} TXT`, alias)).toBe("NOERROR");
    expect(answered(name)).toEqual([]);
  });

  it("of zones of others are NOTAUTH, outside of the zone NOTZONE", async () => {
    const elsewhere = update(`a.${ZONE}`, "x");
    elsewhere[13] = "X".charCodeAt(0);
    expect(await ask(elsewhere, keyOf(all))).toEqual([RCODE.NOTZONE, 0]);
    const nowhere = joinOctets([u16(9, 5 << 11, 1, 0, 0, 0), query("nowhere.test", 6).slice(12)]);
    expect(await ask(nowhere, keyOf(all))).toEqual([RCODE.NOTAUTH, 0]);
  });

  it.skipIf(!hasNsupdate)("are made by nsupdate: prerequisites, additions, deletions", async () => {
    const name = `n.${ZONE}`;
    expect(await nsupdate(`prereq nxdomain ${name}`, `update add ${name} 60 TXT "a b" c`)).toBe(
      "NOERROR",
    );
    expect(await texts(name)).toEqual(['"a b" "c"']);
    expect(await nsupdate(`prereq nxdomain ${name}`, `update add ${name} 60 TXT d`)).toBe(
      "YXDOMAIN",
    );
    expect(await nsupdate(`prereq yxrrset ${name} A`, `update add ${name} 60 TXT d`)).toBe(
      "NXRRSET",
    );
    expect(await nsupdate(`prereq nxrrset ${name} TXT`, `update add ${name} 60 TXT d`)).toBe(
      "YXRRSET",
    );
    expect(await nsupdate(`prereq yxdomain x.${name}`, `update add ${name} 60 TXT d`)).toBe(
      "NXDOMAIN",
    );
    expect(
      await nsupdate(`prereq yxrrset ${name} TXT "a b" c`, `update add ${name} 60 TXT d`),
    ).toBe("NOERROR");
    expect(await nsupdate(`update delete ${name} TXT d`, `update add ${name} 60 A 192.0.2.1`)).toBe(
      "NOERROR",
    );
    expect(await texts(name)).toEqual(['"a b" "c"']);
    expect(
      await nsupdate(`update add ${name} 60 MX 1 mail.example.net.`, `update delete ${name} TXT`),
    ).toBe("NOERROR");
    expect(await texts(name)).toEqual([]);
    // All or nothing: an NS whose host has no address is refused, and so is what came with it.
    const bad = await nsupdate(
      `update add ${name} 60 TXT e`,
      `update add sub.${ZONE} 60 NS ns.sub.${ZONE}`,
    );
    expect(bad).toBe("REFUSED");
    expect(await texts(name)).toEqual([]);
    expect(await nsupdate(`update delete ${name}`)).toBe("NOERROR");
    const { items } = await dns.listRrsets({ zone: ZONE });
    expect(items.filter((rrset) => rrset.name === name)).toEqual([]);
  });
});

describe("keys", () => {
  it("are listed without their secret, and end when they are removed", async () => {
    const { items } = await keysApi.listKeys();
    const acmeKey = items.find(({ name }) => name === acme.name);
    expect(acmeKey).toMatchObject({ algorithm: "hmac-sha512", update: true, types: ["TXT"] });
    expect(JSON.stringify(items)).not.toContain(acme.secret);
    const gone = await keysApi.addKey({ name: "gone", zones: ["*"], transfer: true });
    const soa = query(ZONE, TYPE.SOA);
    expect(await ask(soa, keyOf(gone))).toEqual([RCODE.NOERROR, 0]);
    await keysApi.removeKey({ name: "gone" });
    expect(await ask(soa, keyOf(gone))).toEqual([RCODE.NOTAUTH, TSIG_ERROR.BADKEY]);
    await expect(keysApi.removeKey({ name: "gone" })).rejects.toMatchObject({ code: "not_found" });
  });

  it.each([
    [{ name: "a..b", zones: [] }, /empty label/],
    [{ name: "a", zones: ["_"] }, /host name/],
    [{ name: "a", zones: [], names: ["*.a.*"] }, /more than one/],
    [{ name: "a", zones: [], types: ["NOPE"] }, /expected a type/],
    [{ name: "a", zones: [], secret: "c2hvcnQ=" }, /16 to 128/],
    [{ name: "all.signed.test", zones: [] }, /there is one of that name/],
  ])("are refused: %j", async (request, reason) => {
    await expect(keysApi.addKey(request)).rejects.toThrow(reason);
  });
});

describe("secondaries", () => {
  it("are told of each change until they answer, signed", async () => {
    const socket = createSocket("udp4");
    const heard: Message[] = [];
    await new Promise<void>((resolve) => socket.bind(0, "127.0.0.1", resolve));
    socket.on("message", (octets, sender) => {
      const message = readMessage(new Uint8Array(octets))!;
      heard.push(message);
      // The first is lost.
      if (heard.length === 1) return;
      const answer = Uint8Array.from(octets.subarray(0, message.questionEnd)).fill(0, 6, 12);
      answer[2]! |= 0x80;
      socket.send(answer, sender.port, sender.address);
    });
    const address = `127.0.0.1:${socket.address().port}`;
    try {
      await keysApi.putSecondary({ zone: ZONE, address, key: "reader" });
      const known = async () => (await keysApi.listSecondaries()).items[0]?.heardSerial ?? 0;
      await expect.poll(known, { timeout: 20_000 }).toBeGreaterThan(0);
      expect(heard.length).toBe(2);
      const before = await known();
      await dns.putRrset({ zone: ZONE, name: "told", type: "A", ttl: 60, values: ["192.0.2.1"] });
      await expect.poll(known, { timeout: 20_000 }).toBeGreaterThan(before);
      const last = heard.at(-1)!;
      expect(readTsig(last)).toMatchObject({ keyName: wireName("reader") });
      expect(
        isNotifyAnswer(
          { ...last, header: { ...last.header, isResponse: true } },
          last.header.id,
          wireName(ZONE),
        ),
      ).toBe(true);
      await expect(keysApi.removeKey({ name: "reader" })).rejects.toMatchObject({
        code: "failed_precondition",
      });
      await keysApi.removeSecondary({ zone: ZONE, address });
      expect((await keysApi.listSecondaries()).items).toEqual([]);
    } finally {
      socket.close();
    }
  });

  it("need an address, a zone and a key", async () => {
    const put = (change: object) =>
      keysApi.putSecondary({ zone: ZONE, address: "192.0.2.1:53", key: "reader", ...change });
    await expect(put({ address: "192.0.2.1" })).rejects.toThrow(/an address and a port/);
    await expect(put({ zone: "no.test" })).rejects.toMatchObject({ code: "not_found" });
    await expect(put({ key: "nobody" })).rejects.toMatchObject({ code: "not_found" });
  });
});
