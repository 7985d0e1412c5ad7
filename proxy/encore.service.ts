import { Service } from "encore.dev/service";
import { proxy } from "~encore/clients";

import { host, registerReadiness } from "../shared/hosting";
import { closeFleet, openFleet, whyUnready } from "./fleet";

export default new Service("proxy");

host({
  service: "proxy",
  start: async () => {
    registerReadiness("proxy", async () => whyUnready());
    await openFleet();
  },
  drain: closeFleet,
  lifeline: () => proxy.lifeline(),
});
