import { expect, test } from "vitest";
import { testDatabase } from "../../../../test/support/postgres.ts";
import { close, connect } from "../connection.ts";
import { DatabaseCatalog } from "./catalog.ts";

test("a table that is replaced between two looks is looked at again, later", async () => {
  await using database = await testDatabase();
  await database.sql("CREATE TABLE t (id int PRIMARY KEY)");
  const signal = new AbortController().signal;
  const client = await connect({ url: database.url }, { replication: false, signal, schemas: ["public"] });
  try {
    const ask = client.query.bind(client) as (...of: unknown[]) => Promise<unknown>;
    const rebuilt = async (...of: unknown[]): Promise<unknown> => {
      if (String(of[0]).includes("collisdeterministic"))
        await database.sql("DROP TABLE t; CREATE TABLE t (id int PRIMARY KEY)");
      return ask(...of);
    };
    const replaced = new DatabaseCatalog(Object.assign(Object.create(client), { query: rebuilt }), false);
    await expect(replaced.relation("public", "t", false)).rejects.toMatchObject({ code: "source.blocked" });
    expect(await new DatabaseCatalog(client, false).relation("public", "t", false)).toMatchObject({ kind: "table" });
  } finally {
    await close(client);
  }
});
