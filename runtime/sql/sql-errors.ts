import postgres from "postgres";

/**
 * Errors as Encore's own runtime gives them: a plain Error with code "GenericFailure". A statement
 * that cannot be prepared says `db error: ERROR: …`; one that fails while it runs carries a dump of
 * the driver's structure, in which the message and the SQLSTATE are found (contract I.l.8). Programs
 * that match on `duplicate key value` work with both.
 */
export function sqlError(error: unknown): Error {
  const isServers = error instanceof postgres.PostgresError;
  if (isServers && isTimeout(error))
    return coded("deadline_exceeded", `db error: ${error.message}`);
  const message = isServers ? serverMessage(error) : clientMessage(error);
  const { code } = error as { code?: unknown };
  if (code === "unavailable") return error as Error;
  return coded(isConnectionLost(error) ? "unavailable" : "GenericFailure", message);
}

/**
 * The database cannot be had now. Encore's runtime says "GenericFailure" here too, which becomes
 * `internal`; with this code an endpoint answers `unavailable`, so that its caller may try again.
 */
export function unavailable(message: string): Error {
  return coded("unavailable", message);
}

function coded(code: string, message: string): Error {
  return Object.assign(new Error(message), { code });
}

/** The statement ran longer than ENCORE_SQL_STATEMENT_TIMEOUT_MS, or the server's own setting. */
function isTimeout({ code, message }: PostgresError): boolean {
  return code === "57014" && message.includes("statement timeout");
}

/** Whether the connection is lost with the statement. */
export function isConnectionLost(error: unknown): boolean {
  if (error instanceof postgres.PostgresError) return /FATAL|PANIC/.test(error.severity);
  const { code, errno } = error as { code?: unknown; errno?: unknown };
  return errno !== undefined || String(code).startsWith("CONNECT");
}

/** The SQLSTATE classes that Postgres raises before it runs a statement: parsing and binding. */
const BEFORE_RUNNING = /^(42|25P02|22P02|22P03|22021|08|26|34|3D|3F|28|0A)/;

type PostgresError = InstanceType<typeof postgres.PostgresError>;

function serverMessage(error: PostgresError): string {
  if (!BEFORE_RUNNING.test(error.code)) return dump(error);
  const lines = [`db error: ${error.severity}: ${error.message}`];
  if (error.detail) lines.push(`DETAIL: ${error.detail}`);
  if (error.hint) lines.push(`HINT: ${error.hint}`);
  return lines.join("\n");
}

function dump(error: PostgresError): string {
  const some = (value: string | undefined): string =>
    value ? `Some(\n                ${JSON.stringify(value)},\n            )` : "None";
  const fields = [
    `severity: ${JSON.stringify(error.severity)}`,
    `parsed_severity: Some(\n                Error,\n            )`,
    `code: SqlState(\n                E${error.code},\n            )`,
    `message: ${JSON.stringify(error.message)}`,
    `detail: ${some(error.detail)}`,
    `hint: ${some(error.hint)}`,
    "position: None",
    `where_: ${some(error.where)}`,
    `schema: ${some(error.schema_name)}`,
    `table: ${some(error.table_name)}`,
    `column: ${some(error.column_name)}`,
    "datatype: None",
    `constraint: ${some(error.constraint_name)}`,
  ];
  const body = fields.map((field) => `            ${field},`).join("\n");
  return `Error {\n    kind: Db,\n    cause: Some(\n        DbError {\n${body}\n        },\n    ),\n}`;
}

function clientMessage(error: unknown): string {
  const { message } = error as Error;
  const { code } = error as { code?: unknown };
  if (code === "GenericFailure") return message;
  return `error communicating with the server: ${message || String(code)}`;
}
