import { SQLDatabase } from "encore.dev/storage/sqldb";
import { describe, expect, it } from "vitest";

const migrations = SQLDatabase.named("migrations");

describe("an integration test", () => {
  it("reaches the application's databases through encore.dev as it is", async () => {
    const row = await migrations.queryRow<{ n: number }>`select count(*) as n from migration`;
    // Other tests share the database; that the table is there says that the migrations were applied.
    expect(row).toEqual({ n: expect.any(Number) });
  });
});
