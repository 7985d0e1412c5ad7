import type { Explained, LookUp } from "../api-types";
import type { Command } from "../command";
import type { Context } from "../context";
import { dig, type Dug, type DugRecord, serverAddress } from "../dig";
import { Failure } from "../failure";
import { columns, type Palette } from "../format";

const digCommand: Command = {
  name: "dig",
  doc: "Ask the name server for a name, and say why it answers so",
  args: [
    { name: "name", doc: "a whole name, such as hello.demo.repl.localhost" },
    { name: "type", doc: "A, AAAA, TXT, … (default: A)", optional: true },
  ],
  options: { server: { value: "address", doc: "another name server, such as 192.0.2.1:53" } },
  more: "  Asks over UDP, and over TCP when the answer is truncated. The reasons are the API's.",
  run: async (input, context) => {
    const name = input.arg("name");
    const type = (input.arg("type") || "A").toUpperCase();
    const server = serverAddress(input.text("server") ?? context.dnsServer);
    const dug = await dig(server, name, type);
    const explained = await explanation(context, name, type);
    context.result({ ...dug, explained }, () => renderDug(context.paint, dug, explained));
  },
};

/** Null, with a reason, where the API does not explain: what the wire said is worth showing. */
async function explanation({ api }: Context, name: string, type: string) {
  try {
    return await api.get<Explained>("/v1/dns/explain", { query: { name, type } });
  } catch (error) {
    if (error instanceof Failure) return error.message;
    throw error;
  }
}

export function renderDug(paint: Palette, dug: Dug, explained: Explained | string): string {
  const { rcode, flags, transport, octets, ms, server, nsid } = dug;
  const status = rcode === "NOERROR" ? paint.green(rcode) : paint.yellow(rcode);
  const head = `;; ${status}, flags: ${flags.join(" ")}; ${octets} octets over ${transport} in ${ms.toFixed(1)} ms`;
  const from = `;; from ${server}${nsid === null ? "" : `, which calls itself "${nsid}"`}`;
  const sections = [
    ...section("ANSWER", dug.answers),
    ...section("AUTHORITY", dug.authorities),
    ...section("ADDITIONAL", dug.additionals),
  ];
  return [[head, from].join("\n"), ...sections, why(paint.bold, dug, explained)].join("\n\n");
}

function section(title: string, records: readonly DugRecord[]): string[] {
  if (records.length === 0) return [];
  const rows = records.map(({ name, ttl, type, data }) => [name, String(ttl), "IN", type, data]);
  return [`;; ${title}\n${columns(rows)}`];
}

function why(bold: (text: string) => string, dug: Dug, explained: Explained | string): string {
  if (typeof explained === "string") return `Not explained: ${explained}`;
  const { steps, result, instanceId, seq, rcode } = explained;
  const lines = steps.flatMap((step) => explainStep(bold, step));
  lines.push(RESULTS[result]);
  if (!dug.rcode.startsWith(rcode)) {
    lines.push(
      `That is ${rcode}, and not what was answered: ${dug.server} is behind, or another's.`,
    );
  }
  lines.push(`Explained by ${instanceId}, at sequence ${seq} of the placement log.`);
  return lines.join("\n");
}

const RESULTS: Readonly<Record<Explained["result"], string>> = {
  answer: "So these records are the answer.",
  nodata: "So the name exists, without records of this type.",
  nxdomain: "So there is no such name.",
  referral: "So others are to be asked.",
  elsewhere: "So the rest is to be asked elsewhere: it is in no zone of ours.",
  loop: "So nothing is at the end: the aliases lead in a circle, or are too many.",
  refused: "It is in no zone of ours, so it is refused.",
};

function explainStep(bold: (text: string) => string, step: LookUp): string[] {
  const { name, zone, serial, target, repl } = step;
  const lines = [`${bold(name)} is in zone ${zone}, serial ${serial}: ${found(step)}`];
  if (repl) {
    const { id, clusterId, generation } = repl;
    lines.push(
      `  app ${bold(`${repl.name}.${repl.owner}`)}, id ${id}, lives in cluster ${bold(clusterId)}, generation ${generation}`,
    );
  }
  if (target !== null) lines.push(`  an alias of ${target}`);
  return lines;
}

function found({ how, at, types, target }: LookUp): string {
  const held = types.length > 0 ? types.join(", ") : "no records";
  switch (how) {
    case "repl":
      return `the name of an app, with ${held}`;
    case "records":
      return `a name of the zone, with ${held}`;
    case "challenge":
      return target === null ? `DNS-01, with ${held}` : "DNS-01, answered in the validation zone";
    case "wildcard":
      return `the wildcard ${at} stands in, with ${held}`;
    case "empty":
      return "a name that exists because of others below it";
    case "delegation":
      return `${at} is delegated to others`;
    case "nothing":
      return `nothing is there; the closest name above it is ${at}`;
  }
}

export const digCommands: readonly Command[] = [digCommand];
