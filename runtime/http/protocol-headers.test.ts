import type { IncomingMessage } from "node:http";
import { describe, expect, it } from "vitest";

import { adoptProtocolHeaders } from "./protocol-headers";

type Headers = Record<string, string>;

function adopt(given: Headers): { headers: Headers; raw: string[] } {
  const rawHeaders = Object.entries(given).flat();
  const message = { headers: { ...given }, rawHeaders } as unknown as IncomingMessage;
  adoptProtocolHeaders(message);
  return { headers: message.headers as Headers, raw: message.rawHeaders };
}

const carrying = (headers: unknown): string =>
  `encore.dev.headers.${Buffer.from(JSON.stringify(headers)).toString("base64url")}`;

describe("adoptProtocolHeaders()", () => {
  it("leaves other subprotocols alone", () => {
    const given = { "sec-websocket-protocol": "encore-ws, other" };
    expect(adopt(given).headers).toEqual(given);
    expect(adopt({ host: "h" }).headers).toEqual({ host: "h" });
  });

  it("takes the headers out of the list", () => {
    const carried = carrying({ Authorization: "Bearer x", "x-key": "k" });
    const { headers, raw } = adopt({ "sec-websocket-protocol": `encore-ws, ${carried}, other` });
    expect(headers).toEqual({
      "sec-websocket-protocol": "encore-ws, other",
      authorization: "Bearer x",
      "x-key": "k",
    });
    expect(raw).toEqual(Object.entries(headers).flat());
  });

  it("leaves no list where nothing else was in it", () => {
    const { headers } = adopt({ "sec-websocket-protocol": carrying({}) });
    expect(headers).toEqual({});
  });

  it("adds to a header that is there", () => {
    const given = { "x-key": "one", "sec-websocket-protocol": carrying({ "x-key": "two" }) };
    expect(adopt(given)).toEqual({
      headers: { "x-key": "one, two" },
      raw: ["x-key", "one", "x-key", "two"],
    });
  });

  it.each([
    [carrying({ cookie: "a=b" }), "header cookie not allowed to be set"],
    [carrying({ "SEC-anything": "x" }), "header sec-anything not allowed to be set"],
    [carrying({ "proxy-authorization": "x" }), "header proxy-authorization not allowed to be set"],
    [carrying({ host: "evil" }), "header host not allowed to be set"],
    [carrying({ "a b": "x" }), '"a b" is no name of a header'],
    [carrying({ "x-a": "x\r\nx-b: y" }), "header x-a has no valid value"],
    [carrying({ "x-a": 1 }), "header x-a has no valid value"],
    [carrying(["x"]), "expected an object of headers"],
    [carrying(null), "expected an object of headers"],
    ["encore.dev.headers.e30=", "expected JSON in unpadded URL-safe Base64"],
    ["encore.dev.headers.x", "expected JSON in unpadded URL-safe Base64"],
  ])("refuses %s", (entry, reason) => {
    const refusal = `invalid auth data passed in websocket protocol header: ${reason}`;
    expect(() => adopt({ "sec-websocket-protocol": `encore-ws, ${entry}` })).toThrow(refusal);
  });
});
