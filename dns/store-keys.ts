import { db } from "./db";

export interface KeyRow {
  readonly name: string;
  readonly algorithm: string;
  readonly sealed: string;
  readonly mayTransfer: boolean;
  readonly mayUpdate: boolean;
  readonly zones: string[];
  readonly names: string[];
  readonly types: string[];
  readonly createdAt: Date;
}

/** Keys are made by hand, for a secondary or a tool each. */
const MAX_KEYS = 1_000;

/** Add a key; false when there is one of that name. */
export async function addKey(key: Omit<KeyRow, "createdAt">): Promise<boolean> {
  const { name, algorithm, sealed, mayTransfer, mayUpdate, zones, names, types } = key;
  const row = await db.queryRow`
    INSERT INTO tsig_key
      (name, algorithm, sealed, may_transfer, may_update, zones, names, types)
    VALUES (${name}, ${algorithm}, ${sealed}, ${mayTransfer}, ${mayUpdate},
      ${zones}, ${names}, ${types})
    ON CONFLICT (name) DO NOTHING RETURNING name`;
  return row !== null;
}

export async function listKeys(): Promise<KeyRow[]> {
  return db.queryAll<KeyRow>`
    SELECT name, algorithm, sealed, may_transfer AS "mayTransfer", may_update AS "mayUpdate",
      zones, names, types, created_at AS "createdAt"
    FROM tsig_key ORDER BY name LIMIT ${MAX_KEYS}`;
}

/** Why a key could not be removed, or null. */
export async function removeKey(name: string): Promise<"unknown" | "in use" | null> {
  const used = await db.queryRow`SELECT zone FROM secondary WHERE key_name = ${name} LIMIT 1`;
  if (used) return "in use";
  const row = await db.queryRow`DELETE FROM tsig_key WHERE name = ${name} RETURNING name`;
  return row ? null : "unknown";
}

export interface SecondaryRow {
  readonly zone: string;
  readonly address: string;
  readonly keyName: string;
}

export async function listSecondaries(): Promise<SecondaryRow[]> {
  return db.queryAll<SecondaryRow>`
    SELECT zone, address, key_name AS "keyName" FROM secondary
    ORDER BY zone, address LIMIT ${MAX_KEYS}`;
}

/** False when the zone or the key is not there. */
export async function putSecondary({ zone, address, keyName }: SecondaryRow): Promise<boolean> {
  const row = await db.queryRow`
    INSERT INTO secondary (zone, address, key_name)
    SELECT zone.name, ${address}, tsig_key.name FROM served_zone AS zone, tsig_key
    WHERE zone.name = ${zone} AND tsig_key.name = ${keyName}
    ON CONFLICT (zone, address) DO UPDATE SET key_name = excluded.key_name
    RETURNING zone`;
  return row !== null;
}

export async function removeSecondary(zone: string, address: string): Promise<boolean> {
  const row = await db.queryRow`
    DELETE FROM secondary WHERE zone = ${zone} AND address = ${address} RETURNING zone`;
  return row !== null;
}
