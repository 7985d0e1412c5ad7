import { Service } from "encore.dev/service";
import { containers } from "~encore/clients";

import { host } from "../shared/hosting";
import { begin, end } from "./life";

export default new Service("containers");

host({
  service: "containers",
  start: begin,
  drain: end,
  // What a proxy has in flight is in flight at an app.
  drainAfter: ["proxy"],
  lifeline: () => containers.lifeline(),
});
