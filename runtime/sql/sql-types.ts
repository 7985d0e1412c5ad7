/** What is needed to know of a Postgres type to carry its values. */
export type SqlType =
  | { readonly kind: "scalar"; readonly name: string }
  | { readonly kind: "enum"; readonly name: string }
  | { readonly kind: "array"; readonly name: string; readonly element: SqlType };

/** Object ids of built-in types, which no catalog changes (PostgreSQL's `pg_type.dat`). */
const BUILT_IN: Readonly<Record<number, string>> = {
  16: "bool",
  17: "bytea",
  18: "char",
  19: "name",
  20: "int8",
  21: "int2",
  23: "int4",
  25: "text",
  26: "oid",
  114: "json",
  142: "xml",
  600: "point",
  650: "cidr",
  700: "float4",
  701: "float8",
  790: "money",
  829: "macaddr",
  869: "inet",
  1042: "bpchar",
  1043: "varchar",
  1082: "date",
  1083: "time",
  1114: "timestamp",
  1184: "timestamptz",
  1186: "interval",
  1266: "timetz",
  1560: "bit",
  1562: "varbit",
  1700: "numeric",
  2278: "void",
  2950: "uuid",
  3802: "jsonb",
};

const BUILT_IN_ARRAYS: Readonly<Record<number, number>> = {
  199: 114,
  651: 650,
  1000: 16,
  1001: 17,
  1003: 19,
  1005: 21,
  1007: 23,
  1009: 25,
  1014: 1042,
  1015: 1043,
  1016: 20,
  1021: 700,
  1022: 701,
  1028: 26,
  1041: 869,
  1115: 1114,
  1182: 1082,
  1183: 1083,
  1185: 1184,
  1231: 1700,
  2951: 2950,
  3807: 3802,
};

function builtIn(oid: number): SqlType | undefined {
  const name = BUILT_IN[oid];
  if (name !== undefined) return { kind: "scalar", name };
  const element = BUILT_IN_ARRAYS[oid];
  if (element === undefined) return undefined;
  const elementName = BUILT_IN[element] as string;
  return {
    kind: "array",
    name: `_${elementName}`,
    element: { kind: "scalar", name: elementName },
  };
}

/** A row of pg_type, with the element's row for an array. */
export interface CatalogRow {
  readonly oid: string;
  readonly typname: string;
  readonly typtype: string;
  readonly typelem: string;
  readonly typcategory: string;
}

export const CATALOG_QUERY = `
  select oid::text, typname::text, typtype::text, typelem::text, typcategory::text from pg_type
  where oid = any($1::oid[]) or oid in (select typelem from pg_type where oid = any($1::oid[]))`;

/** The types of one database: built-in ones are known, others are asked for once. */
export class TypeCatalog {
  private readonly known = new Map<number, SqlType>();

  get(oid: number): SqlType | undefined {
    const found = this.known.get(oid) ?? builtIn(oid);
    if (found) this.known.set(oid, found);
    return found;
  }

  /** Those of `oids` that must be asked for. */
  missing(oids: readonly number[]): number[] {
    return [...new Set(oids.filter((oid) => this.get(oid) === undefined))];
  }

  learn(rows: readonly CatalogRow[]): void {
    const byOid = new Map(rows.map((row) => [row.oid, row]));
    for (const row of rows) this.known.set(Number(row.oid), toType(row, byOid));
  }
}

function toType(row: CatalogRow, byOid: ReadonlyMap<string, CatalogRow>): SqlType {
  const element = row.typcategory === "A" ? byOid.get(row.typelem) : undefined;
  if (element) {
    const known = builtIn(Number(element.oid)) ?? toType(element, new Map());
    return { kind: "array", name: row.typname, element: known };
  }
  return { kind: row.typtype === "e" ? "enum" : "scalar", name: row.typname };
}
