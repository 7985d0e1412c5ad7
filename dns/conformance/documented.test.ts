import { readFileSync } from "node:fs";

import { expect, it } from "vitest";

import { RULES } from "./run";

/** RFCs in the table's first column; `5890–5892` names three. */
function documented(): Set<number> {
  const rows = readFileSync("docs/dns.md", "utf8").match(
    /^\|[^|]+\|[^|]+\| (done|partly|not) \|.*$/gm,
  );
  const named = (rows ?? []).flatMap((row) => {
    return [...row.split("|")[1]!.matchAll(/(\d{4})(?:–(\d{4}))?/g)].flatMap(([, first, last]) => {
      const from = Number(first);
      return Array.from({ length: Number(last ?? from) - from + 1 }, (_, index) => from + index);
    });
  });
  return new Set(named);
}

it("each RFC of a rule is in the table of docs/dns.md", () => {
  const rfcs = documented();
  expect(rfcs.size).toBeGreaterThan(50);
  const missing = RULES.filter(({ rfc }) => !rfcs.has(Number(rfc.slice(0, 4)))).map(
    ({ rfc, says }) => `${rfc}: ${says}`,
  );
  expect(RULES.length).toBeGreaterThan(100);
  expect(missing).toEqual([]);
});
