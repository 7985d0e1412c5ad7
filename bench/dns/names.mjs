// The names that every server answers, as each of them reads them.
import { closeSync, openSync, writeSync } from "node:fs";

export const ZONE = "repl.example";
/** Clusters with an address each. The owner of ten apps has them spread over all of them. */
export const CLUSTERS = [
  { id: "east", address: "192.0.2.1" },
  { id: "west", address: "192.0.2.2" },
  { id: "north", address: "198.51.100.7" },
];
export const APPS_OF_A_USER = 10;
const LINES_A_WRITE = 50_000;

const labels = (n) => `app${n % APPS_OF_A_USER}.user${Math.floor(n / APPS_OF_A_USER)}`;
const addressOf = (n) => CLUSTERS[n % CLUSTERS.length].address;

/** A name that is there whatever the count. */
export const PROBE = { name: `${labels(0)}.${ZONE}`, address: addressOf(0) };

function writeLines(path, head, count, line) {
  const file = openSync(path, "w");
  writeSync(file, head);
  for (let from = 0; from < count; from += LINES_A_WRITE) {
    const size = Math.min(LINES_A_WRITE, count - from);
    writeSync(file, Array.from({ length: size }, (_, at) => line(from + at)).join(""));
  }
  closeSync(file);
}

/** `name address` on each line, for the client and for the plain handler. */
export function writeNames(path, count) {
  writeLines(path, "", count, (n) => `${labels(n)}.${ZONE} ${addressOf(n)}\n`);
}

const ZONE_HEAD = `$ORIGIN ${ZONE}.
$TTL 60
@ SOA ns1 hostmaster 1 3600 600 604800 60
@ NS ns1
@ NS ns2
ns1 A 192.0.2.53
ns2 A 192.0.2.54
`;

/** A zone file (RFC 1035 section 5). */
export function writeZone(path, count) {
  writeLines(path, ZONE_HEAD, count, (n) => `${labels(n)} A ${addressOf(n)}\n`);
}

/** Repls with these names into the name server's own database. */
export async function insertRepls(sql, count) {
  for (const { id, address } of CLUSTERS) {
    await sql`INSERT INTO cluster_copy (id, ingress) VALUES (${id}, ${[address]})`;
  }
  const ids = CLUSTERS.map(({ id }) => id);
  // An id has twelve letters and digits, as one that `clusters` gives. In order: an index takes ten
  // million others for a quarter of an hour.
  await sql`
    INSERT INTO placement_copy (repl_id, name, owner, cluster_id, generation)
    SELECT 'r' || lpad(to_hex(n), 11, '0'), 'app' || n % ${APPS_OF_A_USER},
      'user' || n / ${APPS_OF_A_USER}, (${ids}::text[])[1 + n % ${CLUSTERS.length}], 1
    FROM generate_series(0, ${count} - 1) AS n
    ON CONFLICT DO NOTHING`;
  await sql`UPDATE log_cursor SET seq = ${count}`;
  await sql`VACUUM ANALYZE placement_copy`;
}

/** Ordinary records of the zone: an A each, as the API would write them. */
export async function insertRrsets(sql, count) {
  await sql`
    INSERT INTO rrset (zone, name, type, ttl, record, revision)
    SELECT ${ZONE}, 'host' || n || '.' || ${ZONE}::text, 1, 300, ARRAY['192.0.2.9'],
      (SELECT revision FROM zone_clock)
    FROM generate_series(0, ${count} - 1) AS n`;
}
