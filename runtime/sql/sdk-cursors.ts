import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";

import type { Cursor, QueryArgs } from "./statements";

type Executor = { readonly impl: Streams };

interface Streams {
  stream(text: string, args: QueryArgs, source?: unknown): Promise<Cursor>;
}

type RowsOf = (this: Executor, ...args: unknown[]) => AsyncGenerator<unknown>;

/** The loader that required this library, inside `encore.dev`. */
const LOADER = /[\\/]internal[\\/]runtime[\\/]napi[\\/]napi\.cjs$/;

/**
 * Has `for await (const row of db.query…)` close its statement when the loop is left early. The SDK's
 * own generators have no such step: under Encore the rest of the rows is read and thrown away. Where
 * the SDK is not as expected it is left as it is, and reads whole results.
 */
export async function closeCursorsLeftEarly(): Promise<void> {
  const loader = Object.keys(require.cache).find((path) => LOADER.test(path));
  const path = loader && join(dirname(loader), "../../../storage/sqldb/database.js");
  if (!path || !existsSync(path)) return;
  const { SQLDatabase } = (await import(pathToFileURL(path).href)) as {
    SQLDatabase: { readonly prototype: object };
  };
  const queries = Object.getPrototypeOf(SQLDatabase.prototype) as Record<string, unknown>;
  for (const name of ["query", "rawQuery"]) {
    const original = queries[name];
    if (typeof original === "function") queries[name] = closing(original as RowsOf);
  }
}

function closing(original: RowsOf): RowsOf {
  return async function* (...args) {
    const cursor = await this.impl.stream(...(await statementOf(original, args)));
    try {
      for (let row = await cursor.next(); row !== null; row = await cursor.next()) {
        yield row.values();
      }
    } finally {
      await cursor.close();
    }
  };
}

/** What the SDK makes of a template and its values, as it would hand them to `impl.query`. */
async function statementOf(
  original: RowsOf,
  args: readonly unknown[],
): Promise<Parameters<Streams["stream"]>> {
  let statement: unknown[] = [];
  const query = (...given: unknown[]): Promise<unknown> => {
    statement = given;
    return Promise.resolve({ next: () => Promise.resolve(null) });
  };
  await original.call({ impl: { query } as never }, ...args).next();
  return statement as Parameters<Streams["stream"]>;
}
