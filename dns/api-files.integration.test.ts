import { beforeAll, describe, expect, it } from "vitest";

import * as dns from "./api";
import * as files from "./api-files";
import { zones } from "./zones";

const FILE = `$TTL 1h
@ IN SOA ns1 hostmaster ( 2026112101 1d 2h 4w 60 )
  NS ns1
  NS ns.elsewhere.example.
  MX 10 mail
ns1 A 192.0.2.1
mail 60 AAAA 2001:db8::1
*.apps 60 CNAME mail
sel._domainkey TXT "v=DKIM1; p=" abc
`;

const serialOf = async (zone: string): Promise<number> =>
  (await dns.listZones()).items.find(({ name }) => name === zone)!.serial;

beforeAll(async () => {
  await zones().refresh();
});

describe("zone files", () => {
  it("make a zone with the file's serial, and come out as they went in", async () => {
    const zone = "files.test";
    const made = await files.importZone({ zone, text: FILE });
    expect(made).toEqual({
      zone,
      serial: 2_026_112_101,
      rrsets: 7,
      added: 7,
      changed: 0,
      removed: 0,
    });
    const first = await files.exportZone({ zone });
    expect(first.serial).toBe(2_026_112_101);
    expect(first.text).toContain("mail\t60\tIN\tAAAA\t2001:db8::1\n");
    const again = await files.importZone({ zone, text: first.text });
    expect(again).toMatchObject({ added: 0, changed: 0, removed: 0, serial: first.serial });
    expect((await files.exportZone({ zone })).text).toBe(first.text);
    const other = await files.importZone({
      zone: "copy.test",
      text: first.text.replaceAll("files.test", "copy.test"),
    });
    expect(other.serial).toBe(first.serial);
    const copied = await files.exportZone({ zone: "copy.test" });
    expect(copied.text.replaceAll("copy.test", "files.test")).toBe(first.text);
  });

  it("take the place of what was there, with a serial that rises", async () => {
    const zone = "replaced.test";
    await dns.putZone({ zone });
    await dns.putRrset({ zone, name: "old", type: "A", ttl: 60, values: ["192.0.2.9"] });
    const before = await serialOf(zone);
    const text = FILE.replace("2026112101", "1");
    const dry = await files.importZone({ zone, text, dryRun: true });
    expect(dry).toMatchObject({ added: 5, changed: 2, removed: 1, serial: before });
    expect(await serialOf(zone)).toBe(before);
    const { serial, ...counts } = await files.importZone({ zone, text });
    expect(counts).toMatchObject({ added: 5, changed: 2, removed: 1 });
    expect(serial).toBeGreaterThan(before);
    expect(serial).toBeLessThan(before + 1_000_000);
    const { items } = await dns.listRrsets({ zone });
    expect(items.map(({ name }) => name)).not.toContain("old.replaced.test");
    const later = FILE.replace("2026112101", String(serial + 50));
    expect((await files.importZone({ zone, text: later })).serial).toBe(serial + 50);
  });

  it("are refused whole, with line, column and reason", async () => {
    const zone = "refused.test";
    const put = (text: string) => files.importZone({ zone, text });
    await expect(put(`${FILE}x A nope\n`)).rejects.toThrow(/line 10, column 5: .*IPv4/);
    await expect(put(`${FILE}mail CNAME x\n`)).rejects.toThrow(/RFC 1034 3\.6\.2/);
    await expect(put(FILE.replace("ns1 A", "ns2 A"))).rejects.toThrow(/RFC 1912 2\.8/);
    await expect(put(`${FILE}$INCLUDE x\n`)).rejects.toThrow(/line 10, column 1: \$INCLUDE/);
    await expect(files.exportZone({ zone })).rejects.toMatchObject({ code: "not_found" });
    expect((await dns.listZones()).items.map(({ name }) => name)).not.toContain(zone);
  });

  it("keep what DNS-01 and repls need", async () => {
    const zone = "repl.localhost";
    await dns.putZone({ zone });
    const { text } = await files.exportZone({ zone });
    const before = await serialOf(zone);
    expect(await files.importZone({ zone, text })).toMatchObject({ changed: 0, serial: before });
  });
});
