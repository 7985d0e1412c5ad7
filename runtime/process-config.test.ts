import { describe, expect, it } from "vitest";

import { parseInfraConfig } from "./infra-config";
import { withProcessConfig } from "./process-config";

const infra = parseInfraConfig({
  hosted_services: ["a", "b"],
  hosted_gateways: ["api-gateway"],
  cors: {},
  service_discovery: { c: { base_url: "http://c:8080" } },
});

const given = (json: unknown): NodeJS.ProcessEnv => ({
  ENCORE_PROCESS_CONFIG: Buffer.from(JSON.stringify(json)).toString("base64"),
});

describe("ENCORE_PROCESS_CONFIG", () => {
  it("narrows what is hosted, and says where the rest is", () => {
    const json = { hosted_services: ["a"], hosted_gateways: [], local_service_ports: { b: 4001 } };
    expect(withProcessConfig(infra, given(json))).toMatchObject({
      hostedServices: ["a"],
      hostedGateways: [],
      serviceDiscovery: {
        b: { baseUrl: "http://127.0.0.1:4001", auth: null },
        c: { baseUrl: "http://c:8080" },
      },
    });
  });

  it("changes nothing where it is not set", () => {
    expect(withProcessConfig(infra, {})).toBe(infra);
  });

  it.each([
    [
      { hosted_services: ["a"], hosted_gateways: ["other"], local_service_ports: { b: 70000 } },
      /names "other", which the infra config does not; local_service_ports.b is 70000/,
    ],
    [{ hosted_services: "a" }, /hosted_services is "a".*hosted_gateways is missing/],
    [{ hosted_services: [], hosted_gateways: [], ports: {} }, /ports is not known/],
  ])("refuses %j", (json, message) => {
    expect(() => withProcessConfig(infra, given(json))).toThrow(message);
  });

  it("refuses what is no JSON", () => {
    expect(() => withProcessConfig(infra, { ENCORE_PROCESS_CONFIG: "{}" })).toThrow(
      /"ENCORE_PROCESS_CONFIG": is not JSON in base64/,
    );
  });
});
