import { expect, test } from "vitest";
import { testDatabase } from "./postgres.ts";

test("a test database is a real PostgreSQL with a logical log", async () => {
  await using database = await testDatabase();
  expect(await database.rows("SHOW wal_level")).toEqual([{ wal_level: "logical" }]);
});
