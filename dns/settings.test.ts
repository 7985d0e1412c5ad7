import { describe, expect, it } from "vitest";

import { readSettings } from "../shared/settings";
import { settings } from "./settings";

const SECRET = "e5e973e5a6b2a43f48e7dc849e37bfcf";

describe("the settings", () => {
  it("have defaults that can be read", () => {
    expect(readSettings(settings, {})).toMatchObject({
      zone: "repl.localhost",
      listen: [{ host: "127.0.0.1", port: 5300 }],
      nameServers: [{ host: "ns1" }, { host: "ns2", address: "127.0.0.1" }],
      resolver: undefined,
    });
  });

  it("say how queries are told from floods, and where TLS is", () => {
    const read = readSettings(settings, {
      STELE_DNS_COOKIE_SECRETS: `${SECRET},${SECRET}`,
      STELE_DNS_RATE_LIMIT_EXEMPT: "192.0.2.0/24,2001:db8::/32",
      STELE_DNS_TLS_LISTEN: "127.0.0.1:853",
    });
    expect(read.cookieSecrets.map(({ length }) => length)).toEqual([16, 16]);
    expect(read.rateLimitExempt.map(({ bits }) => bits)).toEqual([24, 32]);
    expect(read.listenTls).toEqual([{ host: "127.0.0.1", port: 853 }]);
    expect(read.listenHttps).toEqual([]);
  });

  it.each([
    ["STELE_ZONE", "Repl.example"],
    ["STELE_ZONE", "repl.example."],
    ["STELE_ZONE", ""],
    ["STELE_DNS_LISTEN", ""],
    ["STELE_DNS_LISTEN", "0.0.0.0:53"],
    ["STELE_DNS_LISTEN", "127.0.0.1:53,[::]:53"],
    ["STELE_DNS_NAMESERVERS", "ns1"],
    ["STELE_DNS_NAMESERVERS", "ns1=nowhere"],
    ["STELE_DNS_NAMESERVERS", ""],
    ["STELE_DNS_VALIDATION_ZONE", "a b"],
    ["STELE_DNS_RESOLVER", "example.org"],
    ["STELE_DNS_IDENTITY", "naïve"],
    ["STELE_DNS_IDENTITY", "x".repeat(256)],
    ["STELE_DNS_COOKIE_SECRETS", "abcd"],
    ["STELE_DNS_COOKIE_SECRETS", `${SECRET},${SECRET},${SECRET}`],
    ["STELE_DNS_RATE_LIMIT", "-1"],
    ["STELE_DNS_RATE_LIMIT_EXEMPT", "192.0.2.0"],
    ["STELE_DNS_RATE_LIMIT_EXEMPT", "192.0.2.0/33"],
    ["STELE_DNS_TLS_LISTEN", "0.0.0.0:853"],
  ])("refuse %s=%j", (name, value) => {
    expect(() => readSettings(settings, { [name]: value })).toThrow(`${name}="${value}": expected`);
  });
});
