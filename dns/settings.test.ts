import { describe, expect, it } from "vitest";

import { readSettings } from "../shared/settings";
import { settings } from "./settings";

describe("the settings", () => {
  it("have defaults that can be read", () => {
    expect(readSettings(settings, {})).toMatchObject({
      zone: "repl.localhost",
      listen: [{ host: "127.0.0.1", port: 5300 }],
      nameServers: [{ host: "ns1" }, { host: "ns2", address: "127.0.0.1" }],
      resolver: undefined,
    });
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
  ])("refuse %s=%j", (name, value) => {
    expect(() => readSettings(settings, { [name]: value })).toThrow(`${name}="${value}": expected`);
  });
});
