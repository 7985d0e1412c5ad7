/** Zones as zone files (RFC 1035 section 5): out, and in as a whole. */
import { APIError, api } from "encore.dev/api";
import type { MaxLen, MinLen } from "encore.dev/validate";

import { changeZone } from "./changes";
import { need, needDone, toAscii } from "./checks";
import type { Draft, Row } from "./core/draft";
import { formatZoneFile, readZoneFile, type ZoneFile } from "./core/master-file";
import { fold, formatName, type Name, parseName } from "./core/names";
import { readZoneName } from "./core/rules";
import { baseAsked, serialOf } from "./core/serial";
import { instance } from "./instance";
import { config } from "./settings";
import * as store from "./store";

interface ZoneRequest {
  zone: string;
}

/** A zone as a file. */
export interface ZoneFileText {
  zone: string;
  serial: number;
  text: string;
}

interface ImportRequest {
  zone: string;
  /** The file. Names in it are relative to the zone until `$ORIGIN` says otherwise. */
  text: string & (MinLen<1> & MaxLen<4194304>);
  /** Only say what it would change. */
  dryRun?: boolean;
}

/** What an import has changed. */
export interface Imported {
  zone: string;
  serial: number;
  /** RRsets in the file. */
  rrsets: number;
  added: number;
  changed: number;
  removed: number;
}

/** Export the records that a zone holds by itself; names of repls follow from where they live. */
export const exportZone = api(
  { expose: true, auth: true, method: "GET", path: "/v1/dns/zones/:zone/file" },
  async ({ zone: text }: ZoneRequest): Promise<ZoneFileText> => {
    const zone = need("export the zone", readZoneName(toAscii(text)));
    const name = formatName(zone);
    const data = await store.readZone(name);
    if (!data) throw APIError.notFound(`No zone "${name}"`);
    const serial = serialOf(data.base, ...counters(zone, data.revision, data.countsMoves));
    return { zone: name, serial, text: formatZoneFile(zone, { rows: data.rows, serial }) };
  },
);

/**
 * Put a zone file in place of what a zone holds by itself, as a whole or not at all; the zone is
 * made when it is missing. Its serial becomes the file's when that is later.
 */
export const importZone = api(
  {
    expose: true,
    auth: true,
    method: "PUT",
    path: "/v1/dns/zones/:zone/file",
    bodyLimit: 16777216,
  },
  async ({ zone: text, text: content, dryRun }: ImportRequest): Promise<Imported> => {
    const what = `import the zone "${text}"`;
    const zone = need(what, readZoneName(toAscii(text)));
    const file = readZoneFile(zone, content);
    if (!file.ok) {
      const { line, column, reason } = file;
      throw APIError.invalidArgument(`Cannot ${what}: line ${line}, column ${column}: ${reason}`);
    }
    const counts = await replace({ what, zone, file: file.value, isDry: dryRun ?? false });
    const { catalog } = instance();
    const serial = catalog.zones.find(({ name }) => name === zone)?.serial ?? file.value.serial;
    return { zone: formatName(zone), serial, rrsets: file.value.rows.length, ...counts };
  },
);

interface Replacement {
  readonly what: string;
  readonly zone: Name;
  readonly file: ZoneFile;
  readonly isDry: boolean;
}

async function replace({ what, zone, file, isDry }: Replacement) {
  const counts = { added: 0, changed: 0, removed: 0 };
  const edit = (draft: Draft, { rows }: store.ZoneState): undefined => {
    const known = new Set(rows.map(keyOf));
    const wanted = new Set(file.rows.map(keyOf));
    for (const row of rows)
      if (!wanted.has(keyOf(row))) draft.set(nameOf(row), row.type, undefined);
    for (const row of file.rows) draft.set(nameOf(row), row.type, row);
    for (const row of draft.changes()) {
      if (row.values.length === 0) counts.removed++;
      else if (known.has(keyOf(row))) counts.changed++;
      else counts.added++;
    }
  };
  const rebase = (_draft: Draft, state: store.ZoneState): number => {
    const { base, lastRevision, revision } = state;
    const now = counters(zone, revision, state.countsMoves || store.hasAlias(file.rows));
    // A zone that is new has shown no serial yet: it may begin with the file's.
    if (lastRevision === null) return baseAsked(file.serial, file.serial - 1, now, base);
    const before = serialOf(base, ...counters(zone, lastRevision, state.countsMoves));
    return baseAsked(file.serial, before, now, base);
  };
  const outcome = await changeZone({ zone, scope: { mayMake: true }, edit, rebase, isDry });
  needDone(what, outcome);
  return counts;
}

const keyOf = ({ name, type }: Row): string => `${type} ${name}`;

function nameOf({ name: text }: Row): Name {
  const name = parseName(text);
  return name.ok ? fold(name.value) : "";
}

/** What the serial counts besides its base. */
function counters(zone: Name, revision: number, countsMoves: boolean): readonly number[] {
  const { snapshot } = instance();
  const isPlatform = formatName(zone) === config().zone;
  return isPlatform || countsMoves ? [revision, snapshot.seq] : [revision];
}
