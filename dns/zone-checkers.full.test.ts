import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { wireName } from "./core/__tests__/zone-text";
import { formatZoneFile, readZoneFile } from "./core/master-file";

const ZONE = "example.org";
/** One of everything that has a form of its own, and names that need their escapes. */
const FILE = `$TTL 3600
@ SOA ns1 host\\.master ( 2026112101 1d 2h 4w 60 )
  NS ns1
  NS ns.example.net.
  MX 10 mail
  MX 0 mail2.example.net.
  TXT "v=spf1 -all" "a \\"quote\\", a \\\\ and \\200\\000"
  CAA 0 issue "letsencrypt.org; validationmethods=dns-01"
  TYPE999 \\# 3 010203
ns1 A 192.0.2.1
  AAAA 2001:db8::1
mail A 192.0.2.2
_sip._tcp SRV 0 5 5060 mail
*.apps CNAME mail
a\\.b\\;c\\@\\$\\032d TXT odd
\\001\\255 PTR mail
sub NS ns.sub
  DS 60485 5 1 2BB183AF5F22588179A53B0A 98631FAD1A292118
@ NAPTR 10 100 "s" "SIP+D2U" "" _sip._udp
  NAPTR 20 50 u E2U+sip "!^.*$!sip:a b@example.org!" .
_443._tcp TLSA 3 1 1 ${"0123456789abcdef".repeat(4)}
ns1 SSHFP 4 2 ${"0123456789abcdef".repeat(4)}
ns.sub A 192.0.2.3
host HINFO "a b" ""
`;

const folder = mkdtempSync(join(tmpdir(), "stele-zone-"));
const file = join(folder, "zone");
/** Tools that others check their zones with, as their packages in Debian have them. */
const CHECKERS = [
  ["nsd-checkzone", ["-p", ZONE, file]],
  ["named-checkzone", ["-i", "full-sibling", "-D", ZONE, file]],
  ["ldns-read-zone", ["-z", file]],
] as const;
const env = { ...process.env, PATH: `${process.env.PATH}:/usr/sbin:/sbin` };
const isMissing = (tool: string): boolean => spawnSync(tool, ["-v"], { env }).error !== undefined;

beforeAll(() => {
  const read = readZoneFile(wireName(ZONE), FILE);
  if (!read.ok) throw new Error(`${read.line}:${read.column} ${read.reason}`);
  writeFileSync(file, formatZoneFile(wireName(ZONE), read.value));
});
afterAll(() => rmSync(folder, { recursive: true }));

describe("an exported zone", () => {
  for (const [tool, args] of CHECKERS) {
    const name = `is read by ${tool}, which says the same records`;
    it.skipIf(isMissing(tool))(
      `${name}${isMissing(tool) ? ` (${tool} is not installed)` : ""}`,
      () => {
        const output = execFileSync(tool, args, { env, encoding: "utf8" });
        const records = output.split("\n").filter((line) => !/^(zone .*:|OK$)/.test(line));
        const again = readZoneFile(wireName(ZONE), records.join("\n"));
        if (!again.ok) throw new Error(`${again.line}:${again.column} ${again.reason}\n${output}`);
        const ours = readZoneFile(wireName(ZONE), FILE);
        expect(formatZoneFile(wireName(ZONE), again.value)).toBe(
          formatZoneFile(wireName(ZONE), ours.ok ? ours.value : again.value),
        );
      },
    );
  }
});
