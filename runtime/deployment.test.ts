import { describe, expect, it } from "vitest";

import type { AppModel } from "./app-model";
import { Deployment } from "./deployment";
import { parseInfraConfig } from "./infra-config";

const model = {
  services: [{ name: "a" }, { name: "b" }],
  endpoints: [
    { service: "a", expose: false },
    { service: "b", expose: true },
  ],
  subscriptions: [
    { topic: "t", name: "a-t", service: "a" },
    { topic: "t", name: "b-t", service: "b" },
  ],
} as unknown as AppModel;

const deployment = (json: object): Deployment => new Deployment(model, parseInfraConfig(json, {}));

const topics = {
  pubsub: [
    {
      type: "nsq",
      hosts: "",
      topics: { t: { name: "p", subscriptions: { "a-t": { name: "pa" }, "b-t": { name: "pb" } } } },
    },
  ],
};

describe("what a process hosts", () => {
  it("is everything, with the gateway, where nothing is said", () => {
    const all = deployment({});
    expect([all.gateway, all.isHosted("a"), all.isHosted("b")]).toEqual([
      "api-gateway",
      true,
      true,
    ]);
    expect([all.faults(), all.notices()]).toEqual([[], []]);
  });

  it("must exist", () => {
    expect(deployment({ hosted_services: ["c"] }).faults()).toEqual([
      'hosted_services names "c", which is no service: expected some of a, b',
    ]);
    const cors = { hosted_gateways: ["front"], cors: {} };
    expect(deployment(cors).faults()).toEqual([
      'hosted_gateways names "front": expected "api-gateway", or nothing',
    ]);
  });

  it("says which subscriptions are consumed: those of hosted services that are listed", () => {
    const part = deployment({ ...topics, hosted_services: ["b"] });
    expect(part.consuming().topics).toEqual({
      t: { name: "p", subscriptions: { "b-t": { name: "pb" } } },
    });
    expect(part.notices()).toEqual([
      'subscription "a-t" is not consumed here: this process does not host "a"',
    ]);
  });

  it("warns where strangers may pass as services", () => {
    const open = { hosted_services: ["a"], hosted_gateways: [] };
    expect(deployment(open).notices()).toEqual([expect.stringMatching(/has no auth keys$/)]);
    const auth = [{ type: "key", id: 1, key: "k" }];
    expect(deployment({ ...open, auth }).notices()).toEqual([]);
    expect(deployment({ ...open, hosted_services: ["b"] }).notices()).toEqual([]);
  });
});
