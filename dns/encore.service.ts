import { Service } from "encore.dev/service";
import { dns } from "~encore/clients";

import { host } from "../shared/hosting";
import { drain, start } from "./life";

export default new Service("dns");

host({ service: "dns", start, drain, lifeline: () => dns.lifeline() });
