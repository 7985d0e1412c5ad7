import { APIError, api } from "encore.dev/api";
import type { Max, Min } from "encore.dev/validate";

import { fold, parseName } from "./core/names";
import type { Repl } from "./core/platform";
import { instance } from "./instance";
import { config } from "./settings";

interface QueriesRequest {
  /** Of one app, `name.owner` or its id; else of those most asked for. */
  app?: string;
  /** How many of these; 10 when it is left out. */
  top?: number & (Min<1> & Max<1000>);
}

/** How often an app's names were asked for. */
export interface AppQueries {
  id: string;
  name: string;
  owner: string;
  /** Since this instance started; starts again after 2^32. */
  queries: number;
}

interface AppQueriesList {
  items: AppQueries[];
  /** Each instance counts by itself. */
  instanceId: string;
}

const DEFAULT_TOP = 10;

/** Count the queries for apps that this instance has answered. */
export const queries = api(
  { expose: true, auth: true, method: "GET", path: "/v1/dns/queries" },
  async ({ app, top }: QueriesRequest): Promise<AppQueriesList> => {
    const { id, catalog } = instance();
    const found = app === undefined ? undefined : findRepl(app);
    const most = found
      ? [{ repl: found, queries: catalog.platform.queriesOf(found.id) }]
      : catalog.platform.mostAsked(top ?? DEFAULT_TOP);
    return { items: most.map(toAppQueries), instanceId: id };
  },
);

function findRepl(app: string): Repl {
  const { catalog } = instance();
  const name = parseName(`${app}.${config().zone}`);
  const named = app.includes(".") && name.ok ? catalog.replAt(fold(name.value)) : undefined;
  const repl = named ?? catalog.platform.repl(app);
  if (!repl) throw APIError.notFound(`No app "${app}" is answered: expected name.owner, or an id`);
  return repl;
}

function toAppQueries({ repl, queries: count }: { repl: Repl; queries: number }): AppQueries {
  const { id, name, owner } = repl;
  return { id, name, owner, queries: count };
}
