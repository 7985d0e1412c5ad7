import { describe, expect, it } from "vitest";

import {
  checkAddress,
  checkApiUrl,
  checkClusterId,
  checkHostname,
  checkListen,
  checkPort,
  checkReplName,
} from "./names";

describe("names", () => {
  it.each(["east", "e", "eu-west-1", `a${"b".repeat(30)}`])("%s names a cluster", (id) => {
    expect(checkClusterId(id)).toBeUndefined();
  });

  it.each(["", "East", "1st", "-a", "a_b", "a.b", `a${"b".repeat(31)}`])(
    '"%s" names no cluster',
    (id) => {
      expect(checkClusterId(id)).toContain(`"${id}"`);
    },
  );

  it.each([
    ["hello", "demo"],
    ["h", "d"],
    ["a-b-c", "9"],
    ["x".repeat(32), "y".repeat(29)],
  ])("%s of %s is a repl", (name, owner) => {
    expect(checkReplName(name, owner)).toBeUndefined();
  });

  it.each([
    ["", "demo", "the name"],
    ["Hello", "demo", "the name"],
    ["hello-", "demo", "the name"],
    ["a--b", "demo", "stands between"],
    ["hello", "-demo", "the owner"],
    ["hello", "id", "repl ids"],
    ["x".repeat(33), "demo", "the name"],
    ["x".repeat(32), "y".repeat(32), "at most 63"],
  ])('"%s" of "%s" is no repl', (name, owner, why) => {
    expect(checkReplName(name, owner)).toContain(why);
  });

  it.each(["www.example.com", "a.b", "_dmarc.example.org", "xn--bcher-kva.example"])(
    "%s is a hostname",
    (hostname) => {
      expect(checkHostname(hostname)).toBeUndefined();
    },
  );

  it.each(["", "localhost", "WWW.example.com", "a..b", "a.b.", "-a.b", `${"a.".repeat(127)}bc`])(
    '"%s" is no hostname',
    (hostname) => {
      expect(checkHostname(hostname)).toContain("hostname");
    },
  );

  it.each([
    "127.0.1.1",
    "0.0.0.0",
    "255.255.255.255",
    "::",
    "::1",
    "2001:db8::1",
    "1::",
    "FE80::a",
    "1:2:3:4:5:6:7:8",
    "::ffff:192.0.2.1",
    "1:2:3:4:5:6:192.0.2.1",
  ])("%s is an address", (address) => {
    expect(checkAddress(address)).toBeUndefined();
  });

  it.each([
    "",
    "localhost",
    "1.2.3",
    "1.2.3.4.5",
    "256.1.1.1",
    "01.2.3.4",
    ":::",
    "1::2::3",
    "12345::",
    "1:2:3:4:5:6:7",
    "1:2:3:4:5:6:7:8:9",
    "1:2:3:4:5:6:7::8",
    "1.2.3.4::",
    "::1.2.3.4:5",
    ":1",
    "1:",
  ])('"%s" is no address', (address) => {
    expect(checkAddress(address)).toContain(`"${address}"`);
  });

  it.each(["127.0.1.1:8080", "[::1]:8080", "0.0.0.0:1", "[::]:65535"])(
    "%s can be bound",
    (listen) => {
      expect(checkListen(listen)).toBeUndefined();
    },
  );

  it.each([
    "",
    "8080",
    ":8080",
    "localhost:80",
    "::1:80",
    "127.0.0.1:0",
    "127.0.0.1:65536",
    "[1.2.3.4]:80",
  ])('"%s" cannot be bound', (listen) => {
    expect(checkListen(listen)).toContain(`"${listen}"`);
  });

  it("knows ports and API URLs", () => {
    expect(checkPort(1)).toBeUndefined();
    expect(checkPort(65_535)).toBeUndefined();
    expect(checkPort(0)).toContain("0");
    expect(checkPort(1.5)).toContain("1.5");
    expect(checkApiUrl("https://east.example.com:4000")).toBeUndefined();
    expect(checkApiUrl("http://[::1]:4000")).toBeUndefined();
    expect(checkApiUrl("https://east.example.com/v1")).toContain("without a path");
    expect(checkApiUrl("ftp://east")).toContain("ftp://east");
  });
});
