import { path } from "../api-client";
import type { DnsKey, Items, NewDnsKey, Secondary } from "../api-types";
import type { Command } from "../command";
import { usage } from "../failure";
import { table } from "../format";

const NAME = { name: "key", doc: "its name, such as ns2.example.org" };
const ALL = "*";
const ZONE_AND_ADDRESS = [
  { name: "zone", doc: "such as example.org" },
  { name: "address", doc: "of the name server, such as 192.0.2.1:53" },
];

/** What is between commas; `fallback` when the option was not given. */
const list = (text: string | undefined, fallback: readonly string[]): readonly string[] =>
  text === undefined ? fallback : text.split(",").map((part) => part.trim());

const dnsKeysAdd: Command = {
  name: "dns-keys add",
  doc: "Make a key for a secondary, or for a tool that updates zones",
  args: [NAME],
  options: {
    zones: { value: "zones", default: ALL, doc: "where it counts, between commas" },
    transfer: { doc: "may transfer the zones (AXFR)" },
    update: { doc: "may update them (RFC 2136)" },
    names: { value: "names", doc: "names that it may update; one * stands for labels (all)" },
    types: { value: "types", doc: "types that it may update (all)" },
    algorithm: { value: "name", default: "hmac-sha256", doc: "or hmac-sha384, hmac-sha512" },
    secret: { value: "base64", doc: "a secret that is there already" },
  },
  more: [
    "  stele dns-keys add ns2 --transfer                                          for a secondary",
    "  stele dns-keys add certbot --update --names '_acme-challenge.*' --types TXT  for certificates",
  ].join("\n"),
  run: async (input, context) => {
    const [transfer, update] = [input.isOn("transfer"), input.isOn("update")];
    if (!transfer && !update)
      throw usage("--transfer or --update is missing: the key could do nothing");
    const secret = input.text("secret");
    const key = await context.api.post<NewDnsKey>("/v1/dns/keys", {
      name: input.arg("key"),
      algorithm: input.text("algorithm"),
      transfer,
      update,
      zones: list(input.text("zones"), [ALL]),
      names: update ? list(input.text("names"), [ALL]) : [],
      types: update ? list(input.text("types"), [ALL]) : [],
      ...(secret === undefined ? {} : { secret }),
    });
    context.result(key, () =>
      [
        `${key.name} is made. Its secret is shown only now:`,
        "",
        `  ${context.paint.bold(`${key.algorithm}:${key.name}:${key.secret}`)}`,
        "",
        "as dig -y and nsupdate -y take it.",
      ].join("\n"),
    );
  },
};

const dnsKeysLs: Command = {
  name: "dns-keys ls",
  doc: "List the keys and what they may do",
  run: async (_input, context) => {
    const { items } = await context.api.get<Items<DnsKey>>("/v1/dns/keys");
    context.result({ items }, () =>
      items.length === 0
        ? "No keys: stele dns-keys add makes one"
        : table(
            ["KEY", "ALGORITHM", "MAY", "ZONES", "NAMES", "TYPES"],
            items.map(({ name, algorithm, transfer, update, zones, names, types }) => [
              name,
              algorithm,
              [...(transfer ? ["transfer"] : []), ...(update ? ["update"] : [])].join(","),
              zones.join(","),
              names.join(",") || "-",
              types.join(",") || "-",
            ]),
          ),
    );
  },
};

const dnsKeysRm: Command = {
  name: "dns-keys rm",
  doc: "Remove a key: nothing that it signs is answered any more",
  args: [NAME],
  run: async (input, context) => {
    const key = input.arg("key");
    await context.api.delete(path`/v1/dns/keys/${key}`);
    context.result({ removed: key }, () => `${key} is removed`);
  },
};

const secondariesAdd: Command = {
  name: "secondaries add",
  doc: "Tell a name server of each change of a zone (NOTIFY)",
  args: [...ZONE_AND_ADDRESS, NAME],
  run: async (input, context) => {
    const [zone, address, key] = [input.arg("zone"), input.arg("address"), input.arg("key")];
    const route = path`/v1/dns/zones/${zone}/secondaries/${address}`;
    const secondary = await context.api.put<Secondary>(route, { key });
    context.result(secondary, () => `${address} is told of each change of ${zone}`);
  },
};

const secondariesLs: Command = {
  name: "secondaries ls",
  doc: "List the name servers that are told of changes",
  run: async (_input, context) => {
    const { items } = await context.api.get<Items<Secondary>>("/v1/dns/secondaries");
    context.result({ items }, () =>
      items.length === 0
        ? "No secondaries: stele secondaries add makes one"
        : table(
            ["ZONE", "ADDRESS", "KEY", "HAS HEARD OF"],
            items.map(({ zone, address, key, heardSerial }) => {
              return [zone, address, key, heardSerial === null ? "-" : String(heardSerial)];
            }),
          ),
    );
  },
};

const secondariesRm: Command = {
  name: "secondaries rm",
  doc: "Tell a name server no more",
  args: ZONE_AND_ADDRESS,
  run: async (input, context) => {
    const [zone, address] = [input.arg("zone"), input.arg("address")];
    await context.api.delete(path`/v1/dns/zones/${zone}/secondaries/${address}`);
    context.result({ removed: { zone, address } }, () => `${address} is told of ${zone} no more`);
  },
};

export const keyCommands: readonly Command[] = [
  dnsKeysAdd,
  dnsKeysLs,
  dnsKeysRm,
  secondariesAdd,
  secondariesLs,
  secondariesRm,
];
