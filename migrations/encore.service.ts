import { Service } from "encore.dev/service";
import { migrations } from "~encore/clients";

import { host, registerReadiness } from "../shared/hosting";
import * as store from "./store";
import { startSweep, stopSweep } from "./sweep";

export default new Service("migrations");

host({
  service: "migrations",
  start: async () => {
    registerReadiness("migrations", store.whyUnready);
    startSweep();
  },
  drain: stopSweep,
  lifeline: () => migrations.lifeline(),
});
