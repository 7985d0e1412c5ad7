import { readFileSync, writeFileSync } from "node:fs";

import { path } from "../api-client";
import type { Imported, ZoneFile } from "../api-types";
import type { Command } from "../command";
import { Failure } from "../failure";

const ZONE = { name: "zone", doc: "such as example.org" };
/** A large zone is read by the whole database; others wait for that too. */
const TIMEOUT_MS = 120_000;
const STDIN = 0;

const dnsExport: Command = {
  name: "dns export",
  doc: "Write a zone as a zone file; names of apps are left out",
  args: [ZONE, { name: "file", doc: "where to; standard output without it", optional: true }],
  run: async (input, context) => {
    const route = path`/v1/dns/zones/${input.arg("zone")}/file`;
    const exported = await context.api.get<ZoneFile>(route, { timeoutMs: TIMEOUT_MS });
    const file = input.arg("file");
    if (file === "") return context.result(exported, () => exported.text);
    write(file, exported.text);
    const { zone, serial } = exported;
    context.result({ zone, serial, file }, () => `${zone}, serial ${serial}, is in ${file}`);
  },
};

const dnsImport: Command = {
  name: "dns import",
  doc: "Put a zone file in place of a zone's records, or make the zone",
  args: [ZONE, { name: "file", doc: "in master format (RFC 1035); - is standard input" }],
  options: { "dry-run": { doc: "only say what it would change" } },
  more: "  All of it or nothing. The serial becomes the file's when that is later. $INCLUDE is refused.",
  run: async (input, context) => {
    const zone = input.arg("zone");
    const dryRun = input.isOn("dry-run");
    const body = { text: read(input.arg("file")), dryRun };
    const route = path`/v1/dns/zones/${zone}/file`;
    const done = await context.api.put<Imported>(route, body, { timeoutMs: TIMEOUT_MS });
    const { added, changed, removed, serial } = done;
    const counts = `${added} RRsets added, ${changed} changed, ${removed} removed`;
    context.result(done, () =>
      dryRun ? `${zone}: nothing done yet: ${counts}` : `${zone}: ${counts}, serial ${serial}`,
    );
  },
};

function read(file: string): string {
  try {
    return readFileSync(file === "-" ? STDIN : file, "utf8");
  } catch (error) {
    throw new Failure(`cannot read "${file}": ${(error as NodeJS.ErrnoException).code}`);
  }
}

function write(file: string, text: string): void {
  try {
    writeFileSync(file, text);
  } catch (error) {
    throw new Failure(`cannot write "${file}": ${(error as NodeJS.ErrnoException).code}`);
  }
}

export const zoneFileCommands: readonly Command[] = [dnsExport, dnsImport];
