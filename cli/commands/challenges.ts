import type { Command } from "../command";
import { usage } from "../failure";

const CHALLENGE = [
  { name: "name", doc: "_acme-challenge. and what the certificate is for, without *." },
  { name: "value", doc: "what the certificate authority looks for", verbatim: true },
];
const MAX_TTL_SECONDS = 86_400;

const challengePut: Command = {
  name: "dns challenge put",
  doc: "Put a DNS-01 value beside the others of its name, for a certificate",
  args: CHALLENGE,
  options: {
    ttl: { value: "seconds", default: "3600", doc: "how long it stays if nobody removes it" },
  },
  more: [
    "  Answered when it returns. As certbot's hooks, in quotes, for a name and its wildcard at once:",
    "    --manual-auth-hook    'stele dns challenge put _acme-challenge.$CERTBOT_DOMAIN $CERTBOT_VALIDATION'",
    "    --manual-cleanup-hook 'stele dns challenge rm _acme-challenge.$CERTBOT_DOMAIN $CERTBOT_VALIDATION'",
  ].join("\n"),
  run: async (input, context) => {
    const [name, value] = [input.arg("name"), input.arg("value")];
    const ttlSeconds = input.number("ttl");
    if (ttlSeconds < 1 || ttlSeconds > MAX_TTL_SECONDS) {
      throw usage(`--ttl ${ttlSeconds}: 1 to ${MAX_TTL_SECONDS} seconds are expected`);
    }
    await context.api.post("/v1/dns/challenges", { name, value, ttlSeconds });
    context.result({ name, value, ttlSeconds }, () => `${name} TXT "${value}" is answered`);
  },
};

const challengeRm: Command = {
  name: "dns challenge rm",
  doc: "Remove a DNS-01 value",
  args: CHALLENGE,
  run: async (input, context) => {
    const [name, value] = [input.arg("name"), input.arg("value")];
    const query = new URLSearchParams({ name, value });
    await context.api.delete(`/v1/dns/challenges?${query.toString()}`);
    context.result({ removed: { name, value } }, () => `${name} TXT "${value}" is removed`);
  },
};

export const challengeCommands: readonly Command[] = [challengePut, challengeRm];
