import type { Command } from "../command";
import type { Context } from "../context";
import { usage } from "../failure";

const CHALLENGE = [
  { name: "name", doc: "_acme-challenge. and what the certificate is for, without *." },
  { name: "value", doc: "what the certificate authority looks for", verbatim: true },
];
const MAX_TTL_SECONDS = 86_400;

interface Outcome {
  readonly everywhere: boolean;
  /** Name servers that had not said in time that they answer by the change. */
  readonly missing: readonly string[];
}

const lateLine = ({ paint }: Context, { missing }: Outcome): string =>
  missing.length === 0 ? "" : `\n${paint.yellow("not yet at")}: ${missing.join(", ")}`;

const challengePut: Command = {
  name: "dns challenge put",
  doc: "Put a DNS-01 value beside the others of its name, for a certificate",
  args: CHALLENGE,
  options: {
    ttl: { value: "seconds", default: "3600", doc: "how long it stays if nobody removes it" },
  },
  more: [
    "  Every name server answers it when it returns, but for those that it names.",
    "  As certbot's hooks, in quotes, for a name and its wildcard at once:",
    "    --manual-auth-hook    'stele dns challenge put _acme-challenge.$CERTBOT_DOMAIN $CERTBOT_VALIDATION'",
    "    --manual-cleanup-hook 'stele dns challenge rm _acme-challenge.$CERTBOT_DOMAIN $CERTBOT_VALIDATION'",
  ].join("\n"),
  run: async (input, context) => {
    const [name, value] = [input.arg("name"), input.arg("value")];
    const ttlSeconds = input.number("ttl");
    if (ttlSeconds < 1 || ttlSeconds > MAX_TTL_SECONDS) {
      throw usage(`--ttl ${ttlSeconds}: 1 to ${MAX_TTL_SECONDS} seconds are expected`);
    }
    const body = { name, value, ttlSeconds };
    const outcome = await context.api.put<Outcome>("/v1/dns/challenges", body);
    const late = lateLine(context, outcome);
    context.result({ ...body, ...outcome }, () => `${name} TXT "${value}" is answered${late}`);
  },
};

const challengeRm: Command = {
  name: "dns challenge rm",
  doc: "Remove a DNS-01 value",
  args: CHALLENGE,
  run: async (input, context) => {
    const [name, value] = [input.arg("name"), input.arg("value")];
    const query = new URLSearchParams({ name, value });
    const route = `/v1/dns/challenges?${query.toString()}`;
    const outcome = await context.api.delete<Outcome>(route);
    const late = lateLine(context, outcome);
    const removed = { removed: { name, value }, ...outcome };
    context.result(removed, () => `${name} TXT "${value}" is removed${late}`);
  },
};

export const challengeCommands: readonly Command[] = [challengePut, challengeRm];
