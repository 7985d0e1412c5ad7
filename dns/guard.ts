import { randomBytes } from "node:crypto";

import { SECRET_OCTETS } from "./core/cookies";
import type { Guard } from "./protocol";
import type { config } from "./settings";

/** What the settings say of it; secrets that they do not say are this process's own. */
export function guard(settings: ReturnType<typeof config>): Guard {
  const { identity, cookieSecrets, rateLimit, rateLimitExempt } = settings;
  const limits = {
    perSecond: rateLimit,
    exempt: rateLimitExempt,
    seed: randomBytes(4).readInt32LE(),
  };
  return {
    identity,
    secrets: cookieSecrets.length > 0 ? cookieSecrets : [randomBytes(SECRET_OCTETS)],
    rateLimits: rateLimit === 0 ? undefined : limits,
  };
}
