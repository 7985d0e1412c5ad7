import { createHmac } from "node:crypto";

import fc from "fast-check";
import { describe, expect, it, vi } from "vitest";

import { wireName } from "./__tests__/zone-text";
import { readMessage } from "./message";
import {
  type Algorithm,
  ALGORITHMS,
  type Hmac,
  isSigned,
  type Key,
  readTsig,
  refuseSignature,
  sign,
  signatureOctets,
  type Tsig,
  TSIG_ERROR,
  unsigned,
  verify,
} from "./tsig";

// Thousands of cases, on cores that are shared with others.
vi.setConfig({ testTimeout: 30_000 });

const hmac: Hmac = (algorithm, secret, data) =>
  createHmac(algorithm.replace("hmac-", ""), secret).update(data).digest();

const secret = Buffer.from("c2VjcmV0IG9mIGEgdmVjdG9yLCAzMiBvY3RldHMhISE=", "base64");
const keyOf = (algorithm: Algorithm): Key => ({ name: wireName("key.example"), algorithm, secret });
const key = keyOf("hmac-sha256");

/** What `dig -y ALGORITHM:key.example:… example.org SOA` has sent. */
const FROM_DIG: ReadonlyArray<[Algorithm, string]> = [
  [
    "hmac-sha256",
    "428901200001000000000001076578616d706c65036f72670000060001036b6579076578616d706c650000fa00ff00000000003d0b686d61632d7368613235360000006b01efc9012c0020de9dadcf0ce4ad8f6188173e9cd4a4b29100e1b8a8af37cc9113cac0d29d8732428900000000",
  ],
  [
    "hmac-sha384",
    "650201200001000000000001076578616d706c65036f72670000060001036b6579076578616d706c650000fa00ff00000000004d0b686d61632d7368613338340000006b01efc9012c003098426b79644e52287bd528966c394613cbaae2c85c3f3c5442e5f561f728ade2a2904617ac719a12a178d84185d2cbb4650200000000",
  ],
  [
    "hmac-sha512",
    "97d801200001000000000001076578616d706c65036f72670000060001036b6579076578616d706c650000fa00ff00000000005d0b686d61632d7368613531320000006b01efc9012c0040deb16e44e6e5be297b1c220c7800feb3913bd563cb40a08218757c0c13c02885b9d37dfc70a4462a0a4b8191df0e7e2435acf454b438342087389c8c22137f1697d800000000",
  ],
];
const QUERY = Uint8Array.from(
  Buffer.from("428901200001000000000000076578616d706c650000060001", "hex"),
);

function tsigOf(octets: Uint8Array): Tsig {
  const message = readMessage(octets);
  const tsig = message && readTsig(message);
  if (tsig === undefined || tsig === "malformed") throw new Error("no signature");
  return tsig;
}

describe("a signature", () => {
  it.each(FROM_DIG)("of dig by %s is right", (algorithm, text) => {
    const octets = Uint8Array.from(Buffer.from(text, "hex"));
    const tsig = tsigOf(octets);
    expect(tsig).toMatchObject({ keyName: wireName("key.example"), fudge: 300, error: 0 });
    const asked = { octets, tsig, key: keyOf(algorithm), hmac };
    expect(verify({ ...asked, now: tsig.time + 300 })).toBe(TSIG_ERROR.NONE);
    expect(verify({ ...asked, now: tsig.time + 301 })).toBe(TSIG_ERROR.BADTIME);
    expect(verify({ ...asked, now: tsig.time - 301 })).toBe(TSIG_ERROR.BADTIME);
    const again = sign({
      message: unsigned(octets, tsig),
      key: keyOf(algorithm),
      now: tsig.time,
      hmac,
    });
    expect(Buffer.from(again.message).toString("hex")).toBe(text);
    expect(again.message.length - tsig.start).toBe(signatureOctets(keyOf(algorithm)));
  });

  it("by another key, another algorithm, or only in part is refused", () => {
    const { message: octets, mac } = sign({ message: QUERY, key, now: 1_000, hmac });
    const asked = { octets, tsig: tsigOf(octets), key, now: 1_000, hmac };
    expect(verify(asked)).toBe(TSIG_ERROR.NONE);
    expect(verify({ ...asked, key: undefined })).toBe(TSIG_ERROR.BADKEY);
    expect(verify({ ...asked, key: keyOf("hmac-sha512") })).toBe(TSIG_ERROR.BADKEY);
    expect(verify({ ...asked, key: { ...key, secret: Buffer.from("x") } })).toBe(TSIG_ERROR.BADSIG);
    const part = { ...asked.tsig, mac: mac.slice(0, 16) };
    expect(verify({ ...asked, tsig: part })).toBe(TSIG_ERROR.BADTRUNC);
    expect(verify({ ...asked, requestMac: mac })).toBe(TSIG_ERROR.BADSIG);
  });

  it("covers each octet of the message", () => {
    const { message, mac } = sign({ message: QUERY, key, now: 1_000, hmac });
    const macAt = Buffer.from(message).indexOf(mac);
    fc.assert(
      fc.property(fc.nat(message.length - 1), fc.integer({ min: 1, max: 255 }), (at, flip) => {
        // The id in front is not what was signed: forwarders may change it (section 4.3.2).
        fc.pre(at >= 2 && (at < macAt || at >= macAt + mac.length));
        const changed = message.map((octet, index) => (index === at ? octet ^ flip : octet));
        const read = readMessage(changed);
        const tsig = read && readTsig(read);
        if (tsig === undefined || tsig === "malformed") return;
        const known = tsig.keyName === key.name ? key : undefined;
        expect(verify({ octets: changed, tsig, key: known, now: 1_000, hmac })).not.toBe(0);
      }),
    );
  });

  it("is found under another id, and by letters of either case", () => {
    const { message } = sign({ message: QUERY, key, now: 1_000, hmac });
    const forwarded = message.slice();
    forwarded[0] = 0xff;
    const tsig = tsigOf(forwarded);
    expect(verify({ octets: forwarded, tsig, key, now: 1_000, hmac })).toBe(TSIG_ERROR.NONE);
    const upper = message.slice();
    const nameAt = Buffer.from(message).indexOf("key");
    upper[nameAt] = "K".charCodeAt(0);
    expect(verify({ octets: upper, tsig: tsigOf(upper), key, now: 1_000, hmac })).toBe(0);
  });

  it("of answers chains them to the request and to each other", () => {
    const request = sign({ message: QUERY, key, now: 1_000, hmac });
    const first = sign({ message: QUERY, key, now: 1_001, hmac, prior: request.mac });
    const asked = { octets: first.message, tsig: tsigOf(first.message), key, now: 1_001, hmac };
    expect(verify({ ...asked, requestMac: request.mac })).toBe(TSIG_ERROR.NONE);
    expect(verify(asked)).toBe(TSIG_ERROR.BADSIG);
    const next = { message: QUERY, key, now: 1_001, hmac, prior: first.mac, isFollowing: true };
    expect(sign(next).mac).not.toEqual(first.mac);
  });

  it("that is refused names the error, and shows our time to a wrong clock", () => {
    const request = tsigOf(sign({ message: QUERY, key, now: 1_000, hmac }).message);
    const refused = tsigOf(refuseSignature(QUERY, request, TSIG_ERROR.BADSIG));
    expect(refused).toMatchObject({ error: TSIG_ERROR.BADSIG, mac: new Uint8Array() });
    const late = sign({
      message: QUERY,
      key,
      now: 5_000,
      hmac,
      prior: request.mac,
      badTime: 1_000,
    });
    const told = tsigOf(late.message);
    expect(told).toMatchObject({ time: 1_000, error: TSIG_ERROR.BADTIME });
    expect([...told.other]).toEqual([0, 0, 0, 0, 0x13, 0x88]);
  });
});

describe("readTsig()", () => {
  it("finds none in a plain query, and refuses one that is not last or not whole", () => {
    expect(readTsig(readMessage(QUERY)!)).toBeUndefined();
    const { message } = sign({ message: QUERY, key, now: 1_000, hmac });
    const read = readMessage(message)!;
    const [tsig] = read.additionals;
    const additionals = (...records: typeof read.additionals) =>
      readTsig({ ...read, additionals: records });
    expect(additionals(tsig!, tsig!)).toBe("malformed");
    expect(additionals(tsig!, { ...tsig!, type: 1 })).toBe("malformed");
    expect(additionals({ ...tsig!, class: 1 })).toBe("malformed");
    expect(additionals({ ...tsig!, ttl: 1 })).toBe("malformed");
    for (let length = 0; length < tsig!.data.length; length++) {
      expect(additionals({ ...tsig!, data: tsig!.data.slice(0, length) })).toBe("malformed");
    }
    expect(readTsig({ ...read, additionals: [], answers: [tsig!] })).toBe("malformed");
  });

  it("is foretold by isSigned()", () => {
    const { message } = sign({ message: QUERY, key, now: 1_000, hmac });
    expect(isSigned(message)).toBe(true);
    expect(isSigned(QUERY)).toBe(false);
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 80 }), fc.nat(message.length), (octets, length) => {
        expect(() => isSigned(octets)).not.toThrow();
        const changed = Uint8Array.from([...message.slice(0, length), ...octets]);
        const read = readMessage(changed);
        if (read && readTsig(read) !== undefined) {
          expect(isSigned(changed)).toBe(read.additionals.at(-1)?.type === 250);
        }
      }),
    );
  });

  it("knows its algorithms", () => {
    expect(Object.keys(ALGORITHMS)).toEqual(["hmac-sha256", "hmac-sha384", "hmac-sha512"]);
  });
});
