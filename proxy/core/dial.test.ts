import { describe, expect, it } from "vitest";

import { mayDial } from "./dial";

describe("mayDial()", () => {
  it.each(["127.0.0.1", "127.0.2.1", "10.1.2.3", "192.0.2.1", "::1", "2001:db8::1"])(
    "%s: yes",
    (host) => expect(mayDial(host, 80)).toBe(true),
  );

  it.each([
    "localhost",
    "example.org",
    "",
    "0.0.0.0",
    "169.254.169.254",
    "224.0.0.1",
    "255.255.255.255",
    "256.1.1.1",
    "1.2.3",
    "::",
    "fe80::1",
    "ff02::1",
    "fd00:ec2::254",
    "127.0.0.1:80",
    "0x7f.1",
  ])("%s: no", (host) => expect(mayDial(host, 80)).toBe(false));

  it.each([0, -1, 65_536, 1.5, Number.NaN])("port %d: no", (port) => {
    expect(mayDial("127.0.0.1", port)).toBe(false);
  });
});
