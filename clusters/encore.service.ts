import { Service } from "encore.dev/service";
import { clusters } from "~encore/clients";

import { deploymentKey } from "../shared/channel/settings";
import { host, registerReadiness } from "../shared/hosting";
import type { Listener } from "../shared/listener";
import { prepareToken } from "./auth";
import * as store from "./store";
import { listenToLog } from "./tail";

export default new Service("clusters");

let listener: Listener | undefined;

host({
  service: "clusters",
  start: async () => {
    listener = listenToLog();
    registerReadiness("clusters", store.whyUnready);
    await prepareToken();
    // Read here, so that a bad key ends the start and not the first command.
    deploymentKey();
  },
  drain: async () => listener?.close(),
  lifeline: () => clusters.lifeline(),
});
