import { domainToUnicode } from "node:url";

import { path } from "../api-client";
import type { Domain, Items, Rrset, Zone } from "../api-types";
import { findApp } from "../apps";
import type { Command } from "../command";
import type { Context } from "../context";
import { Failure, usage } from "../failure";
import { columns, table } from "../format";

const HOSTNAME = { name: "hostname", doc: "such as www.example.com" };
const TTL = "60";
const MAX_STRING_BYTES = 255;
const RECORD_ARGS = [
  { name: "name", doc: "such as www, or @ for the zone itself, or a whole name" },
  { name: "type", doc: "A, AAAA, CNAME, TXT, MX, CAA, …; ALIAS for the addresses of an app" },
];
const ZONE = { zone: { value: "zone", doc: "which zone, where there are several" } };

const domainAdd: Command = {
  name: "domain add",
  doc: "Give an app a domain of your own",
  args: [HOSTNAME, { name: "app", doc: "name.owner, a name, or an id", optional: true }],
  options: { app: { value: "app", doc: "the same" } },
  more: "  Prints what to put into the DNS; domain verify looks whether it is there.",
  run: async (input, context) => {
    const wanted = input.text("app") ?? input.arg("app");
    if (wanted === "") throw usage("<app> is missing: stele domain add <hostname> <app>");
    const app = await findApp(context.api, wanted);
    const body = { hostname: input.arg("hostname"), replId: app.id };
    const domain = await context.api.post<Domain>("/v1/domains", body);
    context.result(domain, () => tellDomain(context, domain));
  },
};

function tellDomain({ paint }: Context, domain: Domain): string {
  const { hostname, target, zone, status, proofName, proof, addresses } = domain;
  if (status === "active") return `${hostname} is ${paint.green("active")}: it leads to the app`;
  if (zone !== null) {
    return [
      `${hostname} is in ${zone}, a zone of ours. Lead it to the app, wherever that moves:`,
      "",
      `  ${paint.bold(`stele dns set ${hostname}. ALIAS ${target}`)}`,
      "",
      `Then: stele domain verify ${hostname}`,
    ].join("\n");
  }
  const isIpv6 = (address: string): boolean => address.includes(":");
  return [
    `Make this record where ${hostname} is kept:`,
    "",
    `  ${paint.bold(`${hostname}. CNAME ${target}.`)}`,
    "",
    "Or these where no CNAME can stand, as at a zone's own name. After a move they lead to where the",
    "app was, from where visitors are forwarded:",
    "",
    `  ${proofName}. TXT "${proof}"`,
    ...addresses.map((address) => `  ${hostname}. ${isIpv6(address) ? "AAAA" : "A"} ${address}`),
    "",
    "For certificates by DNS-01, if you want them from here:",
    "",
    `  _acme-challenge.${hostname}. CNAME _acme-challenge.${target}.`,
    "",
    `Then: stele domain verify ${hostname}`,
  ].join("\n");
}

const domainVerify: Command = {
  name: "domain verify",
  doc: "Look whether a domain leads here, and serve it",
  args: [HOSTNAME],
  run: async (input, context) => {
    const hostname = input.arg("hostname");
    const domain = await context.api.post<Domain>(path`/v1/domains/${hostname}/verify`, {});
    context.result(domain, () => tellDomain(context, domain));
    if (domain.status !== "active") {
      throw new Failure(
        `${hostname} does not lead here yet: ${domain.reason ?? "no reason given"}`,
      );
    }
  },
};

const domainLs: Command = {
  name: "domain ls",
  doc: "List the domains",
  run: async (_input, context) => {
    const { items } = await context.api.get<Items<Domain>>("/v1/domains");
    context.result({ items }, () =>
      items.length === 0
        ? "No domains: stele domain add <hostname> <app> makes one"
        : table(
            ["DOMAIN", "STATUS", "CNAME OF"],
            items.map(({ hostname, status, target }) => [hostname, status, target]),
          ),
    );
  },
};

const domainRm: Command = {
  name: "domain rm",
  doc: "Take a domain away",
  args: [HOSTNAME],
  run: async (input, context) => {
    const hostname = input.arg("hostname");
    await context.api.delete(path`/v1/domains/${hostname}`);
    context.result({ removed: hostname }, () => `${hostname} is removed`);
  },
};

const dnsSet: Command = {
  name: "dns set",
  doc: "Set all records of a name and type",
  args: [
    ...RECORD_ARGS,
    { name: "value", doc: "a record's data, as in a zone file", repeated: true },
  ],
  options: {
    ttl: { value: "seconds", default: TTL, doc: "how long resolvers may keep it" },
    ...ZONE,
  },
  more: [
    "  stele dns set www TXT one 'and another'                    sets two records",
    "  stele dns set example.org. ALIAS hello.demo.repl.localhost  leads a zone's own name to an app",
  ].join("\n"),
  run: async (input, context) => {
    const { zone, name } = await placeName(context, input.arg("name"), input.text("zone"));
    const type = input.arg("type").toUpperCase();
    const values = type === "TXT" ? input.rest.map(quoted) : input.rest;
    const body = { ttl: input.number("ttl"), values };
    const route = path`/v1/dns/zones/${zone}/rrsets/${name}/${type}`;
    await context.api.put(route, body);
    const rrset = { name, type, ...body };
    context.result(rrset, () => renderRrsets([rrset]));
  },
};

const dnsRm: Command = {
  name: "dns rm",
  doc: "Remove all records of a name and type",
  args: RECORD_ARGS,
  options: ZONE,
  run: async (input, context) => {
    const { zone, name } = await placeName(context, input.arg("name"), input.text("zone"));
    const type = input.arg("type").toUpperCase();
    await context.api.delete(path`/v1/dns/zones/${zone}/rrsets/${name}/${type}`);
    context.result(
      { removed: { zone, name, type } },
      () => `${name} ${type} in ${zone} is removed`,
    );
  },
};

const dnsLs: Command = {
  name: "dns ls",
  doc: "List the records of every zone, or of one; those of apps are left out",
  options: ZONE,
  run: async (input, context) => {
    const wanted = input.text("zone");
    const zones = (await zoneNames(context)).filter(
      (zone) => wanted === undefined || zone === wanted,
    );
    const items = await Promise.all(
      zones.map(async (zone) => {
        const { items: rrsets } = await context.api.get<Items<Rrset>>(
          path`/v1/dns/zones/${zone}/rrsets`,
        );
        return { zone, rrsets };
      }),
    );
    context.result({ items }, () =>
      items
        .map(({ zone, rrsets }) => {
          const records = rrsets.length === 0 ? "  no records" : renderRrsets(rrsets);
          return `${context.paint.bold(zone)}\n${records}`;
        })
        .join("\n\n"),
    );
  },
};

/** A text as a zone file has it: in quotes, in parts of 255 bytes (RFC 1035 sections 3.3.14, 5.1). */
export function quoted(text: string): string {
  if (text.startsWith('"')) return text;
  const bytes = Buffer.from(text, "utf8");
  const parts: string[] = [];
  for (let at = 0; at === 0 || at < bytes.length; at += MAX_STRING_BYTES) {
    parts.push(`"${Array.from(bytes.subarray(at, at + MAX_STRING_BYTES), presented).join("")}"`);
  }
  return parts.join(" ");
}

function presented(byte: number): string {
  const character = String.fromCharCode(byte);
  if (character === '"' || character === "\\") return `\\${character}`;
  return byte >= 0x20 && byte < 0x7f ? character : `\\${String(byte).padStart(3, "0")}`;
}

function renderRrsets(rrsets: readonly Rrset[]): string {
  return columns(
    rrsets.flatMap(({ name, type, ttl, values }) =>
      values.map((value) => [`  ${name}`, String(ttl), type, value]),
    ),
  );
}

async function zoneNames({ api }: Context): Promise<readonly string[]> {
  const { items } = await api.get<Items<Zone>>("/v1/dns/zones");
  return items.map(({ name }) => name);
}

/** The zone that `name` is in, and the name as the API wants it. */
async function placeName(
  context: Context,
  name: string,
  asked: string | undefined,
): Promise<{ zone: string; name: string }> {
  return placeIn(asked === undefined ? await zoneNames(context) : [asked], name);
}

/** A whole name goes to the closest zone that ends it; a relative one to the only zone. */
export function placeIn(zones: readonly string[], name: string): { zone: string; name: string } {
  const bare = name.toLowerCase().replace(/\.$/, "");
  // A zone may be written in its own letters; the API knows the rest of the name in them too.
  const enclosing = zones
    .flatMap((zone) => [zone, domainToUnicode(zone)].map((form) => ({ zone, form })))
    .filter(({ form }) => bare === form || bare.endsWith(`.${form}`))
    .sort((a, b) => b.zone.length - a.zone.length)[0];
  if (enclosing !== undefined) {
    const { zone, form } = enclosing;
    return { zone, name: bare === form ? "@" : bare.slice(0, -form.length - 1) };
  }
  const [only] = zones;
  if (only === undefined) throw new Failure("there is no zone", 1, "not_found");
  if (name.endsWith(".")) {
    throw new Failure(`"${name}" is in no zone of ours: ${zones.join(", ")}`, 1, "not_found");
  }
  if (zones.length > 1) throw new Failure(`--zone is missing: ${zones.join(", ")}`, 2);
  return { zone: only, name: bare };
}

export const nameCommands: readonly Command[] = [
  domainAdd,
  domainVerify,
  domainLs,
  domainRm,
  dnsSet,
  dnsRm,
  dnsLs,
];
