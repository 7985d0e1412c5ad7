import { randomBytes } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import type { DatabaseConfig, InfraConfig } from "../infra-config";
import { parseInfraConfig } from "../infra-config";
import { startPostgres } from "./postgres";

/** A PostgreSQL of a test's own, in a temporary folder; it ends when the test's process does. */
export interface TestPostgres {
  readonly config: (database: string) => DatabaseConfig;
  /** An infra config in which these databases exist. */
  readonly infra: (databases: readonly string[], more?: object) => InfraConfig;
  readonly stop: () => Promise<void>;
}

const TEST_CONNECTIONS = 10;

export async function startTestPostgres(): Promise<TestPostgres> {
  const dir = await mkdtemp(join(tmpdir(), "stele-test-"));
  const password = randomBytes(18).toString("base64url");
  const server = await startPostgres({
    dataDir: join(dir, "data"),
    socketDir: join(dir, "s"),
    password,
    endWithParent: true,
  });
  const { socketDir, username } = server.address;
  return {
    config: (database) => ({
      ...server.address,
      database,
      maxConnections: TEST_CONNECTIONS,
      minConnections: 0,
    }),
    infra: (databases, more = {}) =>
      parseInfraConfig({
        sql_servers: [
          {
            host: socketDir,
            databases: Object.fromEntries(
              databases.map((name) => [
                name,
                { username, password, max_connections: TEST_CONNECTIONS },
              ]),
            ),
          },
        ],
        ...more,
      }),
    stop: async () => {
      await server.stop();
      await rm(dir, { recursive: true, force: true });
    },
  };
}
