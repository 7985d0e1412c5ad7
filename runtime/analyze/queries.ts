import type * as TS from "typescript";
import type { SourcePosition } from "../app-model";
import type { FaultList } from "./faults";
import { ts } from "./typescript";

/** A query whose text the source shows. */
export interface LiteralQuery {
  readonly sql: string;
  readonly at: SourcePosition;
}

const TEMPLATE_METHODS = new Set(["query", "queryRow", "queryAll", "exec"]);
const TEXT_METHODS = new Set(["rawQuery", "rawQueryRow", "rawQueryAll", "rawExec"]);

/**
 * The SQL of a call on a database, with its place: a tagged template, or a string as the first
 * argument of a raw query. Null when the text is known only when the program runs.
 */
export function literalQuery(method: string, call: TS.Node): { sql: string; node: TS.Node } | null {
  if (ts.isTaggedTemplateExpression(call) && TEMPLATE_METHODS.has(method)) {
    return { sql: templateSql(call.template), node: call.template };
  }
  if (!ts.isCallExpression(call) || !TEXT_METHODS.has(method)) return null;
  const text = call.arguments[0];
  if (text === undefined || !ts.isStringLiteral(text)) return null;
  return { sql: text.text, node: text };
}

/** As Encore sends it: each value is a numbered parameter. */
function templateSql(template: TS.TemplateLiteral): string {
  if (ts.isNoSubstitutionTemplateLiteral(template)) return rawText(template);
  const parts = [template.head, ...template.templateSpans.map(({ literal }) => literal)];
  return parts.map((part, index) => (index === 0 ? "" : `$${index}`) + rawText(part)).join("");
}

function rawText(part: TS.TemplateLiteralLikeNode): string {
  return part.rawText ?? part.text;
}

/**
 * Notes a fault for each query that PostgreSQL's grammar refuses. Its parser is loaded only when
 * there is a query to check.
 */
export async function checkQueries(
  queries: readonly LiteralQuery[],
  faults: FaultList,
): Promise<void> {
  if (queries.length === 0) return;
  const { loadModule, parseSync } = await import("libpg-query");
  await loadModule();
  for (const { sql, at } of queries) {
    // An empty query is one to PostgreSQL, and none to the parser.
    if (sql.trim() === "") continue;
    try {
      parseSync(sql);
    } catch (error) {
      faults.add(at, `query is not valid SQL: ${(error as Error).message}`);
    }
  }
}
