import { describe, expect, test } from "vitest";
import type { EndpointModel } from "../app-model";
import { Router } from "./router";

function endpoint(path: string, ...methods: string[]): EndpointModel {
  return {
    service: "s",
    name: path,
    kind: "typed",
    at: { file: "s/api.ts", line: 1 },
    expose: true,
    auth: false,
    sensitive: false,
    tags: [],
    methods: methods.length === 0 ? ["GET"] : methods,
    path,
    bodyLimit: null,
    request: null,
    response: null,
    handshake: null,
    assets: null,
  };
}

function routed(paths: readonly string[], path: string, method = "GET"): unknown {
  const match = new Router(paths.map((one) => endpoint(one))).match(method, path);
  return match.kind === "found" ? [match.endpoint.path, match.params] : match.kind;
}

describe("a path", () => {
  const paths = ["/v1/a", "/v1/:id", "/v1/:id/more", "/w/*rest", "/"];

  test.each([
    ["/v1/a", ["/v1/a", {}]],
    ["/v1/b", ["/v1/:id", { id: "b" }]],
    ["/v1/a/more", ["/v1/:id/more", { id: "a" }]],
    ["/v1/b/", ["/v1/:id", { id: "b" }]],
    ["/w/x/y", ["/w/*rest", { rest: "x/y" }]],
    ["/w/", ["/w/*rest", { rest: "" }]],
    ["/", ["/", {}]],
    ["/w", "none"],
    ["/v1/", "none"],
    ["/v1//more", "none"],
    ["//v1/a", "none"],
    ["/v1/a%2Fb", ["/v1/:id", { id: "a%2Fb" }]],
    ["http://a.example/v1/a", "none"],
    ["*", "none"],
  ])("%s leads to %j", (path, expected) => {
    expect(routed(paths, path)).toEqual(expected);
  });
});

describe("a fallback", () => {
  const paths = ["/v1/:id", "/!rest"];

  test("takes what nothing else knows", () => {
    expect(routed(paths, "/x/y")).toEqual(["/!rest", { rest: "x/y" }]);
    expect(routed(paths, "/")).toEqual(["/!rest", { rest: "" }]);
  });

  test("does not take a known path with another method", () => {
    expect(routed(paths, "/v1/a", "DELETE")).toBe("wrongMethod");
  });
});

describe("methods", () => {
  test("of one path may belong to different endpoints", () => {
    const router = new Router([endpoint("/a/:x", "GET"), endpoint("/a/:y", "PUT", "DELETE")]);
    const match = router.match("DELETE", "/a/1");
    expect(match).toMatchObject({ kind: "found", params: { y: "1" } });
    expect(router.match("POST", "/a/1")).toEqual({
      kind: "wrongMethod",
      allowed: ["GET", "HEAD", "PUT", "DELETE"],
    });
  });

  test("HEAD runs a GET endpoint", () => {
    expect(routed(["/a"], "/a", "HEAD")).toEqual(["/a", {}]);
  });

  test("* is every method", () => {
    const router = new Router([endpoint("/a", "*")]);
    expect(router.match("PATCH", "/a").kind).toBe("found");
  });
});
