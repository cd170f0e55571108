import { expect, test } from "vitest";
import { compare } from "../support/oracle.ts";
import { type TestDatabase, testDatabase } from "../support/postgres.ts";
import { testProject } from "../support/project.ts";
import { type Receiver, startReceiver } from "../support/receiver.ts";
import { acknowledged, command, entriesOf, keysOf, once, resyncAfterAGap } from "../support/resync.ts";

/** Of a sync that delivers to a path of its own. */
const target = (path: string, model: string): string =>
  `model: ${model}, destination: receiver, mode: mirror, options: { path: /${path} }`;

function manySyncs(
  database: TestDatabase,
  receiver: Receiver,
  tables: readonly string[],
  syncs: readonly string[],
): string {
  return `
sources: { db: { type: postgres, url: "${database.url}" } }
models: { ${tables.map((table) => `${table}: { source: db, table: public.${table} }`).join(", ")} }
destinations: { receiver: { type: webhook, url: "${receiver.url}", allow_private: true, batch: { format: array, rows: 50 } } }
syncs:
${syncs.join("\n")}
`;
}

const AFTER_A_GAP = [
  { op: "delete", setting: "" },
  { op: "archive", setting: ", on_delete: { archive: { status: gone } }" },
  { op: "clear", setting: ", on_delete: clear" },
  { op: "ignore", setting: ", on_delete: ignore" },
];

test(
  "after a gap, a resync does what on_delete says to records whose rows are gone",
  { timeout: 120_000 },
  async () => {
    await using database = await testDatabase();
    await database.sql(
      "CREATE TABLE users (id int PRIMARY KEY, name text); INSERT INTO users SELECT n, 'u' || n FROM generate_series(1, 300) n",
    );
    await using receiver = await startReceiver();
    const syncs = AFTER_A_GAP.map(({ op, setting }) => `  ${op}: { ${target(op, "users")}${setting} }`);
    await using at = await testProject(manySyncs(database, receiver, ["users"], syncs));
    const names = AFTER_A_GAP.map(({ op }) => op);
    await once(at);
    await resyncAfterAGap(
      database,
      at,
      "DELETE FROM users WHERE id % 10 = 0; INSERT INTO users VALUES (1001, 'new'); UPDATE users SET name = 'x' WHERE id = 1",
      names,
    );
    await once(at);
    const gone = Array.from({ length: 30 }, (_, n) => String((n + 1) * 10)).sort();
    const removals = new Map(names.map((op) => [op, acknowledged(receiver, op, op)]));
    for (const op of names) {
      expect(keysOf(removals.get(op)!), op).toEqual(op === "ignore" ? [] : gone);
      for (const { id } of removals.get(op)!) expect(id).toMatch(new RegExp(`^${op}-gone1-`));
      const { lost, different, extra } = await compare(entriesOf(receiver, op), database, {
        table: "public.users",
        key: ["id"],
      });
      expect({ lost, different }, op).toEqual({ lost: [], different: [] });
      expect([...extra].sort(), op).toEqual(op === "delete" ? [] : gone);
    }
    // What is gone is done with: another resync has nothing to remove.
    for (const op of names) expect((await command(at, "resync", op)).code).toBe(0);
    await once(at);
    for (const op of names) expect(acknowledged(receiver, op, op), op).toHaveLength(removals.get(op)!.length);
  },
);

const KEYS = [
  {
    // Of three columns.
    table: "three",
    columns: "id int, b text, c uuid, PRIMARY KEY (b, id, c)",
    values: "n, 'a,' || n % 3, gen_random_uuid()",
    key: ["b", "id", "c"],
  },
  {
    table: "nan",
    columns: "id numeric PRIMARY KEY",
    values: "CASE n WHEN 7 THEN 'NaN' WHEN 8 THEN 'Infinity' ELSE n / 8.0 END",
    key: ["id"],
  },
  {
    // A collation of its own.
    table: "collated",
    columns: 'id text COLLATE "en-x-icu" PRIMARY KEY',
    values: "chr(65 + n % 50) || n",
    key: ["id"],
  },
];

test("rows and removals of any kind of key: each once", { timeout: 120_000 }, async () => {
  await using database = await testDatabase();
  for (const { table, columns, values } of KEYS)
    await database.sql(
      `CREATE TABLE ${table} (${columns}); INSERT INTO ${table} SELECT ${values} FROM generate_series(1, 500) n`,
    );
  await using receiver = await startReceiver();
  const tables = KEYS.map(({ table }) => table);
  const syncs = tables.map((table) => `  ${table}: { ${target(table, table)} }`);
  await using at = await testProject(manySyncs(database, receiver, tables, syncs));
  await once(at);
  for (const table of tables) expect(acknowledged(receiver, "upsert", table), table).toHaveLength(500);
  const changes = KEYS.map(
    ({ table, key }) =>
      `DELETE FROM ${table} WHERE ctid IN (SELECT ctid FROM ${table} ORDER BY ${key.join(", ")} DESC LIMIT 60)`,
  );
  await resyncAfterAGap(database, at, changes.join("; "), tables);
  await once(at);
  for (const { table, key } of KEYS) {
    expect(acknowledged(receiver, "delete", table), table).toHaveLength(60);
    expect(await compare(entriesOf(receiver, table), database, { table: `public.${table}`, key }), table).toMatchObject(
      { rows: 440, equal: true },
    );
  }
});
