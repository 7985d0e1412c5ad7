import fc from "fast-check";
import { describe, expect, it } from "vitest";

import { normaliseHost, parseHost } from "./hostname";

const ZONE = "repl.test";
const none = { kind: "none" };

describe("normaliseHost()", () => {
  it.each([
    ["A.Example", "a.example"],
    ["a.example:8080", "a.example"],
    ["a.example.", "a.example"],
    ["a.example.:80", "a.example"],
    ["[::1]:8080", "[::1]"],
    ["[::1]", "[::1]"],
    ["", ""],
  ])("%s is %s", (host, expected) => {
    expect(normaliseHost(host)).toBe(expected);
  });
});

describe("parseHost()", () => {
  it.each([
    ["app.demo.repl.test", { kind: "name", name: "app", owner: "demo" }],
    ["app--demo.repl.test", { kind: "name", name: "app", owner: "demo" }],
    ["a-b--c-d.repl.test", { kind: "name", name: "a-b", owner: "c-d" }],
    ["abcdefghijkl.id.repl.test", { kind: "id", replId: "abcdefghijkl" }],
    ["www.example.org", { kind: "hostname", hostname: "www.example.org" }],
    ["example.org", { kind: "hostname", hostname: "example.org" }],
    ["evilrepl.test", { kind: "hostname", hostname: "evilrepl.test" }],
    ["repl.test", none],
    ["app.repl.test", none],
    ["--demo.repl.test", none],
    ["app--.repl.test", none],
    ["a.b.c.repl.test", none],
    ["-a.b.repl.test", none],
    [".b.repl.test", none],
    ["localhost", none],
    ["127.0.0.1", none],
    ["[::1]", none],
    ["", none],
    ["a..b", none],
  ])("%s", (hostname, expected) => {
    expect(parseHost(hostname, ZONE)).toEqual(expected);
  });

  it("is total", () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        expect(parseHost(normaliseHost(text), ZONE).kind).toMatch(/^(id|name|hostname|none)$/);
      }),
    );
  });
});
