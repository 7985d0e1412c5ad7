import { describe, expect, it } from "vitest";

import { choosePort, holderOf, type ListeningSocket } from "./ports";

const own = (address: string, port: number): ListeningSocket => ({ address, port, own: true });
const foreign = (address: string, port: number): ListeningSocket => ({ address, port, own: false });

describe("choosePort", () => {
  it.each<[string, ListeningSocket[], string | null]>([
    ["nothing listens", [], null],
    ["the given port", [own("0.0.0.0", 3000), own("127.0.0.1", 20001)], "127.0.0.1:20001"],
    ["a fixed port", [own("0.0.0.0", 3000)], "127.0.0.1:3000"],
    ["IPv6 only", [own("::1", 3000)], "::1:3000"],
    ["IPv4 before IPv6", [own("::1", 3000), own("127.0.0.1", 3000)], "127.0.0.1:3000"],
    ["the lowest chosen port", [own("0.0.0.0", 40000), own("0.0.0.0", 8000)], "127.0.0.1:8000"],
    ["an ephemeral port, if it is all", [own("0.0.0.0", 40000)], "127.0.0.1:40000"],
    ["no debugger", [own("127.0.0.1", 9229)], null],
    ["nobody else's", [foreign("0.0.0.0", 3000)], null],
    ["no outside address", [own("192.0.2.1", 3000)], null],
  ])("%s", (_what, sockets, expected) => {
    const chosen = choosePort(sockets, 20001);
    expect(chosen ? `${chosen.host}:${chosen.port}` : null).toBe(expected);
  });
});

describe("holderOf", () => {
  const loopback = { host: "127.0.0.1", port: 20001 };

  it.each<[string, ListeningSocket[], string]>([
    ["nobody", [own("127.0.0.1", 3000)], "none"],
    ["own", [own("127.0.0.1", 20001)], "own"],
    ["own through the wildcard", [own("0.0.0.0", 20001)], "own"],
    ["own through a dual-stack socket", [own("::", 20001)], "own"],
    ["foreign", [foreign("0.0.0.0", 20001)], "foreign"],
    ["foreign, since it is more exact", [own("::", 20001), foreign("127.0.0.1", 20001)], "foreign"],
    ["own, since it is more exact", [foreign("0.0.0.0", 20001), own("127.0.0.1", 20001)], "own"],
    ["nobody: IPv6 loopback is elsewhere", [own("::1", 20001)], "none"],
  ])("%s", (_what, sockets, expected) => {
    expect(holderOf(loopback, sockets)).toBe(expected);
  });
});
