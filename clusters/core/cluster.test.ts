import { describe, expect, it } from "vitest";

import { applyChange, checkCluster, type ClusterRecord, isSameRegistration } from "./cluster";

const east: ClusterRecord = {
  id: "east",
  state: "active",
  ingress: ["127.0.1.1"],
  httpPort: 8080,
  listen: ["127.0.1.1:8080", "[::1]:8080"],
  apiUrl: null,
  publicKey: null,
  removed: false,
};

describe("cluster", () => {
  it("is without fault as npm start makes it", () => {
    expect(checkCluster(east)).toBeUndefined();
    const publicKey = Buffer.alloc(32, 7).toString("base64url");
    const apiUrl = "https://east.example.com";
    expect(checkCluster({ ...east, apiUrl, publicKey })).toBeUndefined();
  });

  it.each<[Partial<ClusterRecord>, string]>([
    [{ id: "East" }, '"East"'],
    [{ ingress: [] }, "without an ingress"],
    [{ ingress: ["127.0.1.1", "east"] }, '"east"'],
    [{ httpPort: 0 }, "port"],
    [{ listen: ["nowhere"] }, '"nowhere"'],
    [{ listen: ["[::1]:80", "[::1]:80"] }, "twice"],
    [{ apiUrl: "east" }, '"east"'],
    [{ apiUrl: "https://east.example.com" }, "without its public key"],
    [{ publicKey: "AAAA" }, "no API URL"],
  ])("%o is a fault", (change, why) => {
    expect(checkCluster({ ...east, ...change })).toContain(why);
  });

  it("keeps what a change leaves out", () => {
    expect(applyChange(east, { state: "cordoned" })).toEqual({ ...east, state: "cordoned" });
    expect(applyChange(east, { ingress: ["192.0.2.1"] }).listen).toEqual(east.listen);
  });

  it("is registered again by the same addresses, whatever its state", () => {
    expect(isSameRegistration({ ...east, state: "cordoned" }, east)).toBe(true);
    expect(isSameRegistration({ ...east, httpPort: 80 }, east)).toBe(false);
    expect(isSameRegistration({ ...east, listen: [] }, east)).toBe(false);
    expect(isSameRegistration({ ...east, ingress: ["192.0.2.1"] }, east)).toBe(false);
    expect(isSameRegistration({ ...east, apiUrl: "http://east" }, east)).toBe(false);
  });
});
